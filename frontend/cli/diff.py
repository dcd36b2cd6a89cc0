"""What differs between two models' graphs, or between one before and after a pipeline; exit 1 if anything does."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser

from rich.text import Text

from ...compiler.diff import Change, ProgramDiff, diff
from ...compiler.errors import NumericsError, UsageError
from .arguments import add_model, add_pipeline, add_selection, load, parse_pipeline, run_pipeline, selection, words
from .render import console, emit_json, next_command, say, table

DIFFERENT = NumericsError.exit_code

_STYLES = {"-": "red", "+": "green", " ": "dim"}


def add_arguments(parser: ArgumentParser) -> None:
    """What to compare."""
    add_model(parser, count="+")
    add_pipeline(parser, default=None)
    add_selection(parser)
    group = parser.add_argument_group("what is shown")
    group.add_argument("--context", type=int, default=3, metavar="N", help="lines around a change (default 3)")
    group.add_argument("--by-module", action="store_true", help="only how many operators came and went, by module")


def run(options: argparse.Namespace) -> int:
    """Run the verb."""
    if len(options.model) > 2:
        raise UsageError(f"diff takes one or two models, {len(options.model)} were given")
    if len(options.model) == 2:
        if options.passes is not None:
            raise UsageError("a pipeline is for one model", hint="leave out -p, or the second model")
        before, after = (load(options, name).program for name in options.model)
        following = ["run", options.model[0]]
    else:
        pipeline, chosen = parse_pipeline(options.passes or "default"), selection(options)
        chosen.check(pass_.name for pass_ in pipeline.passes)
        subject = load(options, options.model[0])
        before = subject.program.copy()
        run_pipeline(subject, pipeline, selection=chosen, compiled=options.compiled)
        after = subject.program
        following = ["explain", *words(options)]
    found = diff(before, after)
    if options.json:
        emit_json(_plain(found))
    else:
        _show(found, options)
    next_command(options, *following)
    return DIFFERENT if found else 0


def _show(found: ProgramDiff, options: argparse.Namespace) -> None:
    if not found:
        say("the graphs are the same")
        return
    if not options.by_module:
        for sign, text in found.context(options.context):
            console().print(Text(f"{sign} {text}", style=_STYLES[sign]), soft_wrap=True)
        say("")
    rows = [
        (path or "(the model itself)", ", ".join(f"{count:+} {op}" for op, count in ops.items()))
        for path, ops in found.sites().items()
    ]
    if rows:
        table(("module", "operators"), rows)
    counts = ", ".join(f"{len(found.of(kind))} {kind}" for kind in ("added", "removed", "changed"))
    say(f"\n{counts}; {len(found.kept)} nodes are the same")


def _plain(found: ProgramDiff) -> dict[str, object]:
    return {"different": bool(found), "changes": [_change(change) for change in found.changes], "sites": found.sites()}


def _change(change: Change) -> dict[str, object]:
    before, after = (None if node is None else node.name for node in (change.before, change.after))
    return {
        "kind": change.kind,
        "op": change.op,
        "module": change.path,
        "graph": change.graph,
        "before": before,
        "after": after,
    }
