"""What is left behind after an internal error: the command, the versions, the traceback, and the program at hand."""

from __future__ import annotations

import platform
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ... import __version__
from ..weights import cache_dir

PACKAGES = ("torch", "triton", "transformers", "numpy", "sympy")


def write_reproducer(arguments: Sequence[str], error: BaseException) -> Path:
    """Write the account as comments above the text of the program the error came from (``error.program_text``).

    With a program it is a file ``regraft run`` can read. It goes to the cache directory, or where that cannot be
    written to the temporary one.
    """
    text = getattr(error, "program_text", None)
    found = {"regraft": __version__, "python": platform.python_version()} | installed(PACKAGES)
    lines = [
        shlex.join(["regraft", *arguments]),
        ", ".join(f"{name} {number}" for name, number in found.items()),
        platform.platform(),
        "",
        *"".join(traceback.format_exception(type(error), error, error.__traceback__)).splitlines(),
    ]
    content = "".join(f"# {line}".rstrip() + "\n" for line in lines) + (f"\n{text}" if text else "")
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{arguments[0] if arguments else 'regraft'}{'.ir.py' if text else '.txt'}"
    for folder in (cache_dir() / "failures", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / name
            path.write_text(content, encoding="utf-8")
        except OSError as problem:
            print(f"regraft: {folder} cannot be written to: {problem.strerror}", file=sys.stderr)
            continue
        return path
    raise error


def installed(names: Sequence[str]) -> dict[str, str]:
    """Versions of those of the packages that are installed."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
