"""Types in text: ``f32[2, s0]``, ``f32[2, 3].strided(1, 2)``, ``f32[()].on("cuda:0")``, ``s0 + 1``, ``(f32[2],)``."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ..values import dtype_text
from .symbols import Naming, SizeError, size_of

DTYPES: dict[str, torch.dtype] = {
    dtype_text(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)
}
"""Dtypes by short name; the rarer ones by their name in torch."""


@dataclass(frozen=True)
class TensorType:
    """What a type says of a tensor; no ``stride`` means contiguous."""

    dtype: torch.dtype
    shape: tuple[Any, ...]
    stride: tuple[Any, ...] | None = None
    device: str = "cpu"

    def make(self, mode: FakeTensorMode) -> torch.Tensor:
        """A tensor of this type: a fake one under ``mode``."""
        with mode, torch.no_grad():
            if self.stride is None:
                return torch.empty(self.shape, dtype=self.dtype, device=self.device)
            return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device=self.device)


@dataclass(frozen=True)
class ScalarType:
    """A number whose value the text does not give."""

    name: str


def value_text(value: Any, naming: Naming, *, layout: bool = False) -> str:
    """The type of a fake value, with strides when ``layout`` is asked for and it is not contiguous."""
    if isinstance(value, torch.Tensor):
        return _tensor_text(value, naming, layout)
    if isinstance(value, (list, tuple)):
        items = cast("list[Any] | tuple[Any, ...]", value)
        parts = ", ".join(value_text(item, naming, layout=layout) for item in items)
        if isinstance(value, list):
            return f"[{parts}]"
        return f"({parts},)" if len(items) == 1 else f"({parts})"
    if isinstance(value, (bool, torch.SymBool)):
        return "bool"
    if isinstance(value, (int, torch.SymInt)):
        return naming.text(value)
    if isinstance(value, (float, torch.SymFloat)):
        return "float"
    return "None" if value is None else type(value).__name__


def parse_type(node: ast.expr, symbols: Mapping[str, torch.SymInt]) -> Any:
    """A :class:`TensorType`, size, :class:`ScalarType`, ``None``, or a tuple or list of these.

    Raises :class:`SizeError` at the part that is no type.
    """
    if isinstance(node, (ast.Tuple, ast.List)):
        items = [parse_type(item, symbols) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if isinstance(node, ast.Name) and node.id not in symbols:
        if node.id in ("bool", "float", "str", "int", "dtype", "device", "layout", "memory_format"):
            return ScalarType(node.id)
        raise SizeError(node)
    if isinstance(node, ast.Subscript):
        return _tensor_type(node, symbols)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        inner = parse_type(node.func.value, symbols)
        if isinstance(inner, TensorType):
            if node.func.attr == "strided":
                stride = tuple(size_of(argument, symbols) for argument in node.args)
                if len(stride) != len(inner.shape):
                    raise SizeError(node)
                return TensorType(inner.dtype, inner.shape, stride, inner.device)
            if node.func.attr == "on" and len(node.args) == 1 and isinstance(node.args[0], ast.Constant):
                return TensorType(inner.dtype, inner.shape, inner.stride, _device(node.args[0]))
        raise SizeError(node)
    return size_of(node, symbols)


def fake_value(declared: Any, mode: FakeTensorMode) -> Any:
    """A fake value of a declared type; numbers whose value is not given are ``None``."""
    if isinstance(declared, TensorType):
        return declared.make(mode)
    if isinstance(declared, (list, tuple)):
        items = [fake_value(item, mode) for item in cast("list[Any]", declared)]
        return items if isinstance(declared, list) else tuple(items)
    return None if isinstance(declared, ScalarType) else declared


def fits(declared: Any, value: Any) -> bool:
    """Whether a computed value is of the declared type; strides are compared only where they are declared."""
    if isinstance(declared, TensorType):
        if not isinstance(value, torch.Tensor) or value.dtype != declared.dtype or value.dim() != len(declared.shape):
            return False
        if value.device != torch.device(declared.device) or not _same(declared.shape, value.shape):
            return False
        return declared.stride is None or _same(declared.stride, value.stride())
    if isinstance(declared, (list, tuple)):
        items = cast("list[Any]", declared)
        if not isinstance(value, (list, tuple)):
            return False
        values = cast("list[Any]", value)
        return len(items) == len(values) and all(map(fits, items, values))
    if isinstance(declared, ScalarType):
        return value_text(value, Naming()) == declared.name
    return str(declared) == str(value)


def _tensor_text(value: torch.Tensor, naming: Naming, layout: bool) -> str:
    shape = ", ".join(map(naming.text, value.shape)) or "()"
    text = f"{dtype_text(value.dtype)}[{shape}]"
    if layout and not _contiguous(value):
        text += f".strided({', '.join(map(naming.text, value.stride()))})"
    return text if value.device.type == "cpu" else f'{text}.on("{value.device}")'


def _contiguous(value: torch.Tensor) -> bool:
    """Whether strides are those of a fresh tensor, on every dimension that has more than one element."""
    sizes = cast("Sequence[Any]", value.shape)
    if value.layout != torch.strided or any(isinstance(size, int) and size == 0 for size in sizes):
        return True
    expected: Any = 1
    for size, stride in zip(reversed(value.shape), reversed(value.stride()), strict=True):
        if str(size) != "1" and str(stride) != str(expected):
            return False
        expected = expected * size
    return True


def _tensor_type(node: ast.Subscript, symbols: Mapping[str, torch.SymInt]) -> TensorType:
    if not isinstance(node.value, ast.Name) or node.value.id not in DTYPES:
        raise SizeError(node.value)
    sizes = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return TensorType(DTYPES[node.value.id], tuple(size_of(size, symbols) for size in sizes))


def _device(node: ast.Constant) -> str:
    try:
        return str(torch.device(cast(str, node.value)))
    except (RuntimeError, TypeError):
        raise SizeError(node) from None


def _same(left: Any, right: Any) -> bool:
    return [str(size) for size in left] == [str(size) for size in right]
