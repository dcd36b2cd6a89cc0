"""Find the first rewrite that makes a program bad: first the pass, then the rewrite within it, by binary search.

:func:`bisect` needs a predicate on programs; :func:`numerically_bad` is the usual one. Where the badness comes and goes
along the pipeline, what is found is one place where it comes, not always the first.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import RegraftError
from .numerics import check_program
from .pipeline import Pipeline, PipelineResult, Selection
from .program import Program
from .rewriter import Provenance, provenance

Predicate = Callable[[Program], bool]
"""Whether a program is bad."""


@dataclass(frozen=True)
class Culprit:
    """The rewrite that makes a good program bad."""

    pass_name: str
    position: int
    """Of the pass in the pipeline, from 0."""
    rewrite: int
    """Its number within the pass, from 1; 0 when the pass does the harm without a rewrite, for instance by raising."""
    rule: str
    site: str
    error: str
    """What the pipeline raised, when that is what makes the program bad."""
    runs: int
    """How many programs were looked at."""
    pipeline: str
    good: Program = field(repr=False, compare=False)
    """The program one rewrite earlier."""
    bad: Program = field(repr=False, compare=False)

    @property
    def command(self) -> str:
        """The command line that makes the bad program."""
        limit = f"--limit {self.pass_name}={self.rewrite}"
        return f"regraft run MODEL -p {shlex.quote(self.pipeline)} {limit} --print-ir-after changed"

    def __str__(self) -> str:
        """What was found, and how to see it again."""
        what = f"rewrite {self.rewrite} of pass {self.pass_name!r}" if self.rewrite else f"pass {self.pass_name!r}"
        where = f" (rule {self.rule}, site {self.site})" if self.rule else ""
        error = f"\n  error: {self.error}" if self.error else ""
        return f"{what}{where} makes the program bad{error}\n  reproduce: {self.command}"


def bisect(
    pipeline: Pipeline,
    program: Program,
    bad: Predicate,
    *,
    progress: Callable[[str], None] | None = None,
) -> Culprit | None:
    """The rewrite of ``pipeline`` that makes ``program`` bad, or ``None`` when the whole pipeline leaves it good.

    ``program`` is left as it is. A pass that raises leaves a bad program; what ``bad`` itself raises is passed on.
    Raises :class:`~.errors.RegraftError` when the program is bad before any pass.
    """
    search = _Search(pipeline, bad, progress or _silent)
    if search.is_bad(search.through(program, 0)):
        raise RegraftError("the program is bad before any pass", hint="look at the model or at the predicate itself")
    whole = len(pipeline.passes)
    if not search.is_bad(search.through(program, whole)):
        return None
    # Good before passes[:low + 1], bad after passes[:high].
    low, high = 0, whole
    while high - low > 1:
        middle = (low + high) // 2
        if search.is_bad(search.through(program, middle)):
            high = middle
        else:
            low = middle
    return search.within(search.through(program, low).program, low)


def numerically_bad(program: Program, inputs: Sequence[Any], *, gradients: bool = True) -> Predicate:
    """A predicate: further from ``program`` in fp64 than an exact rewrite of it may be, on these ``inputs``."""
    reference = program.copy()

    def bad(candidate: Program) -> bool:
        return not check_program(reference, candidate, inputs, gradients=gradients, sites=False).ok

    return bad


@dataclass
class _Attempt:
    """A program and, when the pipeline broke off, what it raised."""

    program: Program
    result: PipelineResult | None = None
    error: str = ""


@dataclass
class _Search:
    pipeline: Pipeline
    bad: Predicate
    progress: Callable[[str], None]
    runs: int = 0

    def is_bad(self, attempt: _Attempt) -> bool:
        self.runs += 1
        return bool(attempt.error) or self.bad(attempt.program)

    def through(self, program: Program, count: int) -> _Attempt:
        """The program after the first ``count`` passes."""
        self.progress(f"after {count} of {len(self.pipeline.passes)} passes")
        return _run(Pipeline(self.pipeline.passes[:count]), program, Selection())

    def limited(self, program: Program, position: int, limit: int) -> _Attempt:
        """The program after that many rewrites of one pass."""
        pass_ = self.pipeline.passes[position]
        self.progress(f"{pass_.name}: after {limit} rewrites")
        return _run(Pipeline((pass_,)), program, Selection(limit={pass_.name: limit}))

    def within(self, before: Program, position: int) -> Culprit:
        """The rewrite of one pass that makes ``before`` bad."""
        # How many rewrites there are is not known when the pass raises, so the upper end is found by doubling.
        low, high = -1, 0
        while not self.is_bad(self.limited(before, position, high)):
            low, high = high, max(1, 2 * high)
        while high - low > 1:
            middle = (low + high) // 2
            if self.is_bad(self.limited(before, position, middle)):
                high = middle
            else:
                low = middle
        first_bad = self.limited(before, position, high)
        maker = _maker(first_bad.program, before, self.pipeline.passes[position].name, high)
        return Culprit(
            self.pipeline.passes[position].name,
            position,
            high,
            maker.rule if maker else "",
            maker.site if maker else _last_site(first_bad),
            first_bad.error,
            self.runs,
            str(Pipeline(self.pipeline.passes[: position + 1])),
            good=before if low < 0 else self.limited(before, position, low).program,
            bad=first_bad.program,
        )


def _run(pipeline: Pipeline, program: Program, selection: Selection) -> _Attempt:
    attempt = _Attempt(program.copy())
    try:
        attempt.result = pipeline.run(attempt.program, selection=selection)
        attempt.program.recompile()
    except RegraftError as error:
        attempt.error = str(error)
    return attempt


def _maker(program: Program, before: Program, pass_name: str, number: int) -> Provenance | None:
    """Who made the nodes of one rewrite, unless it only removed some."""
    old = {(path, node.name) for path, module in before.graphs() for node in module.graph.nodes}
    for path, module in program.graphs():
        for node in module.graph.nodes:
            made = provenance(node)
            if made and (made.pass_name, made.number) == (pass_name, number) and (path, node.name) not in old:
                return made
    return None


def _last_site(attempt: _Attempt) -> str:
    passed = [] if attempt.result is None else attempt.result.remarks.of(kind="passed")
    return passed[-1].site if passed else ""


def _silent(message: str) -> None:
    pass
