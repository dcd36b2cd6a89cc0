"""Canonical calls: one way to read a node, however it was spelled.

:func:`bind` names every argument of a call by its schema, fills defaults and makes dimensions non-negative.
:func:`cast_of`, :func:`permutation_of` and :func:`reshape_of` read the many spellings of a dtype cast, a permutation of
dimensions and a change of shape, so that a rule states what it needs once.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeGuard, cast

import torch
from torch import fx

from .program import is_operator, tensor_of

aten = torch.ops.aten

_DIM_ARGUMENTS = {"dim", "dims", "dim0", "dim1", "axis", "axis0", "axis1"}
_ONE_RANK_MORE = {"unsqueeze", "stack"}

CASTS = (
    aten.to.dtype,
    aten.to.dtype_layout,
    aten._to_copy.default,
    aten.to.device,
    aten.to.other,
    aten.type_as.default,
)
PERMUTES = (
    aten.permute.default,
    aten.transpose.int,
    aten.t.default,
    aten.swapaxes.default,
    aten.swapdims.default,
    aten.mT.default,
    aten.numpy_T.default,
    aten.movedim.int,
)
RESHAPES = (
    aten.view.default,
    aten.reshape.default,
    aten._unsafe_view.default,
    aten.flatten.using_ints,
    aten.unflatten.int,
    aten.unsqueeze.default,
    aten.squeeze.dim,
)


def is_call(node: Any, *targets: Any) -> TypeGuard[fx.Node]:
    """Whether ``node`` is a call, to one of ``targets`` when any are given."""
    return isinstance(node, fx.Node) and node.op == "call_function" and (not targets or node.target in targets)


@cache
def parameters(target: torch._ops.OpOverload[..., Any]) -> tuple[tuple[str, Any, bool, bool], ...]:
    """Schema arguments as ``(name, default, has_default, is_dim)``."""
    return tuple(
        (argument.name, argument.default_value, argument.has_default_value(), argument.name in _DIM_ARGUMENTS)
        for argument in target._schema.arguments
    )


def bind(node: fx.Node) -> dict[str, Any]:
    """Arguments of an ATen or dialect call by schema name, defaults filled, dimensions made non-negative.

    Raises ``TypeError`` for anything that is not a call of an ``OpOverload``.
    """
    target = node.target
    if node.op != "call_function" or not is_operator(target):
        raise TypeError(f"{node.name} is not a call of an operator with a schema")
    bound: dict[str, Any] = {}
    for at, (name, default, has_default, is_dim) in enumerate(parameters(target)):
        if at < len(node.args):
            value: Any = node.args[at]
        elif name in node.kwargs:
            value = node.kwargs[name]
        elif has_default:
            value = default
        else:
            raise TypeError(f"{node.name}: argument {name!r} of {target} is missing")
        bound[name] = non_negative(value, node) if is_dim else value
    return bound


def non_negative(dims: Any, node: fx.Node) -> Any:
    """``dims`` (an int or a list of ints) of ``node``'s first tensor, counted from the front."""
    first: Any = node.args[0] if node.args else None
    if isinstance(first, (list, tuple)):
        first = next(iter(cast("Sequence[Any]", first)), None)
    tensor = tensor_of(first)
    if tensor is None or dims is None:
        return dims
    rank = tensor.dim() + (op_base_name(node) in _ONE_RANK_MORE)
    if isinstance(dims, (list, tuple)):
        return [dim + rank if isinstance(dim, int) and dim < 0 else dim for dim in cast("Sequence[Any]", dims)]
    return dims + rank if isinstance(dims, int) and dims < 0 else dims


def op_base_name(node: fx.Node) -> str:
    """Name of the operator without namespace and overload, or ``""``."""
    target = node.target
    return target.overloadpacket.__name__ if is_operator(target) else ""


def cast_of(node: Any) -> tuple[fx.Node, torch.dtype] | None:
    """``(source, dtype)`` when the node only changes the dtype of a tensor (a cast to the same dtype included)."""
    if not is_call(node, *CASTS):
        return None
    source: Any = node.args[0]
    before, after = tensor_of(source), tensor_of(node)
    if before is None or after is None or before.device != after.device or before.layout != after.layout:
        return None
    return source, after.dtype


def strip_casts(node: Any) -> Any:
    """The value under any number of dtype casts."""
    while (cast_to := cast_of(node)) is not None:
        node = cast_to[0]
    return node


def permutation_of(node: Any) -> tuple[fx.Node, tuple[int, ...]] | None:
    """``(source, order)`` with ``node = source.permute(order)`` for every spelling of a permutation."""
    if not is_call(node, *PERMUTES):
        return None
    source: Any = node.args[0]
    tensor = tensor_of(source)
    if tensor is None:
        return None
    order = list(range(tensor.dim()))
    if node.target is aten.permute.default:
        order = list(bind(node)["dims"])
    elif node.target is aten.numpy_T.default:
        order.reverse()
    elif node.target is aten.movedim.int:
        bound = bind(node)
        origin, goal = (int(bound[k]) % tensor.dim() for k in ("source", "destination"))
        order.insert(goal, order.pop(origin))
    else:
        first, second = _swapped(node, tensor.dim())
        if tensor.dim() >= 2:
            order[first], order[second] = order[second], order[first]
    return source, tuple(order)


def reshape_of(node: Any) -> tuple[fx.Node, tuple[Any, ...]] | None:
    """``(source, shape)`` when the node only changes the shape, keeping the order of elements."""
    if not is_call(node, *RESHAPES):
        return None
    source: Any = node.args[0]
    before, after = tensor_of(source), tensor_of(node)
    if before is None or after is None:
        return None
    return source, tuple(after.shape)


def getitem_of(node: Any) -> tuple[fx.Node, Any] | None:
    """``(source, index)`` of an ``operator.getitem`` on a tuple or list value."""
    if is_call(node, operator.getitem):
        source: Any = node.args[0]
        return source, node.args[1]
    return None


def number(value: Any) -> float | None:
    """A Python number (not a bool) as float, or ``None``."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _swapped(node: fx.Node, rank: int) -> tuple[int, int]:
    if node.target is aten.t.default:
        return 0, 1
    if node.target is aten.mT.default:
        return rank - 2, rank - 1
    first, second = node.args[1], node.args[2]
    return int(cast(int, first)) % rank, int(cast(int, second)) % rank
