"""Arguments in text: numbers, strings, nodes by name, and the few torch objects a call may take, both ways."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import fx

from ..errors import UnsupportedModelError

_NAMED: dict[str, Any] = {
    f"torch.{name}": value
    for name, value in vars(torch).items()
    if isinstance(value, (torch.dtype, torch.layout, torch.memory_format))
}


class LiteralError(Exception):
    """A part of an expression that is no argument, with what was expected there."""

    def __init__(self, node: ast.AST, what: str, hint: str | None = None) -> None:
        """Keep the place."""
        super().__init__(what)
        self.node, self.what, self.hint = node, what, hint


def literal(value: Any) -> str:
    """The text of an argument; raises :class:`UnsupportedModelError` for what text has no word for."""
    if isinstance(value, fx.Node):
        return value.name
    if isinstance(value, slice):
        bounds = cast("slice[Any, Any, Any]", value)
        return f"slice({literal(bounds.start)}, {literal(bounds.stop)}, {literal(bounds.step)})"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, cast("list[Any]", value))) + "]"
    if isinstance(value, tuple):
        items = cast("tuple[Any, ...]", value)
        return "(" + ", ".join(map(literal, items)) + (",)" if len(items) == 1 else ")")
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in items) + "}"
    if isinstance(value, torch.device):
        return f'torch.device("{value}")'
    if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if isinstance(value, complex):
        # Not as a sum, which loses the signs of zeros.
        return f"complex({literal(value.real)}, {literal(value.imag)})"
    if value is None or value is ... or isinstance(value, (bool, int)):
        return "..." if value is ... else repr(value)
    raise UnsupportedModelError(f"an argument of type {type(value).__name__} cannot be written as text: {value!r}")


def quoted(text: str) -> str:
    """A string literal in double quotes, as formatters write it."""
    plain = repr(text)
    return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in text else plain


def parse_literal(node: ast.expr, nodes: Mapping[str, Any]) -> Any:
    """The argument an expression stands for, names looked up in ``nodes``; raises :class:`LiteralError`."""
    if isinstance(node, ast.Name):
        if node.id not in nodes:
            from ..errors import nearest

            raise LiteralError(node, f"{node.id!r} is not defined here", nearest(node.id, nodes))
        return nodes[node.id]
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List):
        return [parse_literal(item, nodes) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(parse_literal(item, nodes) for item in node.elts)
    if isinstance(node, ast.Dict) and all(key is not None for key in node.keys):
        keys = cast("list[ast.expr]", node.keys)
        pairs = zip(keys, node.values, strict=True)
        return {parse_literal(key, nodes): parse_literal(item, nodes) for key, item in pairs}
    if isinstance(node, ast.Attribute) and ast.unparse(node) in _NAMED:
        return _NAMED[ast.unparse(node)]
    if isinstance(node, ast.Call):
        return _call(node, nodes)
    try:
        return ast.literal_eval(node)  # signs
    except ValueError:
        raise LiteralError(
            node,
            f"{ast.unparse(node)!r} is not an argument",
            "expected a name, a number, a string, a list, tuple, dict or slice of these, or a torch dtype or device",
        ) from None


def tensor_literal(tensor: torch.Tensor) -> str:
    """The elements of a tensor as nested lists; floats in the fewest digits that read back exactly."""
    values = cast("Any", tensor.detach().cpu()).tolist()
    return literal(_shortened(values) if tensor.dtype is torch.float32 else values)


def _shortened(values: Any) -> Any:
    """Floats of nested lists as the shortest ones that round to the same fp32."""
    if isinstance(values, list):
        return [_shortened(value) for value in cast("list[Any]", values)]
    import numpy

    return float(str(numpy.float32(values)))


def _call(node: ast.Call, nodes: Mapping[str, Any]) -> Any:
    makers: dict[str, Callable[..., Any]] = {
        "slice": slice,
        "float": float,
        "complex": complex,
        "torch.device": torch.device,
    }
    name = ast.unparse(node.func)
    if name not in makers or node.keywords:
        raise LiteralError(node, f"{name!r} cannot be called in an argument", f"expected {', '.join(sorted(makers))}")
    try:
        return makers[name](*(parse_literal(argument, nodes) for argument in node.args))
    except (TypeError, ValueError, RuntimeError) as error:
        raise LiteralError(node, f"{ast.unparse(node)}: {error}") from None
