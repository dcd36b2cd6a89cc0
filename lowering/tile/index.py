"""Integer expressions of tile programs: sizes, coordinates, loop counts.

They are sympy expressions over non-negative integer symbols, so that affine facts ("this tile never leaves the
tensor") are proved by algebra. ``floordiv`` and ``cdiv`` stand for Triton's ``//`` and ``tl.cdiv``; remainders are
``sympy.Mod``, bounds ``sympy.Min`` and ``sympy.Max``.
"""

# sympy comes with partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import sympy
from sympy.printing.str import StrPrinter

Index = sympy.Expr
"""An integer expression."""

IndexLike = Index | int


def symbol(name: str) -> sympy.Symbol:
    """An integer variable that is never negative."""
    return sympy.Symbol(name, integer=True, nonnegative=True)


def size_symbol(name: str) -> sympy.Symbol:
    """A size: an integer of at least one."""
    return sympy.Symbol(name, integer=True, positive=True)


class FloorDiv(sympy.Function):
    """``numerator // divisor`` for a non-negative numerator and a positive divisor."""

    nargs = (2,)
    is_integer = True

    @classmethod
    def eval(cls, *args: Any) -> Any:
        """Numbers divide; a multiple of the divisor plus a rest below it loses the rest."""
        numerator, divisor = args
        if divisor == 1:
            return numerator
        if numerator.is_Integer and divisor.is_Integer:
            return sympy.Integer(int(numerator) // int(divisor))
        whole, rest = [], []
        for term in sympy.Add.make_args(sympy.expand(numerator)):
            quotient = sympy.cancel(term / divisor)
            multiple = quotient.is_integer and not quotient.has(FloorDiv)
            (whole if multiple else rest).append(quotient if multiple else term)
        left = sympy.Add(*rest)
        if whole and left.is_Integer and divisor.is_Integer and 0 <= int(left) < int(divisor):
            return sympy.Add(*whole)
        return None

    def _eval_is_nonnegative(self) -> bool | None:
        return cast(Any, self.args[0]).is_nonnegative


def floordiv(numerator: IndexLike, divisor: IndexLike) -> Index:
    """Rounded down."""
    return cast(Index, FloorDiv(sympy.sympify(numerator), sympy.sympify(divisor)))


def cdiv(numerator: IndexLike, divisor: IndexLike) -> Index:
    """Rounded up."""
    return floordiv(sympy.sympify(numerator) + divisor - 1, divisor)


def evaluate(expression: IndexLike, values: Mapping[sympy.Symbol, int]) -> int:
    """The number an expression comes to; raises ``KeyError`` naming a symbol without a value."""
    if isinstance(expression, int):
        return expression
    free = cast("set[sympy.Symbol]", expression.free_symbols)
    for name in free:
        if name not in values:
            raise KeyError(f"{name} has no value in {expression}")
    result = expression.xreplace({name: sympy.Integer(values[name]) for name in free})
    return int(cast(Any, result))


class _Printer(StrPrinter):
    """Python text that means the same to Triton."""

    def _print_FloorDiv(self, expr: Any) -> str:
        numerator, divisor = expr.args
        # (x + d - 1) // d is how rounding up is written here.
        over = sympy.expand(numerator - divisor + 1)
        shorter = len(sympy.Add.make_args(over)) < len(sympy.Add.make_args(numerator))
        if not over.is_Integer and (divisor.is_Symbol or divisor.is_Integer) and shorter:
            return f"tl.cdiv({self._print(over)}, {self._print(divisor)})"
        return f"({self.parenthesize(numerator, 100)} // {self.parenthesize(divisor, 100)})"

    def _print_Mod(self, expr: Any) -> str:
        return f"({self.parenthesize(expr.args[0], 100)} % {self.parenthesize(expr.args[1], 100)})"

    def _print_Min(self, expr: Any) -> str:
        return self._nested("tl.minimum", expr.args)

    def _print_Max(self, expr: Any) -> str:
        return self._nested("tl.maximum", expr.args)

    def _nested(self, function: str, operands: Any) -> str:
        text = self._print(operands[0])
        for operand in operands[1:]:
            text = f"{function}({text}, {self._print(operand)})"
        return text


_PRINTER = _Printer({"order": "none"})


def text(expression: IndexLike) -> str:
    """An expression as Triton source."""
    if isinstance(expression, int):
        return str(expression)
    return re.sub(r"(?<=\S)\*(?=\S)", " * ", _PRINTER.doprint(expression))
