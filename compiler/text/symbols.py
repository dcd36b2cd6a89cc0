"""Symbolic sizes in text: their names, bounds and hints.

The printer calls backed sizes ``s0``, ``s1`` and unbacked ones (known only when the program runs) ``u0``, ``u1``, in
the order they appear, whatever the tracer called them. The parser makes fresh symbols of a new shape environment.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, cast

import sympy
import torch
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, free_unbacked_symbols

from ..program import Program

_UNBOUNDED = 2**62


class Naming:
    """Names for the symbols of one program, given in the order they are met."""

    def __init__(self) -> None:
        """Start with none."""
        self.names: dict[sympy.Symbol, sympy.Symbol] = {}
        self._environment: ShapeEnv | None = None

    def text(self, size: Any) -> str:
        """The expression of a size: ``5``, ``s0``, ``2*s0``."""
        if not isinstance(size, torch.SymInt):
            return str(size)
        expression = expression_of(size)
        self._environment = self._environment or cast("Any", size).node.shape_env
        for symbol in sorted(expression.free_symbols, key=str):
            if symbol not in self.names:
                prefix = "u" if free_unbacked_symbols(symbol) else "s"
                count = sum(str(name).startswith(prefix) for name in self.names.values())
                self.names[symbol] = sympy.Symbol(f"{prefix}{count}", positive=symbol.is_positive, integer=True)
        return str(expression.xreplace(self.names))

    def declarations(self, program: Program) -> list[str]:
        """One ``s0 = dim(lowest, highest, hint=...)`` for each symbol named so far; unbacked ones have no hint."""
        lines: list[str] = []
        for symbol, name in sorted(self.names.items(), key=lambda item: _order(str(item[1]))):
            lowest, highest = self._bounds(symbol, program)
            hint = symbol_hint(self._environment, symbol)
            lines.append(f"{name} = dim({lowest}, {highest}{'' if hint is None else f', hint={hint}'})")
        return lines

    def _bounds(self, symbol: sympy.Symbol, program: Program) -> tuple[int, int | None]:
        if str(symbol) in program.ranges:
            return program.ranges[str(symbol)]
        assert self._environment is not None
        limits = self._environment.var_to_range.get(symbol)
        if limits is None:
            return 0, None
        lowest = int(limits.lower) if limits.lower.is_finite and limits.lower > -_UNBOUNDED else 0
        return lowest, int(limits.upper) if limits.upper.is_finite and limits.upper < _UNBOUNDED else None


def expression_of(size: Any) -> Any:
    """The sympy expression of a symbolic size, over the symbols of its environment."""
    return size.node.expr


def symbol_hint(environment: Any, symbol: sympy.Symbol) -> int | None:
    """The example value of a backed symbol."""
    values = getattr(environment, "backed_var_to_val", None)
    value = (environment.var_to_val if values is None else values).get(symbol)
    return None if value is None else int(value)


def make_symbol(
    environment: ShapeEnv, name: str, lowest: int, highest: int | None, hint: int | None
) -> tuple[torch.SymInt, str]:
    """A fresh symbolic size of these bounds, unbacked when it has no hint; also its name in the environment."""
    from torch._dynamo.source import ConstantSource
    from torch.utils._sympy.numbers import int_oo  # pyright: ignore[reportUnknownVariableType]

    if hint is None:
        size: Any = environment.create_unbacked_symint()
        symbol = expression_of(size)
    else:
        source = ConstantSource(name)
        symbol: Any = environment.create_symbol(
            hint, source, dynamic_dim=DimDynamic.DYNAMIC, do_not_specialize_zero_one=True
        )
        size = environment.create_symintnode(symbol, hint=hint, source=source)
    environment.constrain_symbol_range(symbol, lowest, cast("Any", int_oo) if highest is None else highest)
    return size, str(symbol)


def _floor_divided(size: Any, by: Any) -> Any:
    return size // by


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: _floor_divided,
    ast.Mod: operator.mod,
    ast.Pow: pow,
}
_CALLS: dict[str, Callable[..., Any]] = {
    "Max": torch.sym_max,  # pyright: ignore[reportUnknownMemberType]
    "Min": torch.sym_min,  # pyright: ignore[reportUnknownMemberType]
    "Mod": operator.mod,
    "PythonMod": operator.mod,
    "FloorDiv": _floor_divided,
}


def size_of(node: ast.expr, symbols: Mapping[str, torch.SymInt]) -> Any:
    """The value of a size expression; raises ``SizeError`` at the part that is none."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name) and node.id in symbols:
        return symbols[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -size_of(node.operand, symbols)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](size_of(node.left, symbols), size_of(node.right, symbols))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS and node.args:
        value, *rest = (size_of(argument, symbols) for argument in node.args)
        for other in rest:
            value = _CALLS[node.func.id](value, other)
        return value
    raise SizeError(node)


class SizeError(Exception):
    """A part of an expression that is not a size."""

    def __init__(self, node: ast.expr) -> None:
        """Keep the place."""
        super().__init__(ast.unparse(node))
        self.node = node


def _order(name: str) -> tuple[str, int]:
    return name[0], int(name[1:])
