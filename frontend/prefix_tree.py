"""Prefixes that the rows of a batch have in common, found from their token ids with a radix tree.

Only ids are compared, never keys or values: equal ids at equal positions give equal states under causal attention.
A level costs one more attention and one more merge for all rows, so nodes that are short or have few rows are left
to what is below them (Hydragen, arXiv 2402.05099, section 3.4, for the tree).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

from ..compiler.errors import UsageError
from .prefix_rows import Ids, as_rows

MIN_LENGTH = 64
"""Tokens of the shortest node made by default: a level of 64 tokens for two rows gains nothing on CPUs."""


@dataclass(frozen=True)
class PrefixLevel:
    """Nodes of one depth, in the order of the rows below them; rows that share nothing there are under an empty one."""

    ids: tuple[Ids, ...]
    parents: tuple[int, ...]
    """For each node, that of the level above it; 0 in the first level."""


@dataclass(frozen=True)
class PrefixGroups:
    """A batch ordered so that rows with a common prefix are neighbours, and the tree of these prefixes."""

    order: tuple[int, ...]
    """For each place, the row of the batch that stands there."""
    levels: tuple[PrefixLevel, ...]
    rows: tuple[int, ...]
    """How many rows each node of the last level has; all rows in one number if nothing is shared."""
    suffixes: tuple[Ids, ...]
    """What follows its prefixes in each row, in the new order; one token at least."""

    def arrange(self, items: Any) -> Any:
        """The rows of a tensor or a list, in the tree's order."""
        return _picked(items, self.order)

    def undo(self, items: Any) -> Any:
        """Results in the order of the batch: a tensor [n B, ...] or a sequence of n B items, n for each row."""
        count, left = divmod(len(items), len(self.order))
        if left:
            raise UsageError(f"{len(items)} results are no multiple of the batch of {len(self.order)}")
        place = {row: index for index, row in enumerate(self.order)}
        back = [place[row] * count + i for row in range(len(self.order)) for i in range(count)]
        return _picked(items, back)


def group_by_prefix(
    batch: Any, attention_mask: Tensor | None = None, *, min_length: int = MIN_LENGTH, min_rows: int = 2
) -> PrefixGroups:
    """Find the tree of prefixes of a batch of ids: [B, T] (without what ``attention_mask`` hides) or B lists.

    A node has at least ``min_length`` tokens and ``min_rows`` rows. The last token of a row is never in a node, since
    decoding starts from it. Raises :class:`UsageError` for an empty batch or row, or limits below 1 and 2.
    """
    ids = as_rows(batch, attention_mask)
    if not ids or not all(ids):
        raise UsageError("a batch of ids needs rows, and every row a token", hint="drop what is empty")
    if min_length < 1 or min_rows < 2:
        raise UsageError(f"min_length {min_length} and min_rows {min_rows} must be at least 1 and 2")
    nodes = _grown(ids, list(range(len(ids))), 0, min_length, min_rows)
    levels: list[PrefixLevel] = []
    parents = [0] * len(nodes)
    while any(node.ids for node in nodes):
        levels.append(PrefixLevel(tuple(node.ids for node in nodes), tuple(parents)))
        if not any(node.children for node in nodes):
            break
        below = [(at, child) for at, node in enumerate(nodes) for child in node.children or [_Node((), node.rows)]]
        parents, nodes = [at for at, _ in below], [child for _, child in below]
    order = tuple(row for node in nodes for row in node.rows)
    shared = _shared_lengths(levels)
    leaves = [at for at, node in enumerate(nodes) for _ in node.rows]
    suffixes = tuple(ids[row][shared[leaf] if levels else 0 :] for row, leaf in zip(order, leaves, strict=True))
    sizes = tuple(len(node.rows) for node in nodes) if levels else (len(ids),)
    return PrefixGroups(order, tuple(levels), sizes, suffixes)


@dataclass(frozen=True)
class _Node:
    ids: Ids
    rows: list[int]
    children: list[_Node] = field(default_factory=list)


def _picked(items: Any, rows: Sequence[int]) -> Any:
    return items[torch.tensor(rows, device=items.device)] if isinstance(items, Tensor) else [items[i] for i in rows]


def _grown(ids: Sequence[Ids], rows: list[int], start: int, min_length: int, min_rows: int) -> list[_Node]:
    """Nodes that cover these rows, which are equal up to ``start``."""
    if len(rows) < min_rows:
        return [_Node((), rows)]
    end = _common(ids, rows, start)
    if end - start < min_length:
        return _branches(ids, rows, start, end, min_length, min_rows)
    children = _branches(ids, rows, end, end, min_length, min_rows)
    ordered = [row for child in children for row in child.rows]
    return [_Node(ids[rows[0]][start:end], ordered, children if any(child.ids for child in children) else [])]


def _branches(ids: Sequence[Ids], rows: list[int], start: int, at: int, min_length: int, min_rows: int) -> list[_Node]:
    """Nodes from ``start`` on of rows that part at ``at``; those that share nothing are under one empty node."""
    loose = [row for row in rows if len(ids[row]) == at + 1]
    by_token: dict[int, list[int]] = {}
    for row in rows:
        if len(ids[row]) > at + 1:
            by_token.setdefault(ids[row][at], []).append(row)
    found: list[_Node] = []
    for group in by_token.values():
        for node in _grown(ids, group, start, min_length, min_rows):
            if node.ids:
                found.append(node)
            else:
                loose += node.rows
    return [*found, _Node((), sorted(loose))] if loose else found


def _common(ids: Sequence[Ids], rows: list[int], start: int) -> int:
    """The first position at which the rows differ, leaving each its last token."""
    least, most = (pick(ids[row] for row in rows) for pick in (min, max))
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], _pairs(least, most, start)))
    return min(start + same, min(len(ids[row]) for row in rows) - 1)


def _pairs(a: Ids, b: Ids, start: int) -> Iterator[tuple[int, int]]:
    return zip(a[start:], b[start:], strict=False)


def _shared_lengths(levels: Sequence[PrefixLevel]) -> list[int]:
    """Tokens of the prefix of each leaf."""
    lengths = [0]
    for level in levels:
        lengths = [lengths[parent] + len(ids) for parent, ids in zip(level.parents, level.ids, strict=True)]
    return lengths
