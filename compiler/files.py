"""Files of our own: where caches live, and writing so that a reader sees a whole file or none."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_directory(cache: str | Path | None = None) -> Path:
    """The root of the cache: the argument, else ``REGRAFT_CACHE``, else ``~/.cache/regraft``."""
    return Path(cache or os.environ.get("REGRAFT_CACHE") or Path.home() / ".cache" / "regraft").expanduser()


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` under a temporary name beside ``path`` and rename it; folders on the way are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
