"""Capture a model and write its normal form: one graph in pre-dispatch ATen words, weights as inputs."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser
from pathlib import Path

from ...compiler.pipeline import size
from ...compiler.text import print_program
from .arguments import add_model, load, words
from .files import check_output
from .output import FORMATS, write_program
from .render import emit_json, next_command, say


def add_arguments(parser: ArgumentParser) -> None:
    """What to trace, and where the trace goes."""
    add_model(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help=f"write the program ({' or '.join(FORMATS)}) instead of printing it"
    )
    parser.add_argument("--lines", action="store_true", help="print the user's source line behind every call")


def run(options: argparse.Namespace) -> int:
    """Run the verb."""
    output = check_output(options.output, FORMATS)
    subject = load(options)
    if output is not None:
        write_program(output, subject, lines=options.lines)
    facts = {"model": subject.name, "nodes": size(subject.program), "inputs": len(subject.program.user_inputs())}
    if options.json:
        text = {"text": print_program(subject.program, lines=options.lines)} if output is None else {}
        emit_json(facts | {"output": options.output} | text)
    elif output is None:
        print(print_program(subject.program, lines=options.lines), end="")
    else:
        say(f"{options.output}: {facts['nodes']} nodes, {_size(output)}")
    next_command(options, "inspect", *([options.output] if output else words(options, passes=False)))
    return 0


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e3:.0f} kB"
