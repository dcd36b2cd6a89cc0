"""The columns of some rows: one tile where they fit, else a loop over tiles. A kernel is written once for both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...lowering.tile import Builder, Tile, cdiv, span
from ...lowering.tile.index import Index
from ...lowering.tile.ir import AXES, Span

Part = Callable[[Span], Tile]
"""What stands in a run of columns: a tile [rows, block]. Memoised, what is one tile is read and computed once."""


@dataclass(frozen=True)
class Columns:
    """Columns of ``rows`` rows, ``block`` at a time; ``whole`` where that is all of them, ``ragged`` if it is more."""

    t: Builder
    rows: Index
    width: Index
    block: Index
    whole: bool
    ragged: bool

    def inside(self, tile: Tile, at: Span) -> Tile:
        """``tile`` with 0 beyond the last column."""
        return tile.mask(self.width - 1 - at.start - AXES[1]) if self.ragged else tile

    def sums(self, *parts: Part) -> list[Tile]:
        """Each part summed over the columns: tiles [rows]."""
        if self.whole:
            return [part(span(0, self.block)).sum(1) for part in parts]
        zeros = {f"sum_{number}": self.t.zeros(self.rows, self.block) for number in range(len(parts))}
        with self.t.loop("chunk", cdiv(self.width, self.block), **zeros) as loop:
            at = span(loop.index * self.block, self.block)
            for name, part in zip(zeros, parts, strict=True):
                loop[name] = loop[name] + part(at)
        return [loop[name].sum(1) for name in zeros]

    def each(self, body: Callable[[Span], None]) -> None:
        """Write ``body`` for every run of columns."""
        if self.whole:
            body(span(0, self.block))
            return
        with self.t.loop("chunk", cdiv(self.width, self.block)) as loop:
            body(span(loop.index * self.block, self.block))


def columns(t: Builder, width: int, rows: int, block: int) -> Columns:
    """Declare the sizes as constants of a program."""
    names = t.constant("ROWS", rows), t.constant("WIDTH", width), t.constant("BLOCK", block)
    return Columns(t, *names, block >= width, width % block > 0)
