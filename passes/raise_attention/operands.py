"""Queries, keys and values as attention takes them, found under the views that a written-out product wants.

``bmm`` works on [B * H, T, D] and keys come transposed; an :class:`Operand` is the value before those views, and the
views that are still needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx

from ...compiler.analysis.constants import is_written
from ...compiler.calls import cast_of, permutation_of, reshape_of
from ...compiler.ops.registry import known
from ...compiler.program import tensor_of
from ...compiler.rewriter import Edit
from .heads import Repeat, repeat_of

aten = torch.ops.aten


@dataclass(frozen=True)
class Operand:
    """``source`` after ``order`` and ``shape``; ``through`` are the calls that were looked through."""

    source: fx.Node
    order: tuple[int, ...] | None = None
    shape: tuple[int, ...] | None = None
    """A reshape that comes before the permutation."""
    through: tuple[fx.Node, ...] = ()
    repeat: Repeat | None = None

    @property
    def sizes(self) -> tuple[Any, ...]:
        """The sizes of the value."""
        tensor = tensor_of(self.source)
        assert tensor is not None
        sizes = tuple(tensor.shape) if self.shape is None else self.shape
        return sizes if self.order is None else tuple(sizes[dim] for dim in self.order)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the value."""
        tensor = tensor_of(self.source)
        assert tensor is not None
        return tensor.dtype

    def build(self, edit: Edit) -> fx.Node:
        """The value."""
        node = self.source if self.repeat is None else self.repeat.build(edit)
        if self.shape is not None:
            node = edit.call(aten.reshape.default, node, list(self.shape))
        return node if self.order is None else edit.call(aten.permute.default, node, list(self.order))

    def private(self, root: fx.Node) -> tuple[fx.Node, ...]:
        """The calls looked through that nothing else needs; together with ``root`` they may go."""
        kept: list[fx.Node] = []
        for node in self.through:
            if all(user is root or user in kept for user in node.users):
                kept.append(node)
        return tuple(kept)

    def without_repeat(self) -> Operand:
        """With the repeat of its heads noted, if it has one."""
        found = None if self.shape is not None or self.order is not None else repeat_of(self.source)
        return self if found is None else replace(self, repeat=found, through=(*self.through, *found.nodes))

    def without_cast(self, dtype: torch.dtype) -> Operand:
        """Before a widening from ``dtype``: attention accumulates in fp32 by itself."""
        under = cast_of(self.source)
        tensor = None if under is None else tensor_of(under[0])
        if under is None or tensor is None or tensor.dtype != dtype or is_written(under[0]):
            return self
        return replace(self, source=under[0], through=(*self.through, self.source))


def operand(node: fx.Node, order: tuple[int, ...] | None, lead: tuple[Any, ...], *, turned: bool) -> Operand | None:
    """The operand ``node.permute(order)``, its last two dimensions swapped if ``turned``, with ``lead`` in front.

    ``None`` when the leading dimensions cannot be given that shape.
    """
    value = Operand(node, order)
    value = _under_permutation(value)
    if len(value.sizes) < len(lead) + 2:
        lifted = _lift(value, lead)
        if lifted is None:
            return None
        value = _under_permutation(lifted)
    return _swap_last(value) if turned else value


def _under_permutation(value: Operand) -> Operand:
    """Look through permutations of the source."""
    permuted = permutation_of(value.source)
    while value.shape is None and permuted is not None and not is_written(permuted[0]):
        source, inner = permuted
        order = inner if value.order is None else tuple(inner[dim] for dim in value.order)
        value = replace(value, source=source, order=_order(order), through=(*value.through, value.source))
        permuted = permutation_of(value.source)
    return value


def _lift(value: Operand, lead: tuple[Any, ...]) -> Operand | None:
    """[B * H, T, D] as [B, H, T, D]; only for permutations that keep the first dimension."""
    if value.order is not None and value.order[0] != 0:
        return None
    extra = len(lead) - 1
    order = None if value.order is None else (*range(extra), *(dim + extra for dim in value.order))
    tensor = tensor_of(value.source)
    assert tensor is not None
    goal = (*lead, *tensor.shape[1:])
    reshaped = reshape_of(value.source)
    source = None if reshaped is None else tensor_of(reshaped[0])
    if reshaped is not None and source is not None and _same(source.shape, goal) and not is_written(reshaped[0]):
        return Operand(reshaped[0], order, None, (*value.through, value.source))
    if not all(isinstance(size, int) for size in goal) or tensor.numel() != torch.Size(goal).numel():
        return None
    return replace(value, order=order, shape=goal)


def _swap_last(value: Operand) -> Operand:
    order = list(value.order or range(len(value.sizes)))
    order[-2:] = order[:-3:-1]
    return replace(value, order=_order(tuple(order)))


def _order(order: tuple[int, ...]) -> tuple[int, ...] | None:
    return None if order == tuple(range(len(order))) else order


def _same(left: Any, right: Any) -> bool:
    return len(left) == len(right) and all(known(a == b) for a, b in zip(left, right, strict=True))
