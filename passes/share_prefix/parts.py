"""The parts of one attention: segments of its keys, each with what is left of the mask over it.

A segment that several rows share is a part only where every query of those rows sees all of it, whatever the row; a
segment of which every row has its own copy keeps the mask, shifted by where it starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from ...compiler.analysis.sharing import Segment
from ...compiler.ops.registry import known
from ...compiler.rules import Decline

Size = Any
"""``int`` or ``torch.SymInt``."""


@dataclass(frozen=True)
class Mask:
    """The mask of a call in words, as ``regraft::attention`` takes it."""

    kind: str = "none"
    offset: Size = 0
    window: Size = 0

    def shows(self, start: Size, length: Size, queries: Size) -> bool:
        """Whether it is certain that every query sees every key of a segment."""
        last, newest = start + length - 1, queries - 1 + self.offset
        if self.kind == "none":
            return True
        if self.kind == "causal":
            return known(last <= self.offset)
        if self.kind == "sliding":
            return known(last <= self.offset) and known(start > newest - self.window)
        if self.kind == "prefix":
            return known(last <= self.offset) or known(last < self.window)
        return False

    def behind(self, start: Size) -> Mask | None:
        """The mask of the keys from ``start`` on; ``None`` for a kind that cannot be cut there."""
        if self.kind in ("none", "causal", "sliding", "sliding_bidirectional"):
            return self if self.kind == "none" else Mask(self.kind, self.offset - start, self.window)
        if self.kind == "prefix" and known(start >= self.window):
            return Mask("causal", self.offset - start)
        return None


@dataclass(frozen=True)
class Part:
    """One segment of the keys and of the values, behind those of the levels above that it took in."""

    key: Segment
    value: Segment
    groups: Size
    shared: bool
    mask: Mask
    above: tuple[tuple[Segment, Segment], ...] = ()
    """Of keys and of values, in order; each is copied to the groups of this part."""

    @property
    def start(self) -> Size:
        """The first position."""
        return self.above[0][0].start if self.above else self.key.start

    @property
    def length(self) -> Size:
        """Positions, those of the levels above included."""
        return sum((key.length for key, _ in self.above), self.key.length)


def plan(
    keys: Sequence[Segment], values: Sequence[Segment], mask: Mask, rows: Size, queries: Size
) -> list[Part] | Decline:
    """Parts for segments of keys and values, or why there are none."""
    # Where the last segments begin alike they end alike: attention has as many values as keys.
    if len(keys) != len(values) or not all(
        known(k.start == v.start) and known(k.groups == v.groups) for k, v in zip(keys, values, strict=True)
    ):
        return Decline("keys-and-values-differ", "keys and values are shared over different positions", nearness=4)
    parts: list[Part] = []
    for k, v in zip(keys, values, strict=True):
        shared = not known(k.groups == rows)
        if k.source is None or v.source is None:
            why = "no value of the graph holds the shared keys or values once"
            return Decline("no-source", why, unblock="sink-expand", nearness=4)
        if shared:
            if not mask.shows(k.start, k.length, queries):
                why = f"the {mask.kind} mask may hide a shared key from some query"
                return Decline("prefix-hidden", why, nearness=4)
            parts.append(Part(k, v, k.groups, shared, Mask()))
            continue
        own = mask.behind(k.start)
        if own is None:
            return Decline("mask-not-cut", f"a {mask.kind} mask is not cut at a position", nearness=4)
        parts.append(Part(k, v, k.groups, shared, own))
    return parts


def joinable(parts: Sequence[Part], mask: Mask) -> list[bool]:
    """For each part but the last, whether it may join the one behind it."""
    found: list[bool] = []
    for part, below in pairwise(parts):
        copies = known(part.groups == 1) or (isinstance(part.groups, int) and isinstance(below.groups, int))
        nested = known(part.groups == 1) or known(below.groups % part.groups == 0)
        found.append(part.shared and copies and nested and (below.shared or mask.behind(part.start) is not None))
    return found


def join(parts: Sequence[Part], keep: Sequence[bool], mask: Mask) -> list[Part]:
    """The parts that are kept, each with those before it that are not."""
    found: list[Part] = []
    above: tuple[tuple[Segment, Segment], ...] = ()
    for part, kept in zip(parts, keep, strict=True):
        if not kept:
            above += ((part.key, part.value),)
            continue
        whole = replace(part, above=above)
        own = whole.mask if part.shared else mask.behind(whole.start)
        assert own is not None
        found.append(replace(whole, mask=own))
        above = ()
    return found
