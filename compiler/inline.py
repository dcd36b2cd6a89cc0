"""Insert what a Python function computes on the values of some nodes, operator by operator."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterable
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.node import map_arg

from .program import value_of
from .rewriter import Edit

# Layers repeat: a function is traced once for a key, for as long as the mode of its values.
_traced: WeakKeyDictionary[FakeTensorMode, dict[Any, fx.GraphModule]] = WeakKeyDictionary()


def inline(edit: Edit, function: Callable[..., Any], *nodes: fx.Node, key: Any = None) -> fx.Node:
    """Trace ``function`` on the fake values of ``nodes`` and insert its calls; gives the node of its result.

    Several results must be those of one operator, whose call is then the node. Functions given under one ``key``
    (hashable) must do the same on values of the same types.
    """
    memo = {} if key is None or edit.fake_mode is None else _traced.setdefault(edit.fake_mode, {})
    if key not in memo:
        with edit.fake_mode or contextlib.nullcontext():
            memo[key] = make_fx(function, pre_dispatch=True)(*_apart(map(value_of, nodes)))
    traced = memo[key]
    placeholders: list[fx.Node] = list(traced.graph.find_nodes(op="placeholder"))
    values: dict[fx.Node, Any] = dict(zip(placeholders, nodes, strict=True))
    for node in traced.graph.find_nodes(op="get_attr"):
        values[node] = edit.constant(str(node.target), getattr(traced, str(node.target)))
    result, parts = _result(traced.graph)
    for node in traced.graph.nodes:
        if node.op == "call_function" and node not in parts:
            args, kwargs = map_arg((node.args, dict(node.kwargs)), values.__getitem__)
            values[node] = edit.call(node.target, *args, **kwargs)
    return values[result]


def _apart(values: Iterable[Any]) -> list[Any]:
    """The values, none of them twice: tracing knows a tensor by its identity, and nodes of one type share theirs."""
    seen: set[int] = set()
    found: list[Any] = []
    for value in values:
        if isinstance(value, torch.Tensor) and id(value) in seen:
            copied = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)
            value = copied.requires_grad_(value.requires_grad)
        seen.add(id(value))
        found.append(value)
    return found


def _result(graph: fx.Graph) -> tuple[fx.Node, tuple[fx.Node, ...]]:
    """The node that gives all results, and those that take them out of it one by one."""
    (results,) = graph.output_node().args
    if isinstance(results, fx.Node):
        return results, ()
    parts = tuple(cast("tuple[fx.Node, ...]", results))
    whole = parts[0].args[0] if parts and parts[0].target is operator.getitem else None
    if not isinstance(whole, fx.Node) or any(
        part.target is not operator.getitem or part.args != (whole, at) for at, part in enumerate(parts)
    ):
        raise ValueError("a function with several results must give those of one operator, in its order")
    return whole, parts
