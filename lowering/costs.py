"""The cost table: what calls were measured to take, on disk, for :mod:`.select` to read and :mod:`.tune` to write.

An entry is found by device, Triton and PyTorch version, operator, dtype, mode and shape bucket (:class:`Key`), and has
one :class:`Measured` for each candidate. Two files are asked, in this order:

- ``kernels/costs.json`` in the cache folder (``REGRAFT_CACHE``): what was measured on this machine. Writers merge with
  what others wrote meanwhile and replace the file whole. One that cannot be read, or has another schema, is spoken of,
  taken for empty, and written anew.
- ``data/costs.json`` beside this file: what comes with the package. Its entries for CPUs were measured on the one CPU
  it names and stand for any, since there the choice is between forms of an algorithm and not between kernels made for
  a device; its entries for a GPU hold for that GPU and those versions.
"""

from __future__ import annotations

import functools
import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ..compiler.files import cache_directory, write_atomically
from ..compiler.values import dtype_text
from .candidates import Call, Config, Reference
from .targets import Target

SCHEMA = 1
SHIPPED = Path(__file__).parent / "data" / "costs.json"
ANY = "any"


@dataclass(frozen=True)
class Key:
    """What a measurement holds for."""

    device: str
    triton: str
    """Its version; ``"-"`` on a CPU, where nothing is compiled with it."""
    torch: str
    op: str
    dtype: str
    mode: str
    """``"eager"`` or ``"compiled"``, with ``"+training"`` when gradients are taken."""
    bucket: str

    def __str__(self) -> str:
        """The parts, in order, as the file has them."""
        return " | ".join(astuple(self))

    @property
    def of_any_cpu(self) -> Key:
        """The key under which a CPU's measurements are shipped."""
        return replace(self, device="cpu", triton="-", torch=ANY)


@dataclass(frozen=True)
class Measured:
    """What one candidate was measured to take, or why it may not be used."""

    seconds: float
    config: Config = field(default_factory=dict[str, Any], hash=False)
    rejected: str = ""
    """Why its result or its run was refused; ``seconds`` is then 0 and means nothing."""


@dataclass(frozen=True)
class Entry:
    """The measurements of one key."""

    measured: Mapping[str, Measured] = field(default_factory=dict[str, Measured])
    """By a candidate's own name."""
    where: str = ""
    """The machine, when it is another than this one."""


Entries = dict[str, dict[str, Measured]]


def key_of(call: Call, reference: Reference, target: Target) -> Key:
    """The key of a static call on a target."""
    triton = "-" if target.kind == "cpu" else _version("triton")
    mode = "compiled" if call.compiled and reference.fused else "eager"
    mode += "+training" if call.training else ""
    bucket = reference.bucket(call)
    return Key(target.name, triton, torch.__version__, call.op, dtype_text(call.dtype), mode, bucket)


def look_up(key: Key, *, on_cpu: bool) -> Entry:
    """The measurements of a key: this machine's, else what is shipped; empty when there are none."""
    own = _load(table_path())[1].get(str(key))
    if own:
        return Entry(own)
    where, shipped = _load(SHIPPED)
    found = shipped.get(str(key))
    if found:
        return Entry(found)
    return Entry(shipped.get(str(key.of_any_cpu), {}), where) if on_cpu else Entry()


def record(entries: Mapping[Key, Mapping[str, Measured]], path: Path | None = None, *, where: str = "") -> None:
    """Add measurements to a table, in place of older ones of the same key and candidate.

    ``path`` is this machine's table by default; ``where`` names the machine in a table that travels.
    """
    from filelock import FileLock

    path = path or table_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(path.with_suffix(".lock"))):
        before, held = _load(path)
        merged = {name: dict(measured) for name, measured in held.items()}
        for key, measured in entries.items():
            merged.setdefault(str(key), {}).update(measured)
        write_atomically(path, _text(where or before, merged))


def table_path() -> Path:
    """This machine's table."""
    return cache_directory() / "kernels" / "costs.json"


def digest() -> str:
    """A digest of both tables: decisions, and so compiled graphs, depend on them."""
    found = hashlib.sha256()
    for path in (SHIPPED, table_path()):
        found.update(path.read_bytes() if path.is_file() else b"")
    return found.hexdigest()


def _load(path: Path) -> tuple[str, Entries]:
    """``(where it was measured, entries)``; read again only when the file has changed."""
    try:
        status = path.stat()
    except OSError:
        return "", {}
    return _parse(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=8)
def _parse(path: Path, changed: int, size: int) -> tuple[str, Entries]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"it has schema {content['schema']!r}, this version reads {SCHEMA}")
        return content.get("where", ""), {
            key: {name: _read(values) for name, values in measured.items()}
            for key, measured in content["entries"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        warnings.warn(
            f"the cost table {path} is ignored and will be written anew: {type(error).__name__}: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return "", {}


def _read(values: Mapping[str, Any]) -> Measured:
    return Measured(float(values["seconds"]), dict(values.get("config", {})), str(values.get("rejected", "")))


def _text(where: str, entries: Entries) -> str:
    """JSON with one key a line, so that a change of a shipped table can be read."""
    lines: list[str] = []
    for key, measured in sorted(entries.items()):
        shown = {name: _shown(one) for name, one in sorted(measured.items())}
        lines.append(f"  {json.dumps(key)}: {json.dumps(shown)}")
    body = ",\n".join(lines)
    return f'{{\n "schema": {SCHEMA},\n "where": {json.dumps(where)},\n "entries": {{\n{body}\n }}\n}}\n'


def _shown(measured: Measured) -> dict[str, Any]:
    if measured.rejected:
        return {"seconds": 0.0, "config": dict(measured.config), "rejected": measured.rejected}
    found: dict[str, Any] = {"seconds": float(f"{measured.seconds:.3g}")}
    return found | ({"config": dict(measured.config)} if measured.config else {})


@functools.cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"
