"""Run a pipeline over a model, pass by pass, and say what each pass did."""

from __future__ import annotations

import argparse
import json
import sys
from argparse import ArgumentParser
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from rich.text import Text

from ...compiler.errors import RegraftError, UsageError, nearest
from ...compiler.passes import Pass
from ...compiler.pipeline import PassRecord, Pipeline
from ...compiler.program import Program
from ...compiler.text import print_program
from ..report import Report
from ..rewrite import Check
from .arguments import add_model, add_pipeline, add_selection, load, parse_pipeline, run_pipeline, selection, words
from .files import check_folder, check_output, write
from .numerics import show_summary
from .output import FORMATS, write_program
from .render import Cell, console, emit_json, milliseconds, next_command, place, say, table


def add_arguments(parser: ArgumentParser) -> None:
    """What to run, on what, and what to show."""
    add_model(parser)
    add_pipeline(parser)
    add_selection(parser)
    shown = parser.add_argument_group("what is shown and kept")
    shown.add_argument(
        "--check",
        choices=get_args(Check),
        default="end",
        help="compare numbers with the program before and with fp64 after each pass, at the end (default), or not",
    )
    shown.add_argument(
        "--print-ir-after", metavar="all|changed|PASS", help="print the program after these passes, on stderr"
    )
    shown.add_argument("--tree-dir", metavar="DIR", help="write the program after each pass, and the remarks, there")
    shown.add_argument("--time", action="store_true", help="show the time of each pass")
    shown.add_argument("--stats", action="store_true", help="show each rule: places looked at, matches, rewrites, time")
    shown.add_argument("-o", "--output", metavar="OUT", help=f"write the result ({' or '.join(FORMATS)})")


def run(options: argparse.Namespace) -> int:
    """Run the verb."""
    pipeline, chosen = parse_pipeline(options.passes), selection(options)
    chosen.check(pass_.name for pass_ in pipeline.passes)
    check_print_after(options.print_ir_after, pipeline)
    output = check_output(options.output, FORMATS)
    tree = check_folder(options.tree_dir)
    subject = load(options)

    instruments: list[_Printer | _Tree] = []
    if options.print_ir_after:
        instruments.append(_Printer(options.print_ir_after))
    if tree is not None:
        write(tree / "00-input.ir.py", print_program(subject.program))
        instruments.append(_Tree(tree))
    report = run_pipeline(
        subject, pipeline, selection=chosen, instruments=instruments, check=options.check, compiled=options.compiled
    )
    if tree is not None:
        write(tree / "remarks.json", json.dumps([remark.to_json() for remark in report.remarks], indent=2))
    if output is not None:
        write_program(output, subject)

    if options.json:
        emit_json(report.to_json() | ({"statistics": statistics(report)} if options.stats else {}))
    else:
        show(report, timed=options.time)
        if options.stats:
            show_statistics(report)
    if any(remark.kind == "missed" for remark in report.remarks):
        next_command(options, "explain", *words(options), "--missed")
    elif report.rewrites:
        next_command(options, "bench", *words(options))
    else:
        next_command(options, "inspect", *words(options, passes=False))
    return RegraftError.exit_code if any(remark.kind == "failure" for remark in report.remarks) else 0


def check_print_after(what: str | None, pipeline: Pipeline) -> None:
    """Refuse a name that is not in the pipeline."""
    known = {pass_.name for pass_ in pipeline.passes} | {"all", "changed"}
    if what is not None and what not in known:
        raise UsageError(f"--print-ir-after: pass {what!r} is not in the pipeline", hint=nearest(what, known))


def show(report: Report, *, timed: bool = False) -> None:
    """The table of passes, the reasons of the declined sites, and the numeric verdict."""
    columns = ["pass", "numerics", "sites", "rewrites>", "nodes>", *(["time>"] if timed else []), ""]
    rows: list[list[Cell]] = []
    for record in report.records:
        row: list[Cell] = [record.pass_name, record.numerics.value]
        if record.skipped:
            rows.append([*row, *[""] * (3 + timed), record.skipped])
            continue
        row += [verdicts(report, record), record.rewrites, _nodes(record)]
        row += [milliseconds(record.seconds)] if timed else []
        rows.append([*row, ""])
    table(columns, rows)
    if timed:
        say(f"all passes: {milliseconds(sum(record.seconds for record in report.records))}")
    reasons = Counter((r.pass_name, r.code, r.message) for r in report.remarks if r.kind in ("missed", "failure"))
    if reasons:
        say("")
        table(("declined by", "sites>", "because"), [(p, n, f"{m} [{c}]") for (p, c, m), n in reasons.most_common(12)])
    if report.dialect:
        say(f"\ndialect: {', '.join(f'{count} {name}' for name, count in report.dialect.items())}")
    if report.predicted_gain is not None and report.rewrites:
        say(f"predicted gain with nothing fused: {report.predicted_gain:.2f}x (regraft bench measures it)")
    if report.numerics is not None:
        say("")
        show_summary(report.numerics)


def verdicts(report: Report, record: PassRecord) -> Text:
    """``28 of 28``; a pass that found places and rewrote none of them stands out."""
    counts = Counter(r.kind for r in report.remarks if r.pass_name == record.pass_name and r.site)
    tried = counts["passed"] + counts["missed"] + counts["failure"]
    if not tried:
        return Text("none" if not record.rewrites else "")
    if record.rewrites and not counts["passed"]:
        # Rewrites too small to have a site of their own.
        return Text(f"{tried} declined")
    return Text(f"{counts['passed']} of {tried}", style="" if counts["passed"] else "bold yellow")


def statistics(report: Report) -> list[dict[str, object]]:
    """One record per rule."""
    return [
        {"pass": record.pass_name, "rule": rule, **asdict(found)}
        for record in report.records
        for rule, found in record.statistics.items()
    ]


def show_statistics(report: Report) -> None:
    """How each rule fared, and where it is written."""
    columns = ("pass", "rule", "looked at>", "matched>", "declined>", "rewrote>", "time>", "where")
    rows = [
        (record.pass_name, rule, s.attempts, s.matches, s.declined, s.rewrites, milliseconds(s.seconds), place(s.where))
        for record in report.records
        for rule, s in record.statistics.items()
    ]
    say("")
    table(columns, rows, spare=("declined", "time", "looked at", "matched"))


def _nodes(record: PassRecord) -> str:
    if record.nodes_before == record.nodes_after:
        return str(record.nodes_after)
    return f"{record.nodes_before} -> {record.nodes_after}"


class _Printer:
    """Prints the program after passes."""

    def __init__(self, what: str) -> None:
        self.what = what

    def before_pass(self, pass_: Pass, program: Program) -> None:
        """Only what a pass leaves is printed."""

    def after_pass(self, pass_: Pass, program: Program, record: PassRecord) -> None:
        wanted = self.what in ("all", pass_.name) or (self.what == "changed" and record.changed)
        if wanted:
            heading = f"# after {record.text}: {record.rewrites} rewrites"
            console(sys.stderr).print(f"{heading}\n{print_program(program)}", soft_wrap=True)


class _Tree:
    """Writes the program after every pass that ran, numbered."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def before_pass(self, pass_: Pass, program: Program) -> None:
        """Only what a pass leaves is written."""

    def after_pass(self, pass_: Pass, program: Program, record: PassRecord) -> None:
        self.count += 1
        write(self.folder / f"{self.count:02}-{pass_.name}.ir.py", print_program(program))
