"""The operators that one call runs, as a graph in pre-dispatch ATen.

What ``make_fx(pre_dispatch=True)`` gives, without what only whole models need: patched modules, metadata of torch
functions, generated code. A call costs half as much. Calls on symbolic sizes, and those that fail, go to ``make_fx``
itself, which knows higher-order operators and removes size arithmetic that nothing uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import fx
from torch._dispatch.python import enable_python_dispatcher
from torch.fx.experimental import proxy_tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

_SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)


def record(
    call: Callable[..., Any], inputs: Callable[[], Sequence[Any]], expected: Any = None
) -> tuple[fx.Graph, torch.nn.Module]:
    """Operators of ``call(*inputs())``, and the module that holds the tensors its ``get_attr`` nodes name.

    ``call`` gives a list, the graph's result, with values like those of ``expected``. ``inputs`` makes fresh
    inputs each time, as ``call`` may write to them.
    """
    leaves = inputs()
    if not _is_symbolic((leaves, expected)):
        # make_fx decides what cannot be traced, and says why.
        with suppress(Exception):
            graph, root = _record(call, leaves)
            if not _is_symbolic([node.meta.get("val") for node in graph.nodes]):
                return graph, root
        leaves = inputs()
    traced = make_fx(call, pre_dispatch=True)(*leaves)
    return traced.graph, traced


def _record(call: Callable[..., Any], leaves: Sequence[Any]) -> tuple[fx.Graph, torch.nn.Module]:
    # Compiled autograd sets the tracer up in the same way.
    tracer = proxy_tensor.PythonKeyTracer()
    tracer.root, tracer.graph, tracer.tensor_attrs = torch.nn.Module(), fx.Graph(), {}
    with (
        enable_python_dispatcher(),
        proxy_tensor.PreDispatchTorchFunctionMode(tracer),
        proxy_tensor.ProxyTorchDispatchMode(tracer, "real", pre_dispatch=True),
        proxy_tensor.disable_autocast_cache(),
    ):
        proxies = [tracer.create_proxy("placeholder", f"arg{at}_1", (), {}) for at in range(len(leaves))]
        keyed: Any = proxy_tensor.wrap_key(call, tuple(leaves), tracer, True)
        results = keyed(*proxies)
        tracer.create_node("output", "output", (tracer.create_arg(results),), {})
    return tracer.graph, tracer.root


def _is_symbolic(values: Any) -> bool:
    """Whether a tensor among values has a symbolic size, or a number is symbolic."""
    for value in pytree.tree_leaves(values):
        parts = (*value.shape, *value.stride()) if isinstance(value, torch.Tensor) else (value,)
        if any(isinstance(part, _SYMBOLIC) for part in parts):
            return True
    return False
