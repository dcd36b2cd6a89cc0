"""Run one approximate pass at several settings: its bound, the error it makes in the output, and what it saves."""

from __future__ import annotations

import argparse
import itertools
from argparse import ArgumentParser
from dataclasses import asdict

from ...compiler.errors import UsageError
from ..sweep import Row, sweep_program
from .arguments import add_model, add_pipeline, load, split_types, words
from .render import Cell, emit_json, next_command, progress, quantity, quiet, say, table


def add_arguments(parser: ArgumentParser) -> None:
    """What to vary."""
    add_model(parser)
    add_pipeline(parser, default=None)
    group = parser.add_argument_group("what is varied")
    group.add_argument(
        "--values",
        metavar="OPTION=VALUE,...",
        action="append",
        default=[],
        help="values of an option of the pass, e.g. taps=64,128,256; of several options, every combination",
    )


def run(options: argparse.Namespace) -> int:
    """Run the verb."""
    if not options.passes:
        raise UsageError("which pass is to be varied?", hint="e.g. -p truncate-filters --values taps=64,128,256")
    if not options.values:
        raise UsageError("which of its options is to be varied?", hint="e.g. --values taps=64,128,256")
    settings = [dict(combination) for combination in itertools.product(*map(_values, options.values))]
    subject = load(options)
    with progress(f"running {len(settings)} settings"), quiet():
        found = sweep_program(subject.program, subject.inputs, options.passes, settings)
    if options.json:
        emit_json(asdict(found))
    else:
        columns = ("setting", "sites", "bound>", "error>", "FLOPs saved>", "peak memory>", "declined")
        baseline: list[Cell] = [f"without {found.pass_name}", "", "", "", "", quantity(found.peak_bytes, "B"), ""]
        table(columns, [baseline, *map(_row, found.rows)])
        say("\nbound: of a rewritten operator, relative, the worst; error: of the outputs, relative l2", style="dim")
        say("FLOPs saved: of the rewritten operators; peak memory: beside weights and inputs", style="dim")
    worked = [row for row in found.rows if row.rewritten]
    if worked:
        next_command(options, "check", *words(options, passes=False), "-p", min(worked, key=_error).pipeline)
    else:
        pipeline = found.rows[0].pipeline
        next_command(options, "explain", *words(options, passes=False), "-p", pipeline, "--pass", found.pass_name)
    return 0


def _values(text: str) -> list[tuple[str, str]]:
    name, equals, values = text.partition("=")
    pairs = [(name.strip(), value) for value in split_types(values)]
    if not equals or not name.strip() or not pairs:
        raise UsageError(f"--values {text!r} is not OPTION=VALUE,...", hint="e.g. --values taps=64,128,256")
    return pairs


def _row(row: Row) -> list[Cell]:
    return [
        ",".join(f"{name}={value}" for name, value in row.setting.items()),
        f"{row.rewritten} of {row.sites}" if row.sites else "none",
        row.bound,
        f"{row.error:.1e}" if row.rewritten else "",
        "" if row.saved is None else f"{row.saved:.0%}",
        quantity(row.peak_bytes, "B"),
        ", ".join(f"{count} {code}" for code, count in row.declined.items()),
    ]


def _error(row: Row) -> float:
    return row.error
