"""Aliases, mutations, random numbers and regions of a graph: what a rewrite must not reorder.

The graphs are not functional: in-place operators, views, dropout, and (from Dynamo) flat autocast and grad-mode
switches are as the user wrote them. :class:`Effects` answers the one question a rewrite has: may these nodes be
replaced by a computation at the place of the last of them?
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import fx
from torch.utils import _pytree as pytree

from ..program import is_operator, tensor_of

GRAD_SWITCH = torch._C._set_grad_enabled
_autocast: Any = torch.amp.autocast_mode
ENTER_AUTOCAST: Callable[..., Any] = _autocast._enter_autocast
EXIT_AUTOCAST: Callable[..., Any] = _autocast._exit_autocast

# Schemas that do not own up to writing their running statistics while the named flag is set.
_RUNNING_STATISTICS = {torch.ops.aten.batch_norm: "training", torch.ops.aten.instance_norm: "use_input_stats"}
_OPAQUE_WRITERS = {"triton_kernel_wrapper_mutation"}
_IN_PLACE = "setitem delitem iadd isub imul itruediv ifloordiv imod ipow iand ior ixor ilshift irshift imatmul"
_IN_PLACE_OPERATORS = frozenset(_IN_PLACE.split())


@dataclass(frozen=True)
class Region:
    """Where a node stands among the flat mode switches of its graph."""

    grad_switch: str = ""
    """Name of the last grad-mode switch before the node."""
    autocasts: tuple[str, ...] = ()
    """Names of the ``_enter_autocast`` nodes that are open at the node."""


@dataclass
class Effects:
    """Facts about one graph, by node."""

    position: dict[fx.Node, int] = field(default_factory=dict[fx.Node, int])
    storage: dict[fx.Node, fx.Node] = field(default_factory=dict[fx.Node, fx.Node])
    """Representative of the storage a node's value may share."""
    writes: dict[fx.Node, frozenset[fx.Node]] = field(default_factory=dict[fx.Node, "frozenset[fx.Node]"])
    """Storages a mutating node writes, in graph order."""
    random: list[fx.Node] = field(default_factory=list[fx.Node])
    region: dict[fx.Node, Region] = field(default_factory=dict[fx.Node, Region])

    def moved_across(self, nodes: Iterable[fx.Node], root: fx.Node) -> fx.Node | None:
        """The mutation that computing ``nodes`` afresh at ``root`` would cross, if any.

        A crossed mutation writes a storage that one of the nodes reads or shares, after the first of the nodes and
        before the root.
        """
        nodes = list(nodes)
        touched = {self.storage.get(source, source) for node in nodes for source in (node, *node.all_input_nodes)}
        first = min(self.position[node] for node in nodes)
        for node, written in self.writes.items():
            if first < self.position[node] < self.position[root] and written & touched:
                return node
        return None

    def insert(self, nodes: Iterable[fx.Node], anchor: fx.Node) -> None:
        """Take in nodes that were made just before ``anchor``."""
        for node in nodes:
            self.position[node] = self.position[anchor]
            self.region[node] = self.region[anchor]
            self.storage[node] = _storage(self, node)

    def regions_of(self, nodes: Iterable[fx.Node]) -> set[Region]:
        """The distinct regions the nodes stand in."""
        return {self.region[node] for node in nodes}


def effects(graph: fx.Graph) -> Effects:
    """Compute the effects of a graph."""
    facts = Effects()
    region = Region()
    for at, node in enumerate(graph.nodes):
        facts.position[node] = at
        region = _next_region(region, node)
        facts.region[node] = region
        facts.storage[node] = _storage(facts, node)
        written = mutated(node)
        if written:
            facts.writes[node] = frozenset(facts.storage[n] for n in written)
        if is_random(node):
            facts.random.append(node)
    return facts


def mutated(node: fx.Node) -> list[fx.Node]:
    """The arguments a node writes in place."""
    if node.op != "call_function":
        return list(node.all_input_nodes) if node.op in ("call_method", "call_module") else []
    target = node.target
    if is_operator(target):
        if target.overloadpacket in _RUNNING_STATISTICS:
            updates = bool(_flag(node, _RUNNING_STATISTICS[target.overloadpacket]))
            statistics = (_flag(node, "running_mean"), _flag(node, "running_var"))
            return [value for value in statistics if updates and isinstance(value, fx.Node)]
        return _nodes_at(node, _signature(target).written)
    if isinstance(target, torch._ops.HigherOrderOperator):
        bodies = [_body(arg) for arg in node.all_input_nodes]
        if any(body is not None and _has_mutation(body) for body in bodies):
            return [arg for arg, body in zip(node.all_input_nodes, bodies, strict=True) if body is None]
        return list(node.all_input_nodes) if target.name() in _OPAQUE_WRITERS else []
    # A function of Python or torch that the capture left as it was.
    return [] if _is_pure(target) else _tensors(node)


def is_random(node: fx.Node) -> bool:
    """Whether a node draws random numbers."""
    if node.op != "call_function":
        return False
    target = node.target
    if isinstance(target, torch._ops.HigherOrderOperator):
        return any(is_random(n) for arg in node.all_input_nodes if (body := _body(arg)) for n in body.nodes)
    if not is_operator(target):
        return False
    signature = _signature(target)
    if signature.probability:
        return bool(_flag(node, signature.probability)) and _flag(node, "train", default=True) is not False
    return signature.draws


def changes_mode(node: fx.Node) -> bool:
    """Whether a node switches grad mode or opens or closes an autocast region."""
    return node.op == "call_function" and node.target in (GRAD_SWITCH, ENTER_AUTOCAST, EXIT_AUTOCAST)


def _next_region(region: Region, node: fx.Node) -> Region:
    if node.op != "call_function":
        return region
    if node.target is GRAD_SWITCH:
        return Region(node.name, region.autocasts)
    if node.target is ENTER_AUTOCAST:
        return Region(region.grad_switch, (*region.autocasts, node.name))
    if node.target is EXIT_AUTOCAST:
        return Region(region.grad_switch, region.autocasts[:-1])
    return region


def _storage(facts: Effects, node: fx.Node) -> fx.Node:
    """The first aliased argument's storage; a node that aliases several joins the first and is written with all."""
    aliased = aliases(node)
    if not aliased:
        return node
    first = facts.storage[aliased[0]]
    for joined in {facts.storage[other] for other in aliased[1:]} - {first}:
        facts.storage.update({key: first for key, value in facts.storage.items() if value is joined})
        for writer, written in facts.writes.items():
            if joined in written:
                facts.writes[writer] = (written - {joined}) | {first}
    return first


def aliases(node: fx.Node) -> list[fx.Node]:
    """Arguments whose storage the value of ``node`` may share."""
    if node.op != "call_function":
        return list(node.all_input_nodes) if node.op in ("call_method", "call_module") else []
    target = node.target
    if target is operator.getitem:
        sources = list(node.all_input_nodes)
        # The results of an operator that makes new tensors are apart from each other.
        made = any(source.op == "call_function" and is_operator(source.target) for source in sources[:1])
        return [] if made and not aliases(sources[0]) else sources
    if isinstance(target, torch._ops.HigherOrderOperator):
        return [arg for arg in node.all_input_nodes if tensor_of(arg) is not None]
    if not is_operator(target):
        return _tensors(node)
    return _nodes_at(node, _signature(target).aliased)


def _is_pure(target: Any) -> bool:
    """Whether a plain function is one of Python's operators that writes nothing."""
    name = getattr(target, "__name__", "")
    return getattr(target, "__module__", "") == "_operator" and name not in _IN_PLACE_OPERATORS


def _tensors(node: fx.Node) -> list[fx.Node]:
    return [source for source in node.all_input_nodes if tensor_of(source) is not None]


@dataclass(frozen=True)
class _Signature:
    """What a schema says: arguments as ``(position, name)``."""

    written: tuple[tuple[int, str], ...]
    aliased: tuple[tuple[int, str], ...]
    probability: str
    """Name of the argument that says how much is dropped, or an empty string."""
    draws: bool


@cache
def _signature(target: torch._ops.OpOverload[..., Any]) -> _Signature:
    returned = {name for value in target._schema.returns if value.alias_info for name in value.alias_info.before_set}
    noted = [(at, a.name, a.alias_info) for at, a in enumerate(target._schema.arguments) if a.alias_info is not None]
    names = {argument.name for argument in target._schema.arguments}
    return _Signature(
        written=tuple((at, name) for at, name, info in noted if info.is_write),
        aliased=tuple((at, name) for at, name, info in noted if returned & info.before_set or "*" in info.after_set),
        probability=next((name for name in ("dropout_p", "dropout", "p") if name in names), ""),
        draws=torch.Tag.nondeterministic_seeded in target.tags,
    )


def _nodes_at(node: fx.Node, arguments: tuple[tuple[int, str], ...]) -> list[fx.Node]:
    found: list[fx.Node] = []
    for at, name in arguments:
        value: Any = node.args[at] if at < len(node.args) else node.kwargs.get(name)
        found += [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, fx.Node)]
    return found


def _body(node: fx.Node) -> fx.Graph | None:
    owner = node.graph.owning_module
    if node.op != "get_attr" or owner is None:
        return None
    value: Any = owner
    for part in str(node.target).split("."):
        value = getattr(value, part, None)
    return value.graph if isinstance(value, fx.GraphModule) else None


def _has_mutation(graph: fx.Graph) -> bool:
    return any(mutated(node) for node in graph.nodes)


def _flag(node: fx.Node, name: str, default: Any = None) -> Any:
    assert is_operator(node.target)
    for at, argument in enumerate(node.target._schema.arguments):
        if argument.name == name:
            if at < len(node.args):
                return node.args[at]
            return node.kwargs.get(name, argument.default_value)
    return default
