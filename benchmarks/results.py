"""Rows of results, how they are shown, and how they are kept."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

import torch


@dataclass(frozen=True)
class Row:
    """One measurement: a case, how it was run, its time, and whether the answer was right."""

    case: str
    variant: str
    median_ms: float
    low_ms: float
    high_ms: float
    runs: int
    """How often it was timed; 0 for what did not run, the reason being in the notes."""
    match: float | None = None
    """Relative l2 distance of the output from eager's."""
    ratio: float | None = None
    """Median over interleaved pairs of baseline time / this time; above one is faster than the baseline."""
    baseline: str = ""
    notes: dict[str, float | str] = field(default_factory=dict)


def show(title: str, rows: Sequence[Row]) -> None:
    """Print a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for column in ("case", "variant", "median ms", "range", "vs baseline", "baseline", "match", "notes"):
        table.add_column(
            column, justify="right" if column in ("median ms", "range", "vs baseline", "match") else "left"
        )
    for row in rows:
        table.add_row(
            row.case,
            row.variant,
            f"{row.median_ms:.4g}" if row.runs else "-",
            f"{row.low_ms:.4g}-{row.high_ms:.4g}" if row.runs else "",
            "" if row.ratio is None else f"{row.ratio:.2f}x",
            row.baseline,
            "" if row.match is None else f"{row.match:.1e}",
            " ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.notes.items()),
        )
    Console(width=None if os.isatty(1) else 180).print(table)


def save(path: Path, name: str, rows: Sequence[Row], device: str, quick: bool) -> None:
    """Write rows, device and versions as JSON, whole or not at all."""
    import regraft

    record = {
        "benchmark": name,
        "device": describe(device),
        "date": date.today().isoformat(),
        "quick": quick,
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "regraft": regraft.__version__,
        },
        "rows": [asdict(row) for row in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(temporary, path)


def describe(device: str) -> str:
    """The device in words: the GPU's name, or the CPU's model and the number of cores in use."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text())
        model = found[1] if found else model
    return f"{model}, {os.cpu_count()} cores"


def device_name(device: str) -> str:
    """A short name for file names."""
    return re.sub(r"\W+", "-", torch.cuda.get_device_name().lower()).strip("-") if device == "cuda" else "cpu"
