"""The two products of an attention that is written out, whatever operator computes them.

A product is read as ``left @ right`` over the last two dimensions, with the permutations that bring each operand and
the result of an ``einsum`` into that form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import fx

from ...compiler.calls import bind, is_call, number
from ...compiler.program import tensor_of

aten = torch.ops.aten

PRODUCTS = (aten.matmul.default, aten.bmm.default, aten.einsum.default)


@dataclass(frozen=True)
class Product:
    """``permute(permute(left) @ permute(right))``; an order of ``None`` is the identity."""

    node: fx.Node
    left: fx.Node
    right: fx.Node
    left_order: tuple[int, ...] | None = None
    right_order: tuple[int, ...] | None = None
    out_order: tuple[int, ...] | None = None
    factor: float = 1.0
    bias: fx.Node | None = None
    bias_factor: float = 1.0


def product_of(node: Any) -> Product | None:
    """Read a product of two tensors of one rank, at least 3."""
    found: Product | None = None
    if is_call(node, aten.matmul.default, aten.bmm.default):
        left, right = cast("tuple[fx.Node, fx.Node]", node.args)
        found = Product(node, left, right)
    elif is_call(node, aten.baddbmm.default):
        bound = bind(node)
        alpha, beta = number(bound["alpha"]), number(bound["beta"])
        if alpha is None or beta is None:
            return None
        bias = bound["self"] if beta else None
        found = Product(node, bound["batch1"], bound["batch2"], factor=alpha, bias=bias, bias_factor=beta)
    elif is_call(node, aten.einsum.default):
        found = _einsum(node)
    if found is None:
        return None
    left, right = tensor_of(found.left), tensor_of(found.right)
    return found if left is not None and right is not None and left.dim() == right.dim() >= 3 else None


def _einsum(node: fx.Node) -> Product | None:
    """``bhqd,bhkd->bhqk`` and every renaming and reordering of it with two operands and one contracted letter."""
    bound = bind(node)
    equation, operands = bound["equation"].replace(" ", ""), bound["tensors"]
    inputs, arrow, out = equation.partition("->")
    letters = inputs.split(",")
    if not arrow or len(letters) != 2 or len(operands) != 2 or "." in equation:
        return None
    first, second = letters
    if any(len(set(word)) != len(word) for word in (first, second, out)):
        return None
    batch = [c for c in out if c in first and c in second]
    rows = [c for c in out if c in first and c not in second]
    columns = [c for c in out if c in second and c not in first]
    inner = [c for c in first if c in second and c not in out]
    if not len(rows) == len(columns) == len(inner) == 1 or not len(first) == len(second) == len(out) == len(batch) + 2:
        return None
    left = tuple(first.index(c) for c in (*batch, *rows, *inner))
    right = tuple(second.index(c) for c in (*batch, *inner, *columns))
    natural = [*batch, *rows, *columns]
    order = tuple(natural.index(c) for c in out)
    return Product(node, operands[0], operands[1], _order(left), _order(right), _order(order))


def _order(order: tuple[int, ...]) -> tuple[int, ...] | None:
    return None if order == tuple(range(len(order))) else order
