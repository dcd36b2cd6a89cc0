"""What a user sees: tables, JSON, progress, and the line that names the next command."""

from __future__ import annotations

import io
import json
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDE = 10_000
"""Columns assumed off a terminal, so that no name is ever cut or folded there."""

_FOLDED = 28
"""Words up to this length stay on one line even where the table has to be narrow."""

Cell = str | int | float | Text | None


def console(stream: TextIO | None = None) -> Console:
    """A console on ``stream`` (stdout by default); plain and wide when that is not a terminal."""
    out: TextIO = stream or sys.stdout
    return Console(file=out, width=None if out.isatty() else _WIDE, highlight=False, markup=False, emoji=False)


def say(text: str | Text, style: str | None = None) -> None:
    """One paragraph of the result."""
    console().print(text, style=style, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, spare: Sequence[str] = ()) -> None:
    """Print a table; a column whose name ends in ``>`` is aligned to the right.

    On a narrow terminal the ``spare`` columns go first, then text folds; nothing is cut.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    out, left_out = console(), set[str]()
    made = _table(columns, cells)
    for name in spare:
        if out.measure(made, options=out.options.update(width=_WIDE)).maximum <= out.width:
            break
        left_out.add(name)
        kept = [at for at, column in enumerate(columns) if column.rstrip(">") not in left_out]
        made = _table([columns[at] for at in kept], [[row[at] for at in kept] for row in cells])
    _print(out, made)
    if left_out:
        note(f"a wider terminal also shows {', '.join(name for name in spare if name in left_out)}")


def emit_json(data: Any) -> None:
    """The whole result on stdout as JSON."""
    print(json.dumps(data, indent=2, default=str))


def note(text: str) -> None:
    """Something said about the result, on stderr."""
    console(sys.stderr).print(text, style="dim", soft_wrap=True)


def next_command(options: Any, *words: str) -> None:
    """Name a useful next command; silent beside ``--json``."""
    if not options.json:
        note(f"next: {shlex.join(['regraft', *words])}")


@contextmanager
def progress(message: str) -> Iterator[Callable[[str], None]]:
    """A spinner on stderr while something slow runs, with a function to say how far it is; nothing off a terminal."""
    if not sys.stderr.isatty():
        yield lambda step: None
        return
    with console(sys.stderr).status(f"{message} ...") as status:
        yield lambda step: status.update(f"{message}: {step} ...")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep stdout for the result while other people's code runs.

    What it prints comes out on stderr when it has succeeded. When it fails the error says it all: PyTorch's partial
    graphs and warnings would bury it.
    """
    disabled = logging.root.manager.disable
    if "TORCH_LOGS" not in os.environ:
        logging.disable(logging.WARNING)
    held = io.StringIO()
    try:
        with redirect_stdout(held), redirect_stderr(held):
            yield
    finally:
        logging.disable(disabled)
    # A progress bar that has come to its end says nothing any more.
    sys.stderr.writelines(line for line in io.StringIO(held.getvalue(), newline="\n") if "\r" not in line)


def milliseconds(seconds: float) -> str:
    """``3.1 ms``, ``2.41 s``."""
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def quantity(value: float, unit: str = "") -> str:
    """``1.2 k``, ``15.2 M``, ``3.4 G`` with a unit."""
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.1f} {prefix}{unit}"
    return f"{value:g} {unit}".rstrip()


def place(where: str) -> str:
    """A ``file:line`` relative to the working directory when it lies inside, or from the package's root."""
    for root, prefix in ((Path.cwd(), ""), (Path(__file__).parents[2], "regraft/")):
        if where.startswith(f"{root}{os.sep}"):
            return prefix + where[len(str(root)) + 1 :]
    return where


def _table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Table:
    made = Table(box=None, header_style="bold", pad_edge=False)
    for at, name in enumerate(columns):
        right = name.endswith(">")
        longest = max((len(word) for row in rows for word in str(row[at]).split()), default=0)
        made.add_column(
            name.rstrip(">"),
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=right,
            # A name is folded only when it is long enough to fill a line of its own.
            min_width=None if right else min(longest, _FOLDED),
        )
    for row in rows:
        made.add_row(*row)
    return made


def _print(out: Console, made: Table) -> None:
    """Off a terminal, without the padding of the last column."""
    if out.is_terminal:
        out.print(made)
        return
    with out.capture() as captured:
        out.print(made)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _cell(value: Cell) -> str | Text:
    if isinstance(value, Text):
        return value
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
