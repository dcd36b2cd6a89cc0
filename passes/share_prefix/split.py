"""The algebra: one attention as parts over segments of its keys, and their merge (Hydragen, arXiv 2402.05099, 3.1-3.3).

A segment that several rows share is attended by all of them at once: the queries of a group of rows become the rows of
one matrix, [B, H, T, D] to [G, H, B / G * T, D] for G groups, and nothing that depends on the row may be left in the
mask but what a tensor says, whose rows are stacked alike. A segment of which every row has its own copy stays as it is,
its mask shifted by where it starts. Parts are merged by their log-sum-exp in fp32.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from ...compiler.analysis.sharing import Segment
from ...compiler.ops import OPS
from ...compiler.ops.registry import known
from ...compiler.program import tensor_of
from ...compiler.rewriter import Edit
from ...compiler.sizes import as_argument
from .parts import Part, Size

aten = torch.ops.aten
ATTENTION, ATTENTION_LSE = OPS["attention"].overload, OPS["attention_lse"].overload
MERGE_LSE = OPS["merge_lse"].overload


@dataclass(frozen=True)
class Split:
    """Writes the parts of one call into a graph."""

    edit: Edit
    q: fx.Node
    bias: fx.Node | None
    key_lengths: fx.Node | None
    options: dict[str, Any]
    """``scale`` and ``softcap`` where they are given."""

    def write(self, parts: Sequence[Part], *, with_lse: bool = False) -> fx.Node:
        """The whole attention; ``with_lse`` as ``attention_lse`` gives it, with the log-sum-exp over all parts."""
        if len(parts) == 1 and not with_lse:
            return self._attend(parts[0], ATTENTION)
        outs, sums = [], []
        for part in parts:
            both = self._attend(part, ATTENTION_LSE)
            outs.append(both[0])
            sums.append(both[1])
        merged = self.edit.call(MERGE_LSE, outs, sums)
        return merged if with_lse else self._item(merged, 0)

    def _attend(self, part: Part, target: Any) -> Any:
        call, q = self.edit.call, self.q
        k = self._joined([key for key, _ in part.above], part.key)
        v = self._joined([value for _, value in part.above], part.value)
        bias = self._bias(part)
        lengths = None if part.shared else self._lengths_behind(part.start)
        operands = [self._stack(q, part.groups) if part.shared else q, k, v, bias, lengths]
        while operands[-1] is None:
            operands.pop()
        words: dict[str, Any] = {} if part.mask.kind == "none" else {
            "mask": part.mask.kind, "offset": self._size(part.mask.offset), "window": self._size(part.mask.window),
        }  # fmt: skip
        made = call(target, *operands, **words, **self.options)
        if target is ATTENTION:
            return self._unstack(made) if part.shared else made
        out, sums = self._item(made, 0), self._item(made, 1)
        return (self._unstack(out), self._unstack(sums)) if part.shared else (out, sums)

    def _joined(self, above: Sequence[Segment], own: Segment) -> fx.Node:
        """A segment behind those of levels above it, which are copied to its groups."""
        states = [self._spread(segment, own.groups) for segment in above]
        return self.edit.call(aten.cat.default, [*states, self._compact(own)], 2) if states else self._compact(own)

    def _spread(self, segment: Segment, groups: Size) -> fx.Node:
        compact = self._compact(segment)
        if known(segment.groups == 1):
            return self.edit.call(aten.expand.default, compact, [self._size(groups), -1, -1, -1])
        return self.edit.call(aten.repeat_interleave.self_int, compact, groups // segment.groups, 0)

    def _compact(self, segment: Segment) -> fx.Node:
        assert segment.source is not None
        node = segment.source
        for target, arguments in segment.views:
            node = self.edit.call(target, node, *arguments)
        return node

    def _stack(self, node: fx.Node, groups: Size) -> fx.Node:
        """[B, H, T, X] to [G, H, B / G * T, X], the rows of a group one after the other."""
        call, (_, heads, _, *rest) = self.edit.call, _tensor(node).shape
        group = self._size(groups)
        if isinstance(groups, int) and groups == 1:
            turned = call(aten.transpose.int, node, 0, 1)
            return call(aten.reshape.default, turned, [1, heads, -1, *rest])
        split = call(aten.reshape.default, node, [group, -1, heads, self._of(node, 2), *rest])
        turned = call(aten.transpose.int, split, 1, 2)
        return call(aten.reshape.default, turned, [group, heads, -1, *rest])

    def _unstack(self, node: fx.Node) -> fx.Node:
        """Back to [B, H, T, ...]."""
        call, shape = self.edit.call, _tensor(node).shape
        groups, heads, _, *rest = shape
        queries, rows = self._of(self.q, 2), self._of(self.q, 0)
        split = call(aten.reshape.default, node, [self._size(groups), heads, -1, queries, *rest])
        turned = call(aten.transpose.int, split, 1, 2)
        return call(aten.reshape.default, turned, [rows, heads, queries, *rest])

    def _bias(self, part: Part) -> fx.Node | None:
        """The columns of the mask over a segment; where rows are stacked, its rows are, too."""
        call, start, length = self.edit.call, part.start, part.length
        bias = self.bias
        if bias is not None and not known(_tensor(bias).shape[-1] == 1):
            bias = call(aten.narrow.default, bias, -1, self._size(start), self._size(length))
        if not part.shared:
            return bias
        bias = None if bias is None else self._stacked_rows(bias, part.groups)
        hidden = self._visible_by_length(part)
        if hidden is None or bias is None:
            return hidden if bias is None else bias
        if _tensor(bias).dtype == torch.bool:
            return call(aten.bitwise_and.Tensor, bias, hidden)
        return call(aten.where.ScalarOther, hidden, bias, -torch.inf)

    def _stacked_rows(self, bias: fx.Node, groups: Size) -> fx.Node:
        shape = _tensor(bias).shape
        if len(shape) < 4:
            bias = self.edit.call(aten.reshape.default, bias, [*[1] * (4 - len(shape)), *self._sizes(bias)])
        shape = _tensor(bias).shape
        if known(shape[0] == 1) and known(shape[2] == 1):
            return bias
        rows, queries = self._of(self.q, 0), self._of(self.q, 2)
        whole = self.edit.call(aten.expand.default, bias, [rows, -1, queries, -1])
        return self._stack(whole, groups)

    def _visible_by_length(self, part: Part) -> fx.Node | None:
        """[G, 1, B / G * T, length]: which shared keys lie before the end of each row's own length."""
        if self.key_lengths is None:
            return None
        call = self.edit.call
        where = call(aten.arange.start, self._size(part.start), self._end(part), device=self._device)
        ends = call(aten.reshape.default, self.key_lengths, [-1, 1, 1, 1])
        visible = call(aten.lt.Tensor, where, ends)
        whole = call(aten.expand.default, visible, [-1, -1, self._of(self.q, 2), -1])
        return self._stack(whole, part.groups)

    def _lengths_behind(self, start: Size) -> fx.Node | None:
        if self.key_lengths is None:
            return None
        left = self.edit.call(aten.sub.Tensor, self.key_lengths, self._size(start))
        return self.edit.call(aten.clamp.default, left, 0)

    def _end(self, part: Part) -> Any:
        return self._size(part.start + part.length)

    @property
    def _device(self) -> torch.device:
        return _tensor(self.q).device

    def _item(self, node: fx.Node, at: int) -> fx.Node:
        return self.edit.call(operator.getitem, node, at)

    def _of(self, node: fx.Node, dim: int) -> Any:
        size = _tensor(node).shape[dim]
        return size if isinstance(size, int) else self.edit.call(aten.sym_size.int, node, dim)

    def _sizes(self, node: fx.Node) -> list[Any]:
        return [self._of(node, dim) for dim in range(_tensor(node).dim())]

    def _size(self, size: Size) -> Any:
        return as_argument(size, self.edit)


def _tensor(node: fx.Node) -> Tensor:
    tensor = tensor_of(node)
    assert tensor is not None
    return tensor
