"""Which keys a query sees: for every mask kind an interval, whose ends both grow with the query.

So a tile of queries needs the tiles of keys between two ends, of which those between two others are seen by all of its
queries and need no mask; and a tile of keys has its tiles of queries in the same way. With r = query + offset and
block(r) = r // window:

=======================  =====================================  =================================================
mask                     first .. last key of a query           first .. last query of a key
=======================  =====================================  =================================================
none                     every key                              every query
causal                   .. r                                   key - offset ..
sliding                  r - window + 1 .. r                    key - offset .. key - offset + window - 1
sliding_bidirectional    r - window + 1 .. r + window - 1       key - offset - window + 1 .. key - offset + window - 1
prefix                   .. max(r, window - 1)                  key - offset .., all for key < window
block_diagonal           the block of r                         the block of the key, less offset
block_causal             .. the last of the block of r          the first of the block of the key, less offset ..
=======================  =====================================  =================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy

from ...lowering.tile import Builder, Tile, cdiv, floordiv
from ...lowering.tile.build import Carried
from ...lowering.tile.index import Index

WINDOWED = ("sliding", "sliding_bidirectional", "prefix", "block_diagonal", "block_causal")
"""Mask kinds with a window."""


@dataclass(frozen=True)
class Visible:
    """A mask kind with its numbers. Ends are ``None`` where there is none; they may lie outside of the sequence."""

    mask: str
    offset: Any = 0
    window: Any = 0

    def first(self, query: Any) -> Any:
        """The first key of a query, an index or a tile of them."""
        if self.mask.startswith("sliding"):
            return query + (self.offset - self.window + 1)
        return self._block(query) * self.window if self.mask == "block_diagonal" else None

    def last(self, query: Any) -> Any:
        """The last key of a query."""
        if self.mask in ("causal", "sliding"):
            return query + self.offset
        if self.mask == "sliding_bidirectional":
            return query + (self.offset + self.window - 1)
        if self.mask == "prefix":
            return _maximum(query + self.offset, self.window - 1)
        return None if self.mask == "none" else self._block(query) * self.window + (self.window - 1)

    def first_query(self, key: Index) -> Any:
        """The first query that sees a key, or anything below 0 if that is the first of all."""
        if self.mask in ("causal", "sliding"):
            return key - self.offset
        if self.mask == "sliding_bidirectional":
            return key - self.offset - self.window + 1
        if self.mask == "prefix":
            return (key - self.offset) * at_least(key, self.window)
        return None if self.mask == "none" else floordiv(key, self.window) * self.window - self.offset

    def last_query(self, key: Index) -> Any:
        """The last query that sees a key."""
        if self.mask.startswith("sliding"):
            return key - self.offset + self.window - 1
        if self.mask == "block_diagonal":
            return (floordiv(key, self.window) + 1) * self.window - 1 - self.offset
        return None

    def _block(self, query: Any) -> Any:
        # Of positions before the first key the block is -1, whichever it would be.
        above = _maximum(query + (self.offset + self.window), 0)
        if isinstance(above, Tile):
            return above.builder.map("floordiv", above, self.window) - sympy.Integer(1)
        return floordiv(above, self.window) - 1


@dataclass(frozen=True)
class Stretch:
    """The tiles from ``begin`` up to ``end``, of which those from ``full`` up to ``full_end`` need no mask."""

    begin: Index
    full: Index
    full_end: Index
    end: Index


Step = Callable[[Index, Carried, bool], None]
"""What is done for the tile of an index; the last argument tells whether it has to be masked."""


def key_tiles(t: Builder, seen: Visible, queries: tuple[Index, Index], keys: Index, block: Index) -> Stretch:
    """The tiles of ``block`` keys, out of ``keys``, that queries from the first to the last given one see."""
    first, last = queries
    until, all_until = (_within(_after(seen.last(query)), keys) for query in (last, first))
    end = t.define("end", cdiv(until, block))
    if seen.first(first) is None:
        return Stretch(sympy.Integer(0), sympy.Integer(0), t.define("full_end", floordiv(all_until, block)), end)
    begin = t.define("begin", sympy.Min(floordiv(_above(seen.first(first)), block), end))
    return _ordered(t, begin, cdiv(_above(seen.first(last)), block), floordiv(all_until, block), end)


def query_tiles(t: Builder, seen: Visible, keys: tuple[Index, Index], queries: Index, block: Index) -> Stretch:
    """The tiles of ``block`` queries, out of ``queries``, that see keys from the first to the last given one."""
    first, last = keys
    end = t.define("end", cdiv(_within(_after(seen.last_query(last)), queries), block))
    if seen.first_query(first) is None:
        return Stretch(sympy.Integer(0), sympy.Integer(0), end, end)
    begin = t.define("begin", sympy.Min(floordiv(_above(seen.first_query(first)), block), end))
    full = cdiv(_above(seen.first_query(last)), block)
    if seen.last_query(first) is None:
        full = t.define("full", sympy.Min(full, end))
        return Stretch(begin, full, end, end)
    return _ordered(t, begin, full, floordiv(_above(_after(seen.last_query(first))), block), end)


def visit(t: Builder, tiles: Stretch, stages: int, step: Step, **carries: Tile) -> dict[str, Tile]:
    """Run ``step`` over the tiles that need no mask, then over those at the edges; what the carries came to."""
    with t.loop("tile", tiles.full_end, start=tiles.full, stages=stages, **carries) as loop:
        step(loop.index, loop, False)
    carries = {name: loop[name] for name in carries}
    before, after = tiles.full - tiles.begin, tiles.end - tiles.full_end
    if before + after == 0:
        return carries
    with t.loop("edge", before + after, stages=stages, **carries) as loop:
        tile = tiles.full_end + loop.index
        if before != 0:
            skipped = (tiles.full_end - tiles.full) * at_least(loop.index, before) if after != 0 else 0
            tile = tiles.begin + loop.index + skipped
        step(t.define("tile", tile), loop, True)
    return {name: loop[name] for name in carries}


def _ordered(t: Builder, begin: Index, full: Index, full_end: Index, end: Index) -> Stretch:
    """A stretch whose tiles without a mask lie between its ends, and are not less than none."""
    full = t.define("full", sympy.Max(begin, sympy.Min(full, end)))
    return Stretch(begin, full, t.define("full_end", sympy.Max(full, sympy.Min(full_end, end))), end)


def _after(end: Any) -> Any:
    return None if end is None else end + 1


def _above(index: Any) -> Any:
    return sympy.Max(index, 0)


def _within(end: Any, size: Index) -> Any:
    return size if end is None else sympy.Min(_above(end), size)


def at_least(x: Index, bound: Index) -> Any:
    """1 or 0."""
    return sympy.Min(sympy.Max(x - bound + 1, 0), 1)


def _maximum(x: Any, y: Any) -> Any:
    return x.builder.map("maximum", x, y) if isinstance(x, Tile) else sympy.Max(x, y)
