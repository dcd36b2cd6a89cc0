"""Writing results: under a temporary name first, so that a file is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ...compiler.errors import UsageError


def check_output(path: str | Path | None, suffixes: tuple[str, ...] = ()) -> Path | None:
    """Refuse, before any work is done, an output that could not be written later."""
    if path is None:
        return None
    path = Path(path)
    if suffixes and not path.name.endswith(suffixes):
        raise UsageError(f"cannot tell the format of {str(path)!r}", hint=f"the name ends in {' or '.join(suffixes)}")
    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a directory")
    _check_folder(path.parent)
    return path


def check_folder(path: str | Path | None) -> Path | None:
    """The same for a folder of results; it is made if need be."""
    if path is None:
        return None
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UsageError(f"{str(path)!r} is not a directory")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be made: {error.strerror}") from error
    _check_folder(path)
    return path


def write(path: Path, content: str | Callable[[Path], None]) -> None:
    """Write text, or what a function writes to the path it is given, by one rename."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        if isinstance(content, str):
            temporary.write_text(content, encoding="utf-8")
        else:
            content(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError(f"there is no directory {str(folder)!r}")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"directory {str(folder)!r} cannot be written to")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
