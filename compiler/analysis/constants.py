"""What can be computed before the call: values that depend on no input, and values that depend on weights alone.

- :func:`constants` marks both over the outermost graph.
- :func:`evaluate` computes a value that depends on no input, for real; :func:`constant_value` does so if it can.
- :func:`weight_values` is the memo with which :func:`evaluate` computes a value that depends on weights.
- :func:`does_work` tells a computation worth keeping the result of from one a kernel repeats for free.

Nothing that is random, written in place, or computed under a flat autocast region is marked.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.utils import _pytree as pytree

from ..execute import run_prelude
from ..program import InputKind, Program, is_operator, tensor_of, value_of
from .effects import aliases, changes_mode, effects, is_random, mutated

aten = torch.ops.aten

# A kernel that reads a value recomputes these on the way in: they are views, gathers of as many bytes, or written by
# Inductor as index arithmetic.
_FREE = {
    aten.embedding,
    aten.index_select,
    aten.gather,
    aten.index,
    aten.slice,
    aten.select,
    aten.narrow,
    aten.expand,
    aten.expand_as,
    aten.view,
    aten.view_as,
    aten.reshape,
    aten._unsafe_view,
    aten.flatten,
    aten.unflatten,
    aten.permute,
    aten.transpose,
    aten.t,
    aten.mT,
    aten.movedim,
    aten.swapaxes,
    aten.swapdims,
    aten.unsqueeze,
    aten.squeeze,
    aten.split,
    aten.split_with_sizes,
    aten.chunk,
    aten.unbind,
    aten.alias,
    aten.detach,
    aten.to,
    aten._to_copy,
    aten.type_as,
    aten.contiguous,
    aten.clone,
    aten.lift_fresh_copy,
    aten.cat,
    aten.stack,
    aten.flip,
    aten.tril,
    aten.triu,
    aten.constant_pad_nd,
    aten.pad,
    aten.arange,
    aten.full,
    aten.full_like,
    aten.zeros,
    aten.zeros_like,
    aten.new_zeros,
    aten.ones,
    aten.ones_like,
    aten.new_ones,
    aten.new_full,
    aten.new_empty,
    aten.scalar_tensor,
    aten.linspace,
    aten.eye,
}


@dataclass(frozen=True)
class Constants:
    """Nodes of the outermost graph whose value is settled before the call, in graph order."""

    input_free: dict[fx.Node, None]
    """Depend on nothing at all: factories, literals, and tensors the graph owns."""
    weights_only: dict[fx.Node, None]
    """Depend on weights (and on what is input-free) alone; the placeholders of weights are among them."""

    def frontier(self, nodes: Iterable[fx.Node]) -> list[fx.Node]:
        """Those calls among ``nodes`` with one tensor value that something outside ``nodes`` uses."""
        inside = dict.fromkeys(nodes)
        return [
            node
            for node in inside
            if node.op == "call_function" and tensor_of(node) is not None and any(u not in inside for u in node.users)
        ]


def constants(program: Program) -> Constants:
    """Mark the settled values of a program's outermost graph."""
    graph = program.graph
    facts = effects(graph)
    written = frozenset[fx.Node]().union(*facts.writes.values())
    weights = {
        node
        for record, node in zip(program.inputs, program.placeholders(), strict=True)
        if record.is_weight and (record.fqn is not None or record.kind is InputKind.DERIVED)
    }
    found = Constants({}, {})
    for node in graph.nodes:
        if facts.storage[node] in written:
            continue
        if node.op == "placeholder":
            if node in weights:
                found.weights_only[node] = None
        elif node.op == "get_attr":
            found.input_free[node] = None
        elif node.op == "call_function" and not facts.region[node].autocasts and _pure(node):
            if all(source in found.input_free for source in node.all_input_nodes):
                found.input_free[node] = None
            elif all(source in found.input_free or source in found.weights_only for source in node.all_input_nodes):
                found.weights_only[node] = None
    return found


def evaluate(node: fx.Node, memo: dict[fx.Node, Any] | None = None) -> Any:
    """The real value of an input-free node; ``memo`` keeps what was computed on the way."""
    memo = {} if memo is None else memo
    with torch.no_grad(), unset_fake_temporarily():
        for each in ancestors(node, memo):
            if each.op == "get_attr":
                value: Any = each.graph.owning_module
                for part in str(each.target).split("."):
                    value = getattr(value, part)
                memo[each] = value
            else:
                args, kwargs = fx.map_arg((each.args, dict(each.kwargs)), memo.__getitem__)  # type: ignore[misc]
                memo[each] = each.target(*args, **kwargs)  # type: ignore[operator]
    return memo[node]


def weight_values(program: Program) -> dict[fx.Node, Any]:
    """The real values of the placeholders that belong to the model; the program has its weights at hand."""
    weights = program.weights or {}
    with torch.no_grad(), unset_fake_temporarily():
        derived = iter(run_prelude(program, weights))
    found: dict[fx.Node, Any] = {}
    for record, node in zip(program.inputs, program.placeholders(), strict=True):
        if record.kind is InputKind.DERIVED:
            found[node] = next(derived)
        elif record.fqn is not None:
            found[node] = weights[record.fqn]
    return found


def constant_value(node: Any) -> torch.Tensor | None:
    """The real tensor of a node that depends on no input, in any graph, or ``None``."""
    if not isinstance(node, fx.Node) or tensor_of(node) is None:
        return None
    seen: set[fx.Node] = set()
    stack = [node]
    while stack:
        each = stack.pop()
        if each in seen:
            continue
        if (each.op != "get_attr" and not (each.op == "call_function" and _pure(each))) or is_written(each):
            return None
        seen.add(each)
        stack += each.all_input_nodes
    return evaluate(node)


def is_written(node: fx.Node) -> bool:
    """Whether anything writes a value in place, directly or through a view of it."""
    return any(node in mutated(user) or (node in aliases(user) and is_written(user)) for user in node.users)


def ancestors(node: fx.Node, known: dict[fx.Node, Any]) -> list[fx.Node]:
    """``node`` and what it depends on, sources first, without what is already ``known``."""
    found: dict[fx.Node, None] = {}
    stack = [(node, False)]
    while stack:
        current, expanded = stack.pop()
        if current in known or current in found:
            continue
        if expanded:
            found[current] = None
        else:
            stack += [(current, True), *((source, False) for source in current.all_input_nodes)]
    return list(found)


def does_work(node: fx.Node) -> bool:
    """Whether a call does more than what a kernel that reads its result could do on the way: not pointwise, not a view.

    A higher-order operator works when its body does.
    """
    target = node.target
    if node.op != "call_function" or target is operator.getitem:
        return False
    if is_operator(target):
        return torch.Tag.pointwise not in target.tags and target.overloadpacket not in _FREE
    return any(does_work(inner) for body in _bodies(node) for inner in body.graph.nodes)


def is_free(node: fx.Node) -> bool:
    """Whether a call is a view, a cast or another way of reading its only tensor argument."""
    target = node.target
    packet = target.overloadpacket if is_operator(target) else None
    return packet in _FREE and len(node.all_input_nodes) == 1


def _pure(node: fx.Node) -> bool:
    """Whether the call always gives the same value for the same arguments, with all sizes known."""
    if changes_mode(node) or is_random(node) or mutated(node):
        return False
    if not isinstance(node.target, (torch._ops.OpOverload, torch._ops.HigherOrderOperator)):
        return node.target is operator.getitem
    return not any(isinstance(leaf, torch.SymInt) for leaf in _sizes(value_of(node)))


def _sizes(value: Any) -> list[Any]:
    leaves = pytree.tree_leaves(value)
    return [size for leaf in leaves if isinstance(leaf, torch.Tensor) for size in leaf.shape] + leaves


def _bodies(node: fx.Node) -> list[fx.GraphModule]:
    owner = node.graph.owning_module
    found = [getattr(owner, str(arg.target), None) for arg in node.all_input_nodes if arg.op == "get_attr"]
    return [body for body in found if isinstance(body, fx.GraphModule)]
