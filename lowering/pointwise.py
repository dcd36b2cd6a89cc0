"""How a pointwise call of a graph is written in a chain (:mod:`.tile.chain`), and how its operands lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from ..compiler.calls import bind, cast_of, number
from ..compiler.ops.registry import known
from ..compiler.program import is_operator, tensor_of
from .tile.chain import PLACEMENTS

FLOATS = frozenset({torch.float32, torch.float16, torch.bfloat16})

Write = Callable[[Any], str]
"""Writes an operand: a number, or a node by its name in the chain."""

Place = Callable[[fx.Node], "str | None"]
"""How a value lies against a kernel's tile, of :data:`.tile.chain.PLACEMENTS`; ``None`` if it cannot be read beside."""

_UNARY = {
    "abs": "abs({})", "cos": "cos({})", "erf": "erf({})", "exp": "exp({})", "exp2": "exp2({})", "log": "log({})",
    "log2": "log2({})", "neg": "neg({})", "reciprocal": "(1.0 / {})", "relu": "relu({})", "rsqrt": "rsqrt({})",
    "sigmoid": "sigmoid({})", "silu": "silu({})", "sin": "sin({})", "sqrt": "sqrt({})", "square": "({0} * {0})",
    "tanh": "tanh({})",
}  # fmt: skip
_BINARY = {
    "add": "({} + {})", "sub": "({} - {})", "mul": "({} * {})", "div": "({} / {})",
    "maximum": "maximum({}, {})", "minimum": "minimum({}, {})",
}  # fmt: skip
_BOUNDS = {"clamp": ("min", "max"), "clamp_min": ("min", "max"), "clamp_max": ("min", "max"),
           "hardtanh": ("min_val", "max_val")}  # fmt: skip


def expression(node: fx.Node, shape: Sequence[Any], write: Write) -> str | None:
    """A pointwise call in floats whose result has this shape; ``None`` for any other node."""
    made = tensor_of(node)
    if made is None or node.op != "call_function" or not is_operator(node.target) or node.target._schema.is_mutable:
        return None
    if made.dtype not in FLOATS or not same_shape(made.shape, shape):
        return None
    cast = cast_of(node)
    if cast is not None:
        return write(cast[0])
    name, given = node.target.overloadpacket.__name__, bind(node)
    if name in _UNARY and set(given) == {"self"}:
        return _UNARY[name].format(write(given["self"]))
    if name == "gelu":
        return f"{'gelu_tanh' if given['approximate'] == 'tanh' else 'gelu'}({write(given['self'])})"
    if name == "dropout" and (given["train"] is False or given["p"] == 0) and "input" in given:
        return write(given["input"])
    if name == "pow" and given["exponent"] == 2:
        return _UNARY["square"].format(write(given["self"]))
    if name in _BOUNDS:
        return _bounded(write(given["self"]), *(given.get(bound) for bound in _BOUNDS[name]))
    if name in _BINARY and given.get("alpha", 1) == 1 and "rounding_mode" not in given:
        return _BINARY[name].format(write(given["self"]), write(given["other"]))
    return None


def finite(value: Any) -> float | None:
    """A number that can be written in a chain."""
    found = number(value)
    return found if found is not None and math.isfinite(found) else None


def same_shape(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two shapes agree for certain, whatever symbolic sizes come to."""
    return len(one) == len(other) and all(known(m == n) for m, n in zip(one, other, strict=True))


def by_rows(like: Tensor) -> Place:
    """Against a tensor of rows and columns, all its leading dimensions being rows."""
    whole = tuple(like.shape)

    def place(node: fx.Node) -> str | None:
        tensor = _beside(node, like)
        if tensor is None or tensor.dim() == 0:
            return None
        shape = tuple(tensor.shape)
        if same_shape(shape, whole):
            return PLACEMENTS[0]
        if known(shape[-1] == whole[-1]) and all(known(n == 1) for n in shape[:-1]):
            return PLACEMENTS[1]
        return PLACEMENTS[2] if same_shape(shape[:-1], whole[:-1]) and known(shape[-1] == 1) else None

    return place


def by_strides(like: Tensor) -> Place:
    """Against a tensor that a kernel goes through by strides: whatever broadcasts to it, with strides of 0."""
    whole = tuple(like.shape)

    def place(node: fx.Node) -> str | None:
        tensor = _beside(node, like)
        if tensor is None:
            return None
        sizes = zip(tensor.shape[::-1], whole[::-1], strict=False)
        return PLACEMENTS[0] if all(known(m == n) or known(m == 1) for m, n in sizes) else None

    return place


def _beside(node: fx.Node, like: Tensor) -> Tensor | None:
    """The value of a node that a kernel may read beside its tile: floats, on the device, of no more dimensions."""
    tensor = tensor_of(node)
    if tensor is None or tensor.dtype not in FLOATS or tensor.device != like.device or tensor.dim() > like.dim():
        return None
    return tensor


def _bounded(text: str, low: Any, high: Any) -> str | None:
    """As torch clamps: from below first. Bounds are numbers."""
    if (low is not None and finite(low) is None) or (high is not None and finite(high) is None):
        return None
    text = text if low is None else f"maximum({text}, {finite(low)!r})"
    return text if high is None else f"minimum({text}, {finite(high)!r})"
