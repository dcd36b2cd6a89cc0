"""Compare a model before and after each pass with fp64: outputs, gradients and rewritten sites, with the tolerances."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, BooleanOptionalAction

from ...compiler.errors import NumericsError
from ...compiler.numerics import NumericsInstrument
from .arguments import add_model, add_pipeline, add_selection, load, parse_pipeline, run_pipeline, selection, words
from .numerics import show_details, show_summary
from .render import emit_json, next_command, say


def add_arguments(parser: ArgumentParser) -> None:
    """What to compare."""
    add_model(parser)
    add_pipeline(parser)
    add_selection(parser)
    group = parser.add_argument_group("comparison")
    group.add_argument("--gradients", action=BooleanOptionalAction, default=True, help="compare gradients, too")
    group.add_argument("--sites", action=BooleanOptionalAction, default=True, help="compare every rewritten place, too")
    group.add_argument("--at-end", action="store_true", help="one comparison over the whole pipeline, not one a pass")
    group.add_argument("--all", action="store_true", help="list every value, not only the worst of each kind")


def run(options: argparse.Namespace) -> int:
    """Run the verb."""
    pipeline, chosen = parse_pipeline(options.passes), selection(options)
    chosen.check(pass_.name for pass_ in pipeline.passes)
    subject = load(options)
    checker = NumericsInstrument(
        subject.inputs,
        mode="end" if options.at_end else "each",
        gradients=options.gradients,
        sites=options.sites,
        keep_going=True,
    )
    run_pipeline(subject, pipeline, selection=chosen, instruments=[checker], compiled=options.compiled)
    report = checker.finish(subject.program)
    if options.json:
        emit_json(report.to_json())
    else:
        show_summary(report)
        show_details(report, everything=options.all)
        if report.records:
            say(f"\n{'every pass kept its promise' if report.ok else 'a pass broke its promise'}")
    if not report.ok:
        next_command(options, "bisect", *words(options))
        return NumericsError.exit_code
    next_command(options, "bench", *words(options))
    return 0
