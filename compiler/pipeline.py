"""Pipelines: text to passes, and running them with verification, statistics and instruments.

The text form is a comma-separated list, ``"default,distill-ssm{order=16,tol=1e-2}"``; ``default`` expands to the exact
pipeline. After every pass the verifier runs; instruments (dumps, numeric checks, progress) see the program before and
after each one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from .errors import RegraftError, UsageError, nearest
from .passes import Numerics, Pass, PassContext, RewriteLimitReached, RuleStatistics
from .program import Program
from .registry import Registry
from .remarks import RemarkLog
from .rewriter import refresh
from .verifier import Snapshot, verify


@dataclass(frozen=True)
class PassRecord:
    """What one pass did."""

    pass_name: str
    text: str
    """The pass with its options, as the pipeline text writes it."""
    numerics: Numerics
    rewrites: int
    nodes_before: int
    nodes_after: int
    seconds: float
    """Of the pass itself, without verification and instruments."""
    statistics: Mapping[str, RuleStatistics]
    skipped: str = ""
    """Why the pass did not run, if it did not."""

    @property
    def changed(self) -> bool:
        """Whether the pass rewrote anything."""
        return self.rewrites > 0


class Instrument(Protocol):
    """Sees the program round every pass."""

    def before_pass(self, pass_: Pass, program: Program) -> None:
        """Called before a pass runs."""

    def after_pass(self, pass_: Pass, program: Program, record: PassRecord) -> None:
        """Called after the pass was verified."""


@dataclass(frozen=True)
class Selection:
    """Which part of a pipeline runs: for looking at it, and for bisection."""

    stop_after: str | None = None
    skip: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()
    limit: Mapping[str, int] = field(default_factory=dict[str, int])
    """At most this many rewrites of the named passes."""

    def check(self, names: Iterable[str]) -> None:
        """Refuse names that are not in the pipeline."""
        known = set(names)
        asked = {*self.skip, *self.only, *self.limit, *([self.stop_after] if self.stop_after else [])}
        for name in sorted(asked - known):
            raise UsageError(f"pass {name!r} is not in the pipeline", hint=nearest(name, known))

    def reason_to_skip(self, name: str) -> str:
        """Why a pass is not to run, or an empty string."""
        if name in self.skip:
            return "skipped by request"
        return "not among the passes asked for" if self.only and name not in self.only else ""


@dataclass
class PipelineResult:
    """The rewritten program and the account of how it came about."""

    program: Program
    records: list[PassRecord]
    remarks: RemarkLog

    @property
    def rewrites(self) -> int:
        """Rewrites of all passes."""
        return sum(record.rewrites for record in self.records)


@dataclass(frozen=True)
class Pipeline:
    """Passes in the order they run."""

    passes: tuple[Pass, ...]

    @classmethod
    def parse(cls, passes: str | Sequence[str | Pass], registry: Registry[Pass], default: str = "") -> Pipeline:
        """Read a pipeline from text, or from a list of texts and passes."""
        items: Sequence[str | Pass] = [passes] if isinstance(passes, str) else passes
        found: list[Pass] = []
        for item in items:
            if isinstance(item, Pass):
                found.append(item)
                continue
            for name, options in split_pipeline(item):
                if name == "default":
                    if options:
                        raise UsageError("'default' takes no options", hint="name the pass itself with its options")
                    found += cls.parse(default, registry).passes
                else:
                    found.append(registry.get(name).from_options(options))
        return cls(tuple(found))

    def __str__(self) -> str:
        """The text form; parses back to an equal pipeline."""
        return ",".join(str(pass_) for pass_ in self.passes)

    def require(self, allowed: Iterable[Numerics], door: str) -> None:
        """Refuse passes whose numerics class a door does not take, by name."""
        allowed = set(allowed)
        for pass_ in self.passes:
            if pass_.numerics not in allowed:
                raise UsageError(
                    f"pass {pass_.name!r} is {pass_.numerics.value} and {door} takes only "
                    + " and ".join(sorted(n.value for n in allowed))
                    + " passes",
                    hint="run it through regraft.optimize(model, inputs, passes=...) instead",
                )

    def run(
        self,
        program: Program,
        *,
        selection: Selection | None = None,
        instruments: Sequence[Instrument] = (),
        device: torch.device | None = None,
        compiled: bool = False,
        verify_each: bool = True,
    ) -> PipelineResult:
        """Rewrite ``program`` in place, pass by pass, for ``device`` and for Inductor if it is to be ``compiled``.

        Raises :class:`~.errors.VerificationError` naming pass, rule and site when a pass leaves a broken program.
        """
        selection = selection or Selection()
        selection.check(pass_.name for pass_ in self.passes)
        result = PipelineResult(program, [], RemarkLog())
        for pass_ in self.passes:
            reason = selection.reason_to_skip(pass_.name)
            ctx = PassContext(
                pass_.name,
                result.remarks,
                fake_mode=program.fake_mode,
                device=device or torch.device("cpu"),
                compiled=compiled,
                limit=selection.limit.get(pass_.name),
            )
            record = _skipped(pass_, program, reason) if reason else _run(pass_, program, ctx, instruments, verify_each)
            result.records.append(record)
            if pass_.name == selection.stop_after:
                break
        return result


def split_pipeline(text: str) -> list[tuple[str, dict[str, str]]]:
    """``"a,b{x=1,y=[2,3]}"`` -> ``[("a", {}), ("b", {"x": "1", "y": "[2,3]"})]``; errors give the column."""
    items: list[tuple[str, dict[str, str]]] = []
    for start, part in _split(text, 0):
        name, brace, rest = part.partition("{")
        name = name.strip()
        if not name:
            if text.strip():
                raise UsageError(f"empty pass name in pipeline {text!r}", where=f"column {start + 1}")
            continue
        options: dict[str, str] = {}
        if brace:
            if not rest.rstrip().endswith("}"):
                raise UsageError(f"missing '}}' after the options of {name!r}", where=f"column {start + 1} of {text!r}")
            for at, option in _split(rest.rstrip()[:-1], start + len(name) + 1):
                key, equals, value = option.partition("=")
                if not equals or not key.strip():
                    raise UsageError(
                        f"option {option.strip()!r} of {name!r} is not 'name=value'",
                        where=f"column {at + 1} of {text!r}",
                    )
                options[key.strip()] = value.strip()
        items.append((name, options))
    return items


def _split(text: str, offset: int) -> list[tuple[int, str]]:
    """Parts between top-level commas, with the position each starts at."""
    parts: list[tuple[int, str]] = []
    depth, start = 0, 0
    for at, char in enumerate(text):
        depth += (char in "{[(") - (char in "}])")
        if depth < 0:
            raise UsageError(f"unbalanced {char!r}", where=f"column {offset + at + 1} of {text!r}")
        if char == "," and depth == 0:
            parts.append((offset + start, text[start:at]))
            start = at + 1
    if depth:
        raise UsageError("unbalanced bracket in the pipeline", where=f"column {offset + len(text)} of {text!r}")
    return [*parts, (offset + start, text[start:])] if text.strip() else []


def _run(
    pass_: Pass, program: Program, ctx: PassContext, instruments: Sequence[Instrument], verify_each: bool
) -> PassRecord:
    for instrument in instruments:
        instrument.before_pass(pass_, program)
    snapshot = Snapshot.of(program) if verify_each else None
    before, start = size(program), time.perf_counter()
    try:
        pass_.run(program, ctx)
    except RewriteLimitReached:
        pass
    except RegraftError:
        raise
    except Exception as error:
        raise RegraftError(
            f"pass {pass_.name!r} failed after {ctx.rewrites} rewrites: {type(error).__name__}: {error}",
            hint=f"skip it with --skip {pass_.name}, or name the passes you want",
        ) from error
    if ctx.relaid:
        for _, module in program.graphs():
            refresh(module.graph, ctx.fake_mode, ctx.relaid)
    seconds = time.perf_counter() - start
    if snapshot is not None and ctx.rewrites:
        verify(program, snapshot, pass_)
    record = PassRecord(
        pass_.name, str(pass_), pass_.numerics, ctx.rewrites, before, size(program), seconds, dict(ctx.statistics)
    )
    trace_structured(pass_, program, record)
    for instrument in instruments:
        instrument.after_pass(pass_, program, record)
    return record


def _skipped(pass_: Pass, program: Program, reason: str) -> PassRecord:
    nodes = size(program)
    return PassRecord(pass_.name, str(pass_), pass_.numerics, 0, nodes, nodes, 0.0, {}, reason)


def size(program: Program) -> int:
    """Number of nodes in all graphs of a program."""
    return sum(len(module.graph.nodes) for _, module in program.graphs())


def trace_structured(pass_: Pass, program: Program, record: PassRecord) -> None:
    """Hand the graph to torch's structured trace log, where tlparse shows it."""
    if not record.changed:
        return

    def metadata() -> dict[str, Any]:
        return {"name": f"after_regraft_{pass_.name.replace('-', '_')}", "encoding": "string"}

    def payload() -> str:
        program.module.recompile()
        return program.module.print_readable(print_output=False, include_stride=True, include_device=True)

    torch._logging.trace_structured("artifact", metadata_fn=metadata, payload_fn=payload)
