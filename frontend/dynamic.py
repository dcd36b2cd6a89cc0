"""Dynamic dimensions as a user writes them, ``NAME:DIM[=MIN..MAX]``, and as ``torch.export`` takes them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..compiler.errors import UsageError, nearest
from .capture import Inputs, arguments


@dataclass(frozen=True)
class DynamicDim:
    """Dimension ``dim`` of the argument ``name`` of ``forward``, of any size from ``low`` to ``high``."""

    name: str
    dim: int
    low: int | None = None
    high: int | None = None

    @classmethod
    def parse(cls, text: str) -> DynamicDim:
        """Read ``input_ids:1`` or ``input_ids:1=2..256``; raises :class:`UsageError`."""
        matched = re.fullmatch(r"(\w+):(-?\d+)(?:=(\d*)\.\.(\d*))?", text.strip())
        if matched is None:
            raise UsageError(f"--dynamic {text!r} is not NAME:DIM or NAME:DIM=MIN..MAX", hint="e.g. input_ids:1=2..256")
        low, high = (int(part) if part else None for part in matched.group(3, 4))
        return cls(matched[1], int(matched[2]), low, high)


def dynamic_shapes(
    model: nn.Module, inputs: Inputs, wanted: Sequence[DynamicDim], types: Sequence[str] = ()
) -> dict[str, Any] | None:
    """The ``dynamic_shapes`` of ``torch.export`` for these dimensions; ``None`` when there are none.

    A dimension written ``t=5`` in the types of the inputs is dynamic, too.
    """
    args, kwargs = arguments(inputs)
    try:
        bound = inspect.signature(model.forward).bind(*args, **kwargs).arguments
    except TypeError as error:
        raise UsageError(f"{type(model).__name__}.forward does not take these inputs: {error}") from error
    given = _flattened(model, bound)
    for (name, value), text in zip([(n, v) for n, v in given.items() if isinstance(v, Tensor)], types, strict=False):
        parts = text[text.index("[") + 1 : text.rindex("]")].split(",")
        assert len(parts) == value.dim() or not value.dim()
        wanted = [*wanted, *(DynamicDim(name, at) for at, part in enumerate(parts) if "=" in part)]
    if not wanted:
        return None
    shapes: dict[str, Any] = dict.fromkeys(given)
    for item in wanted:
        value = given.get(item.name)
        if item.name not in given:
            raise UsageError(f"--dynamic: the call has no argument {item.name!r}", hint=nearest(item.name, given))
        if not isinstance(value, Tensor):
            raise UsageError(f"--dynamic: argument {item.name!r} is {type(value).__name__}, not a tensor")
        if not -value.dim() <= item.dim < value.dim():
            raise UsageError(f"--dynamic: {item.name!r} has {value.dim()} dimensions, there is none {item.dim}")
        dim = torch.export.Dim.DYNAMIC(min=item.low, max=item.high)
        shapes[item.name] = {**(shapes[item.name] or {}), item.dim % value.dim(): dim}
    return _nested(model, shapes, bound)


def _flattened(model: nn.Module, bound: dict[str, Any]) -> dict[str, Any]:
    """Arguments by name, with those that arrived as ``**kwargs`` beside the others."""
    flat: dict[str, Any] = {}
    for name, parameter in inspect.signature(model.forward).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            flat |= bound.get(name, {})
        elif name in bound:
            flat[name] = bound[name]
    return flat


def _nested(model: nn.Module, shapes: dict[str, Any], bound: dict[str, Any]) -> dict[str, Any]:
    """The structure ``torch.export`` asks for: what was given as ``**kwargs`` under that parameter's name."""
    for name, parameter in inspect.signature(model.forward).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD and name in bound:
            inner = {key: shapes.pop(key) for key in bound[name]}
            shapes[name] = inner
    return shapes
