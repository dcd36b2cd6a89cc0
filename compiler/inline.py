"""Insert what a Python function computes on the values of some nodes, operator by operator."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any
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


def inline(edit: Edit, function: Callable[..., torch.Tensor], *nodes: fx.Node, key: Any = None) -> fx.Node:
    """Trace ``function`` on the fake values of ``nodes`` and insert its calls; gives the node of its one result.

    Functions given under one ``key`` (hashable) must do the same on values of the same types.
    """
    memo = {} if key is None or edit.fake_mode is None else _traced.setdefault(edit.fake_mode, {})
    if key not in memo:
        with edit.fake_mode or contextlib.nullcontext():
            memo[key] = make_fx(function, pre_dispatch=True)(*map(value_of, nodes))
    traced = memo[key]
    placeholders: list[fx.Node] = list(traced.graph.find_nodes(op="placeholder"))
    values: dict[fx.Node, Any] = dict(zip(placeholders, nodes, strict=True))
    for node in traced.graph.find_nodes(op="get_attr"):
        values[node] = edit.constant(str(node.target), getattr(traced, str(node.target)))
    for node in traced.graph.nodes:
        if node.op == "call_function":
            args, kwargs = map_arg((node.args, dict(node.kwargs)), values.__getitem__)
            values[node] = edit.call(node.target, *args, **kwargs)
    (result,) = traced.graph.output_node().all_input_nodes
    return values[result]
