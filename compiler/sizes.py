"""Symbolic sizes as nodes: what a rewrite passes where a number that depends on the input is wanted."""

# sympy and SymInt come without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import operator
from typing import Any

import sympy
import torch
from torch import fx

from .program import tensor_of, value_of
from .rewriter import Edit

_OPERATORS: dict[type[sympy.Basic], Any] = {sympy.Add: operator.add, sympy.Mul: operator.mul}


def expressible(size: int | torch.SymInt, graph: fx.Graph) -> bool:
    """Whether :func:`as_argument` can write the size: sums and products of integers and of sizes of inputs."""
    if isinstance(size, int):
        return True
    expression = size.node.expr
    parts = list(sympy.preorder_traversal(expression))
    plain = all(isinstance(part, (sympy.Add, sympy.Mul, sympy.Integer, sympy.Symbol)) for part in parts)
    return plain and all(_holder(symbol, graph) is not None for symbol in expression.free_symbols)


def as_argument(size: int | torch.SymInt, edit: Edit) -> Any:
    """The size as an argument of a call: a number, or a node made before the anchor.

    Raises ``ValueError`` for a size that is not :func:`expressible`.
    """
    if isinstance(size, int):
        return size
    if not expressible(size, edit.graph):
        raise ValueError(f"{size} is not a sum or product of sizes of inputs")
    return _written(size.node.expr, edit)


def _written(expression: sympy.Basic, edit: Edit) -> Any:
    if isinstance(expression, sympy.Integer):
        return int(expression)
    if isinstance(expression, sympy.Symbol):
        holder = _holder(expression, edit.graph)
        assert holder is not None
        node, dim = holder
        return node if dim is None else edit.call(torch.ops.aten.sym_size.int, node, dim)
    apply = _OPERATORS[type(expression)]
    first, *others = (_written(argument, edit) for argument in expression.args)
    for other in others:
        first = edit.call(apply, first, other)
    return first


def _holder(symbol: sympy.Basic, graph: fx.Graph) -> tuple[fx.Node, int | None] | None:
    """An input that is the symbol, or has it as the size of a dimension."""
    for node in graph.find_nodes(op="placeholder"):
        value = value_of(node)
        if isinstance(value, torch.SymInt) and value.node.expr == symbol:
            return node, None
        tensor = tensor_of(node)
        for dim, size in enumerate(() if tensor is None else tensor.shape):
            if isinstance(size, torch.SymInt) and size.node.expr == symbol:
                return node, dim
    return None
