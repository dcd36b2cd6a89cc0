"""The pointwise functions of tile programs: what each means to torch and how Triton writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .ir import FLOATS


@dataclass(frozen=True)
class Function:
    """A pointwise function of tiles and scalars of one type (comparisons: to bool).

    ``floordiv`` and ``remainder`` are for integers that are not negative.
    """

    arity: int
    meaning: Callable[..., Tensor]
    triton: str
    """Source with ``{0}``, ``{1}``, ... for the operands, in parentheses where precedence asks for them."""
    integers: str = ""
    """Source for integers, where it is another."""

    def source(self, dtype: str) -> str:
        """Source for operands of a type."""
        return self.integers if self.integers and dtype not in FLOATS else self.triton


def _tensors(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Numbers become tensors of the other operand's type, as Triton promotes them."""

    def apply(*operands: Any) -> Tensor:
        like = next(operand for operand in operands if isinstance(operand, Tensor) and operand.dtype != torch.bool)
        return operation(*(x if isinstance(x, Tensor) else torch.tensor(x, dtype=like.dtype) for x in operands))

    return apply


def _extremum(operation: Callable[..., Tensor], name: str) -> Function:
    """A NaN comes through, as it does in torch; Triton drops it unless told."""
    call = f"tl.{name}({{0}}, {{1}}"
    return Function(2, _tensors(operation), f"{call}, propagate_nan=tl.PropagateNan.ALL)", f"{call})")


_SQRT_HALF = 0.7071067811865476
_SQRT_2_OVER_PI = 0.7978845608028654

FUNCTIONS: dict[str, Function] = {
    "add": Function(2, lambda a, b: a + b, "({0} + {1})"),
    "sub": Function(2, lambda a, b: a - b, "({0} - {1})"),
    "mul": Function(2, lambda a, b: a * b, "({0} * {1})"),
    "div": Function(2, lambda a, b: a / b, "({0} / {1})"),
    "maximum": _extremum(torch.maximum, "maximum"),
    "minimum": _extremum(torch.minimum, "minimum"),
    "neg": Function(1, lambda a: -a, "(-{0})"),
    "abs": Function(1, torch.abs, "tl.abs({0})"),
    "exp": Function(1, torch.exp, "tl.exp({0})"),
    "exp2": Function(1, torch.exp2, "tl.exp2({0})"),
    "log": Function(1, torch.log, "tl.log({0})"),
    "log2": Function(1, torch.log2, "tl.log2({0})"),
    "sqrt": Function(1, torch.sqrt, "tl.sqrt({0})"),
    "rsqrt": Function(1, torch.rsqrt, "tl.rsqrt({0})"),
    "sin": Function(1, torch.sin, "tl.sin({0})"),
    "cos": Function(1, torch.cos, "tl.cos({0})"),
    "erf": Function(1, torch.erf, "tl.erf({0})"),
    "sigmoid": Function(1, torch.sigmoid, "tl.sigmoid({0})"),
    "tanh": Function(1, torch.tanh, "(2 * tl.sigmoid(2 * {0}) - 1)"),
    "relu": Function(1, torch.relu, "tl.where({0} < 0, 0, {0})"),
    "silu": Function(1, F.silu, "({0} * tl.sigmoid({0}))"),
    "gelu": Function(1, F.gelu, f"(0.5 * {{0}} * (1 + tl.erf({{0}} * {_SQRT_HALF})))"),
    "gelu_tanh": Function(
        1,
        lambda a: F.gelu(a, approximate="tanh"),
        f"({{0}} * tl.sigmoid({2 * _SQRT_2_OVER_PI} * ({{0}} + 0.044715 * {{0}} * {{0}} * {{0}})))",
    ),
    "softplus": Function(1, F.softplus, "(tl.where({0} < 0, 0, {0}) + tl.log(1 + tl.exp(-tl.abs({0}))))"),
    "lt": Function(2, lambda a, b: a < b, "({0} < {1})"),
    "le": Function(2, lambda a, b: a <= b, "({0} <= {1})"),
    "eq": Function(2, lambda a, b: a == b, "({0} == {1})"),
    "and": Function(2, lambda a, b: a & b, "({0} & {1})"),
    "floordiv": Function(2, lambda a, b: a // b, "({0} // {1})"),
    "remainder": Function(2, lambda a, b: a % b, "({0} % {1})"),
    "where": Function(3, _tensors(torch.where), "tl.where({0}, {1}, {2})"),
}

COMPARISONS = frozenset({"lt", "le", "eq"})

REDUCTIONS: dict[str, tuple[Callable[[Tensor, int], Tensor], str]] = {
    "sum": (lambda x, axis: x.sum(axis), "tl.sum({0}, {1})"),
    "max": (lambda x, axis: x.amax(axis), "tl.max({0}, {1})"),
    "min": (lambda x, axis: x.amin(axis), "tl.min({0}, {1})"),
}
"""Reductions along one axis, which goes away."""
