"""Chains of pointwise work that a kernel does on its operand or its result while it is in registers.

A chain is a line of text: assignments, then the outputs, over the tile itself and tensors that are loaded beside it::

    gelu(x + row0)                       bias and activation
    s = x + full0; s, silu(s) * full1    a residual that is also given back, an activation and a gate

``x`` is the kernel's value, the others are named by how they lie against it: ``full0`` has its shape, ``row0`` is one
row for all rows, ``column0`` one number a row. Everything is computed in f32. As text a chain travels in the arguments
of a kernel operator, in remarks and in the names of files.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .build import Builder, Tile
from .functions import FUNCTIONS
from .ir import TileError

PLACEMENTS = ("full", "row", "column")
"""How an extra operand lies against the tile."""

_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}


@dataclass(frozen=True)
class Chain:
    """Pointwise work on ``x``; parsed and checked by :func:`chain`."""

    text: str
    extras: tuple[str, ...]
    """The names of the operands besides ``x``, in the order in which they are given."""
    outputs: int

    @property
    def trivial(self) -> bool:
        """Whether it is ``x`` and nothing else."""
        return self.text == "x"

    def apply(self, builder: Builder, x: Tile, extra: Callable[[str], Tile]) -> list[Tile]:
        """Append the work to a program; ``extra`` loads the operand of a name, in any float type."""
        tiles = {"x": x.cast("f32")}

        def operand(name: str) -> Tile:
            if name not in tiles:
                tiles[name] = extra(name).cast("f32")
            return tiles[name]

        return _walk(self.text, operand, builder.map)

    def evaluate(self, x: Tensor, extras: Mapping[str, Tensor]) -> list[Tensor]:
        """The same on tensors, in f32 or wider, differentiable; ``row`` and ``column`` operands broadcast to ``x``."""
        wide = torch.promote_types(x.dtype, torch.float32)
        values = {name: value.to(wide) for name, value in {"x": x, **extras}.items()}
        shaped = {name: value.unsqueeze(-1) if name.startswith("column") else value for name, value in values.items()}
        meanings = {name: function.meaning for name, function in FUNCTIONS.items()}
        return _walk(self.text, shaped.__getitem__, lambda name, *operands: meanings[name](*operands))

    def gradients(self, x: Tensor, extras: Sequence[Tensor], grads: Sequence[Tensor | None]) -> list[Tensor]:
        """Of x and of the operands, in f32, from those of the outputs; ``extras`` are in the order of the names."""
        with torch.enable_grad():
            given = [value.detach().float().requires_grad_() for value in (x, *extras)]
            made = self.evaluate(given[0], dict(zip(self.extras, given[1:], strict=True)))
            pairs = [(output, grad.float()) for output, grad in zip(made, grads, strict=True) if grad is not None]
        outputs, along = [output for output, _ in pairs], [grad for _, grad in pairs]
        found = torch.autograd.grad(outputs, given, along, allow_unused=True) if pairs else [None] * len(given)
        return [torch.zeros_like(x) if grad is None else grad for x, grad in zip(given, found, strict=True)]


@functools.lru_cache(1024)
def chain(text: str) -> Chain:
    """Parse a chain; raises :class:`TileError` saying what in it cannot be read."""
    try:
        ast.parse(text.strip())
    except SyntaxError as error:
        raise TileError(f"chain {text!r}: {error.msg}") from error
    names: set[str] = set()

    def operand(name: str) -> None:
        if name != "x" and not re.fullmatch(rf"({'|'.join(PLACEMENTS)})\d+", name):
            raise TileError(f"chain {text!r}: {name} is not x, full0, row0, column0 or assigned before")
        names.add(name)

    outputs = _walk(text, operand, lambda *_: None)
    extras = sorted(names - {"x"}, key=lambda name: (PLACEMENTS.index(name.rstrip("0123456789")), name))
    return Chain(text, tuple(extras), len(outputs))


def _walk(text: str, operand: Callable[[str], Any], apply: Callable[..., Any]) -> list[Any]:
    """Compute a chain with whatever stands for operands and functions."""
    local: dict[str, Any] = {}

    def value(node: ast.expr) -> Any:
        match node:
            case ast.Name(name):
                return local[name] if name in local else operand(name)
            case ast.Constant(float() | int() as number):
                return float(number)
            case ast.UnaryOp(ast.USub(), ast.Constant(float() | int() as number)):
                return -float(number)
            case ast.UnaryOp(ast.USub(), inner):
                return apply("neg", value(inner))
            case ast.BinOp(left, operation, right) if type(operation) in _OPERATORS:
                return apply(_OPERATORS[type(operation)], value(left), value(right))
            case ast.Call(ast.Name(function), arguments) if function in FUNCTIONS and not node.keywords:
                if len(arguments) != FUNCTIONS[function].arity:
                    raise TileError(f"chain {text!r}: {function} takes {FUNCTIONS[function].arity} operands")
                return apply(function, *map(value, arguments))
        raise TileError(f"chain {text!r}: {ast.unparse(node)} cannot be read")

    *assignments, last = ast.parse(text.strip()).body or [ast.Pass()]
    for statement in assignments:
        match statement:
            case ast.Assign([ast.Name(name)], assigned):
                local[name] = value(assigned)
            case _:
                raise TileError(f"chain {text!r}: only the last part may be an output")
    if not isinstance(last, ast.Expr):
        raise TileError(f"chain {text!r}: the last part must be what it gives")
    outputs = last.value.elts if isinstance(last.value, ast.Tuple) else [last.value]
    return [value(output) for output in outputs]


IDENTITY = chain("x")
"""No work at all."""
