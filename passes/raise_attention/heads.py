"""Keys and values before their heads were repeated for grouped queries.

Three spellings give [B, Hkv * G, T, D] from [B, Hkv, T, D]: ``repeat_interleave``, ``x[:, :, None].expand(...)`` and a
reshape, and the same with a copy between; each also before the transposition that brings heads in front of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from ...compiler.calls import bind, is_call, permutation_of, reshape_of
from ...compiler.ops.registry import known
from ...compiler.program import tensor_of
from ...compiler.rewriter import Edit

aten = torch.ops.aten


@dataclass(frozen=True)
class Repeat:
    """A value whose heads (dimension -3) each stand ``times`` in a row, and what it was made from."""

    source: fx.Node
    order: tuple[int, ...] | None
    """Permutation of the source that puts its dimensions as the value's are."""
    times: int
    nodes: tuple[fx.Node, ...]

    def build(self, edit: Edit) -> fx.Node:
        """The value without its repeats."""
        return self.source if self.order is None else edit.call(aten.permute.default, self.source, list(self.order))


def repeat_of(node: fx.Node) -> Repeat | None:
    """The repeat of heads that ``node`` is, if it is one and nothing else uses the repeated heads."""
    permuted = permutation_of(node)
    order = None if permuted is None else permuted[1]
    inner, nodes = (node, ()) if permuted is None else (permuted[0], (node,))
    tensor = tensor_of(inner)
    if tensor is None or tensor.dim() < 3:
        return None
    heads = tensor.dim() - 3 if order is None else order[tensor.dim() - 3]
    found = _interleaved(inner, heads) or _expanded(inner, heads)
    if found is None:
        return None
    source, times, chain = found
    nodes += chain
    private = len(node.users) == 1 and all(user in nodes for each in nodes if each is not node for user in each.users)
    return Repeat(source, order, times, nodes) if private and times > 1 else None


def _interleaved(node: fx.Node, heads: int) -> tuple[fx.Node, int, tuple[fx.Node, ...]] | None:
    if not is_call(node, aten.repeat_interleave.self_int):
        return None
    bound = bind(node)
    if bound["dim"] != heads or not isinstance(bound["repeats"], int):
        return None
    return bound["self"], bound["repeats"], (node,)


def _expanded(node: fx.Node, heads: int) -> tuple[fx.Node, int, tuple[fx.Node, ...]] | None:
    reshaped = reshape_of(node)
    if reshaped is None:
        return None
    chain: list[fx.Node] = [node]
    inner: Any = reshaped[0]
    while is_call(inner, aten.clone.default, aten.contiguous.default):
        chain.append(inner)
        inner = inner.args[0]
    if not is_call(inner, aten.expand.default):
        return None
    chain.append(inner)
    narrowed: Any = inner.args[0]
    wide, narrow = tensor_of(inner), reshape_of(narrowed)
    source = None if narrow is None else tensor_of(narrow[0])
    after = tensor_of(node)
    if narrow is None or wide is None or source is None or after is None or wide.dim() != source.dim() + 1:
        return None
    chain.append(narrowed)
    at, times = heads + 1, wide.shape[heads + 1]
    one = (*source.shape[:at], 1, *source.shape[at:])
    many = (*source.shape[:at], times, *source.shape[at:])
    merged = (*source.shape[:heads], source.shape[heads] * times, *source.shape[at:])
    if not (_same(narrow[1], one) and _same(wide.shape, many) and _same(after.shape, merged)):
        return None
    return (narrow[0], times, tuple(chain)) if isinstance(times, int) else None


def _same(left: Any, right: Any) -> bool:
    return len(left) == len(right) and all(known(a == b) for a, b in zip(left, right, strict=True))
