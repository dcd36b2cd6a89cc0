"""Arguments that verbs share, and what they mean: the model, the pipeline, the part of it that runs."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from ...compiler.errors import UsageError
from ...compiler.passes import Pass
from ...compiler.pipeline import Instrument, PassRecord, Pipeline, Selection
from ...compiler.program import Program
from ..dynamic import DynamicDim
from ..models import DTYPES, Request, Subject, load_model
from ..report import Report
from ..rewrite import Check, parse_pipeline, rewrite
from .render import note, progress, quiet


def add_model(parser: ArgumentParser, count: str | None = None) -> None:
    """MODEL and how it is loaded."""
    parser.add_argument("model", metavar="MODEL", nargs=count, help="see below")
    group = parser.add_argument_group("loading")
    group.add_argument(
        "--inputs",
        metavar="TYPES",
        type=split_types,
        default=(),
        help="types of seeded inputs instead of the model's own: 'f32[2, 3], i64[4]', by keyword 'x=f32[2, 3]', "
        "with a dynamic dimension 'f32[2, t=5, 8]'",
    )
    group.add_argument("--device", help="move the model there (cpu, cuda, cuda:1, mps)")
    group.add_argument("--dtype", choices=sorted(DTYPES), help="cast parameters and inputs")
    group.add_argument("--seed", type=int, default=0, help="of random inputs and weights (default 0)")
    group.add_argument("--train", action="store_true", help="trace in training mode (default: evaluation)")
    group.add_argument(
        "--dynamic",
        metavar="NAME:DIM[=MIN..MAX]",
        action="append",
        default=[],
        help="a dimension of an argument of forward that is of any size; may be repeated",
    )


def add_pipeline(parser: ArgumentParser, default: str | None = "default") -> None:
    """The passes."""
    parser.add_argument(
        "-p",
        "--passes",
        default=default,
        metavar="PIPELINE",
        help="passes with their options, e.g. 'default,raise-norm{option=value}'"
        + (f" (default: {default})" if default else ""),
    )


def add_selection(parser: ArgumentParser, *, compiled: bool = True) -> None:
    """Which part of the pipeline runs."""
    group = parser.add_argument_group("part of the pipeline")
    group.add_argument("--stop-after", metavar="PASS", help="leave out what comes after this pass")
    group.add_argument("--skip", metavar="PASS,...", type=names, action="extend", default=[], help="leave these out")
    group.add_argument("--only", metavar="PASS,...", type=names, action="extend", default=[], help="run only these")
    group.add_argument(
        "--limit", metavar="PASS=N", action="append", default=[], help="at most N rewrites of a pass; may be repeated"
    )
    if compiled:
        group.add_argument("--compiled", action="store_true", help="rewrite for Inductor, which fuses what it compiles")


def request(options: argparse.Namespace) -> Request:
    """How the model is to be loaded."""
    dynamic = [DynamicDim.parse(text) for text in options.dynamic]
    return Request(tuple(options.inputs), options.device, options.dtype, options.seed, options.train, tuple(dynamic))


def load(options: argparse.Namespace, name: str | None = None) -> Subject:
    """Load and trace MODEL, saying what was assumed."""
    name = name or str(options.model)
    wanted = request(options)
    with progress(f"loading and tracing {name}"), quiet():
        subject = load_model(name, wanted)
    for text in subject.notes:
        note(f"{name}: {text}")
    return subject


def selection(options: argparse.Namespace) -> Selection:
    """The part of the pipeline that runs."""
    limits: dict[str, int] = {}
    for text in options.limit:
        name, equals, number = text.partition("=")
        if not equals or not number.isdigit():
            raise UsageError(f"--limit {text!r} is not PASS=N", hint="e.g. --limit raise-norm=3")
        limits[name] = int(number)
    return Selection(options.stop_after, frozenset(options.skip), frozenset(options.only), limits)


def run_pipeline(
    subject: Subject,
    pipeline: Pipeline,
    *,
    selection: Selection | None = None,
    instruments: Sequence[Instrument] = (),
    check: Check = "off",
    compiled: bool = False,
) -> Report:
    """Rewrite the subject's program in place; an error leaves with the program it happened to."""
    last = _LastProgram()
    devices = {value.device for value in (subject.program.weights or {}).values()}
    try:
        with progress(f"rewriting {subject.name}"):
            return rewrite(
                subject.program,
                pipeline,
                subject.inputs,
                check=check,
                selection=selection,
                instruments=[last, *instruments],
                device=next(iter(devices), None),
                compiled=compiled,
            )
    except Exception as error:
        error.program_text = last.text()  # type: ignore[attr-defined]
        raise


def split_types(text: str) -> list[str]:
    """``"f32[2, 3], i64[4]"`` at its top-level commas."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "[") - (char == "]")
        if char == "," and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def names(text: str) -> list[str]:
    """Names between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


class _LastProgram:
    """Keeps the program as the last pass found it, for the reproducer of an internal error."""

    def __init__(self) -> None:
        self._held: Program | None = None

    def before_pass(self, pass_: Pass, program: Program) -> None:
        self._held = program.copy()

    def after_pass(self, pass_: Pass, program: Program, record: PassRecord) -> None:
        """Nothing to do: the next pass starts from what this one left."""

    def text(self) -> str | None:
        from ...compiler.text import print_program

        try:
            return None if self._held is None else print_program(self._held)
        except Exception:
            # The account of one error must not be lost to another.
            return None


def words(options: Any, *, passes: bool = True) -> list[str]:
    """MODEL and the options that make another command about the same thing."""
    given = [options.model] if isinstance(options.model, str) else list(options.model)
    for flag in ("device", "dtype"):
        if getattr(options, flag):
            given += [f"--{flag}", getattr(options, flag)]
    if options.inputs:
        given += ["--inputs", ", ".join(options.inputs)]
    given += ["--train"] if options.train else []
    for text in options.dynamic:
        given += ["--dynamic", text]
    if passes and options.passes and options.passes != "default":
        given += ["-p", options.passes]
    return given


__all__ = [
    "add_model",
    "add_pipeline",
    "add_selection",
    "load",
    "names",
    "parse_pipeline",
    "request",
    "run_pipeline",
    "selection",
    "words",
]
