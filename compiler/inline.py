"""Insert what a Python function computes on the values of some nodes, operator by operator."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.node import map_arg

from .program import value_of
from .rewriter import Edit


def inline(edit: Edit, function: Callable[..., torch.Tensor], *nodes: fx.Node) -> fx.Node:
    """Trace ``function`` on the fake values of ``nodes`` and insert its calls; gives the node of its one result."""
    with edit.fake_mode or contextlib.nullcontext():
        traced = make_fx(function, pre_dispatch=True)(*map(value_of, nodes))
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
