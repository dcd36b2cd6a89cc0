"""Find the first pass, and the first rewrite within it, that makes a model's numbers worse than an exact one may."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, BooleanOptionalAction

from ...compiler.bisect import Culprit, bisect, numerically_bad
from ...compiler.errors import NumericsError
from ...compiler.text import print_program
from .arguments import add_model, add_pipeline, load, parse_pipeline, words
from .files import check_folder, write
from .render import emit_json, next_command, progress, say


def add_arguments(parser: ArgumentParser) -> None:
    """Where to search."""
    add_model(parser)
    add_pipeline(parser)
    parser.add_argument(
        "--gradients", action=BooleanOptionalAction, default=True, help="gradients count, too (default: they do)"
    )
    parser.add_argument("--tree-dir", metavar="DIR", help="write the last good and the first bad program there")


def run(options: argparse.Namespace) -> int:
    """Run the verb."""
    pipeline = parse_pipeline(options.passes)
    tree = check_folder(options.tree_dir)
    subject = load(options)
    bad = numerically_bad(subject.program, subject.inputs, gradients=options.gradients)
    with progress("bisecting") as step:
        culprit = bisect(pipeline, subject.program, bad, progress=step)
    if culprit is None:
        if options.json:
            emit_json(None)
        else:
            say("the pipeline keeps the numbers of this model")
        next_command(options, "check", *words(options))
        return 0
    if tree is not None:
        write(tree / "good.ir.py", print_program(culprit.good))
        write(tree / "bad.ir.py", print_program(culprit.bad))
    if options.json:
        emit_json(_plain(culprit))
    else:
        say(str(culprit).split("\n  reproduce:")[0])
    limit = ["--limit", f"{culprit.pass_name}={culprit.rewrite}", "--print-ir-after", culprit.pass_name]
    next_command(options, "run", *words(options, passes=False), "-p", culprit.pipeline, *limit)
    return NumericsError.exit_code


def _plain(culprit: Culprit) -> dict[str, object]:
    names = ("pass_name", "position", "rewrite", "rule", "site", "error", "runs", "pipeline")
    return {name: getattr(culprit, name) for name in names}
