"""The only way a pass changes a graph.

An :class:`Edit` is one numbered rewrite at one place. Every node it makes gets its value, module path, source line and
provenance here, so that passes cannot forget them; every replacement is checked to keep type and layout.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx
from torch.fx.traceback import NodeSource, NodeSourceAction

from .errors import VerificationError
from .program import is_operator, value_of
from .values import evaluate, same_layout, same_type, type_text

aten = torch.ops.aten

_INHERITED = ("nn_module_stack", "stack_trace", "source_fn_stack", "torch_fn", "custom", "seq_nr")

# Consumers that see strides: everything else computes the same from any layout.
_LAYOUT_SENSITIVE = {
    aten.view.default,
    aten.as_strided.default,
    aten.view_as_complex.default,
    aten.is_contiguous.default,
    aten.stride.int,
}


@dataclass(frozen=True)
class Provenance:
    """Who made a node: pass, rule, the number of the rewrite within the pass, and the node it stands for."""

    pass_name: str
    rule: str
    number: int
    site: str
    origin: str


@dataclass
class Edit:
    """One rewrite, anchored at the node it replaces. New nodes are inserted just before the anchor."""

    anchor: fx.Node
    pass_name: str
    rule: str
    number: int
    site: str
    fake_mode: Any
    made: list[fx.Node] = field(default_factory=list[fx.Node])
    replaced: list[fx.Node] = field(default_factory=list[fx.Node])
    relaid: list[fx.Node] = field(default_factory=list[fx.Node])
    """Values that stand for others of the same type but with other strides, which no user sees directly."""

    @property
    def graph(self) -> fx.Graph:
        """The graph being edited."""
        return self.anchor.graph

    def call(self, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """Insert a call before the anchor and compute its value."""
        with self.graph.inserting_before(self.anchor):
            node = self.graph.call_function(target, args, kwargs)
        self._adopt(node)
        node.meta["val"] = evaluate(node, self.fake_mode)
        return node

    def constant(self, name: str, tensor: torch.Tensor) -> fx.Node:
        """Insert a tensor the graph owns; equal names get a number."""
        owner = self.graph.owning_module
        assert owner is not None
        free, count = name, 0
        while hasattr(owner, free):
            count += 1
            free = f"{name}_{count}"
        owner.register_buffer(free, tensor, persistent=False)
        with self.graph.inserting_before(self.anchor):
            node = self.graph.get_attr(free)
        self._adopt(node)
        node.meta["val"] = tensor if self.fake_mode is None else self.fake_mode.from_tensor(tensor, static_shapes=True)
        return node

    def placeholder(self, name: str, value: Any) -> fx.Node:
        """Insert an input after the last one; the caller adds its record to the program."""
        last = [node for node in self.graph.nodes if node.op == "placeholder"][-1:]
        with self.graph.inserting_after(*last) if last else self.graph.inserting_before(next(iter(self.graph.nodes))):
            node = self.graph.placeholder(name)
        self._adopt(node)
        node.meta["val"] = value
        return node

    def replace(self, old: fx.Node, new: fx.Node) -> None:
        """Give all users of ``old`` the value of ``new``; ``old`` is removed once nothing uses it.

        Type (dtype, device, shape) must agree. Where strides differ and a user can see them, the new value is laid
        out as the old one was.
        """
        before, after = value_of(old), value_of(new)
        if before is not None and not same_type(before, after):
            raise VerificationError(
                f"{self.pass_name}/{self.rule} replaced {old.name}: {type_text(before)} by {type_text(after)}",
                where=self.site,
                hint="the rewrite must cast or reshape its result",
            )
        if isinstance(before, torch.Tensor) and not same_layout(before, after):
            if _layout_matters(old):
                new = self._lay_out(new, before)
            else:
                self.relaid.append(new)
        old.replace_all_uses_with(new)
        self.replaced.append(old)

    def remove(self, node: fx.Node) -> None:
        """Remove a node that nothing uses when the edit ends, unless it has an effect."""
        self.replaced.append(node)

    def finish(self) -> list[fx.Node]:
        """Remove what nothing uses any more, the replaced nodes and all that only they used; returns the removed."""
        removed: list[fx.Node] = []
        worklist = list(self.replaced)
        while worklist:
            node = worklist.pop()
            if node.users or node._erased or node.op in ("placeholder", "output") or _has_effect(node):
                continue
            worklist += node.all_input_nodes
            self.graph.erase_node(node)
            removed.append(node)
        return removed

    def _adopt(self, node: fx.Node) -> None:
        source = self.anchor.meta
        node.meta.update({key: source[key] for key in _INHERITED if key in source})
        node.meta["from_node"] = [
            *source.get("from_node", ()),
            NodeSource(self.anchor, f"{self.pass_name}/{self.rule}", NodeSourceAction.CREATE),
        ]
        node.meta["regraft"] = Provenance(self.pass_name, self.rule, self.number, self.site, self.anchor.name)
        self.made.append(node)

    def _lay_out(self, node: fx.Node, like: torch.Tensor) -> fx.Node:
        """A copy of ``node`` whose strides are those of ``like`` (any dense permutation)."""
        order = sorted(range(like.dim()), key=lambda dim: (-_hint(like.stride(dim)), dim))
        inverse = sorted(range(like.dim()), key=order.__getitem__)
        if order == list(range(like.dim())):
            return self.call(aten.clone.default, node, memory_format=torch.contiguous_format)
        permuted = self.call(aten.permute.default, node, order)
        copied = self.call(aten.clone.default, permuted, memory_format=torch.contiguous_format)
        return self.call(aten.permute.default, copied, inverse)


def refresh(graph: fx.Graph, fake_mode: Any, relaid: Iterable[fx.Node]) -> list[fx.Node]:
    """Recompute the values of nodes downstream of those whose layout changed; returns the nodes that changed.

    A ``view`` that the new layout no longer allows becomes a ``reshape``, which copies as the old producer did.
    """
    changed: list[fx.Node] = []
    stale = set(relaid)
    for node in graph.nodes:
        if node.op != "call_function" or not any(source in stale for source in node.all_input_nodes):
            continue
        if not is_operator(node.target):
            continue
        before = value_of(node)
        try:
            after = evaluate(node, fake_mode)
        except (RuntimeError, ValueError):
            if node.target is not aten.view.default:
                raise
            node.target = aten.reshape.default
            after = evaluate(node, fake_mode)
        if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor) and not same_layout(before, after):
            node.meta["val"] = after
            stale.add(node)
            changed.append(node)
    return changed


def provenance(node: fx.Node) -> Provenance | None:
    """Who made a node, or ``None`` when it came with the capture."""
    return node.meta.get("regraft")


def _layout_matters(node: fx.Node) -> bool:
    for user in node.users:
        if user.op != "call_function" or not is_operator(user.target):
            return True
        if user.target in _LAYOUT_SENSITIVE or user.target._schema.is_mutable:
            return True
        # A view passes the layout on.
        if any(argument.alias_info for argument in user.target._schema.arguments) and _layout_matters(user):
            return True
    return False


def _has_effect(node: fx.Node) -> bool:
    from .analysis.effects import changes_mode, mutated

    return changes_mode(node) or bool(mutated(node))


def _hint(size: Any) -> int:
    return size if isinstance(size, int) else int(getattr(size.node, "hint", 0) or 0)
