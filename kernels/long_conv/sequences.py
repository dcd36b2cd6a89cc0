"""A batch's sequences in the tile programs: tasks of a channel that go through pairs of them, and their samples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import sympy

from ...lowering.tile import Builder, Tile, cdiv, floordiv, spans
from ...lowering.tile.build import Carried
from ...lowering.tile.chain import Chain, chain
from ...lowering.tile.ir import Buffer

Samples = tuple[Any, ...]
"""Which samples a tile has, and in which order: the first one's number and (size, step) of each axis."""


@contextmanager
def turns(t: Builder, name: str, group: Any, count: int, total: Any, **sums: Tile) -> Iterator[Carried]:
    """The ``count`` turns of a group, of ``total``: a loop, or none where it is but one; ``sums`` are carried."""
    if count == 1:
        yield Carried(group, dict(sums))
        return
    first = group * count
    with t.loop(name, sympy.Min(first + count, total), start=first, **sums) as loop:
        yield loop


@dataclass(frozen=True)
class Work:
    """Pointwise work on a result [B, H, T], and the buffers of its operands and results."""

    chain: Chain
    beside: Mapping[str, Buffer]
    results: Sequence[Buffer]

    @classmethod
    def of(
        cls,
        t: Builder,
        shape: tuple[Any, ...],
        text: str,
        outputs: tuple[str, ...],
        extras: tuple[str, ...],
        dtype: str,
    ) -> Work:
        """Declare them: y in ``dtype`` without a text, else out0, out1, ... and the operands by their names."""
        after = chain(text or "x")
        beside = {name: t.input(name, shape, kind) for name, kind in zip(after.extras, extras, strict=True)}
        kinds = {f"out{at}": kind for at, kind in enumerate(outputs)} if text else {"y": dtype}
        return cls(after, beside, [t.output(name, shape, kind) for name, kind in kinds.items()])


class Sequences:
    """The sizes B and H, the tasks, and the walk of a task through pairs of sequences."""

    def __init__(self, t: Builder, dtype: str, *, paired: bool, turns: int) -> None:
        """For products in ``dtype``; ``turns`` pairs, or sequences, a task."""
        self.t, self.dtype, self.paired, self._turns = t, dtype, paired, turns
        self.B, self.H = t.sizes("B", "H")
        self.pairs = floordiv(self.B + 1, 2) if paired else self.B
        self.groups = cdiv(self.pairs, turns)

    def start(self, *axes: tuple[str, Any]) -> tuple[Any, ...]:
        """Declare the tasks: of a channel, a group of turns, and what ``axes`` say."""
        self.h, self.group, *rest = self.t.tasks(("h", self.H), ("group", self.groups), *axes)
        return (self.h, self.group, *rest)

    @contextmanager
    def turns(self, samples: Samples, **sums: Tile) -> Iterator[Turn]:
        """What a task goes through; ``sums`` are carried."""
        name = "pair" if self.paired else "b"
        with turns(self.t, name, self.group, self._turns, self.pairs, **sums) as loop:
            yield self._turn(loop.index, samples, loop)

    def _turn(self, pair: Any, samples: Samples, sums: Carried) -> Turn:
        if not self.paired:
            return Turn(self, pair, (pair,), (1,), samples, sums)
        first, left = 2 * pair, self.t.define("left", self.B - 1 - 2 * pair)
        return Turn(self, pair, (first, first + sympy.Min(1, left)), (1, left), samples, sums)


def behind(epilogue: str) -> str:
    """What a program's docstring says of the work behind y."""
    return " out = {}.".format(re.sub(r"\bx\b", "y", epilogue)) if epilogue else ""


@dataclass(frozen=True)
class Turn:
    """One pair of sequences, or one sequence."""

    s: Sequences
    pair: Any
    places: tuple[Any, ...]
    left: tuple[Any, ...]
    """0 for a second sequence that is missing: it has no samples, and its place is the first one's."""
    samples: Samples
    sums: Carried

    def at(self, samples: Samples) -> Turn:
        """The same sequences, other samples."""
        return replace(self, samples=samples)

    def load(self, buffer: Buffer, part: int, name: str | None = None) -> Tile:
        """The samples of a sequence."""
        return self.s.t.load(buffer, self._at(buffer, part), name=name)

    def store(self, buffer: Buffer, part: int, value: Tile) -> None:
        """Write them, those that there are."""
        self.s.t.store(buffer, self._at(buffer, part), value)

    def product(self, a: Buffer, b: Buffer | None, name: str) -> list[Tile]:
        """a, or a b in fp32, in the type of products, for each sequence."""
        t, parts = self.s.t, range(len(self.places))
        names = [f"{name}{part}" if self.s.paired else name for part in parts]
        if b is None:
            return [self.load(a, part, names[part]) for part in parts]
        return [t.let(names[part], (self.load(a, part).f32 * self.load(b, part).f32).cast(self.s.dtype))
                for part in parts]  # fmt: skip

    def finish(self, part: int, value: Tile, work: Work) -> None:
        """Do the work behind the convolution on a sequence of it, and write what comes of that."""
        made = work.chain.apply(self.s.t, value, lambda name: self.load(work.beside[name], part, name))
        for result, tile in zip(work.results, made, strict=True):
            self.store(result, part, tile)

    def _at(self, buffer: Buffer, part: int) -> tuple[Any, ...]:
        (start, *axes), left, length = self.samples, self.left[part], buffer.shape[2]
        limit = None if left == 1 else sympy.Min(length, length * left)
        return (self.places[part], self.s.h, spans(start, *axes, limit=limit))
