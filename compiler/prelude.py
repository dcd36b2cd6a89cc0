"""Moving work from the graph into the prelude: what depends on weights alone is computed once, not at every call.

:func:`hoist` moves the sub-graph that computes some values from weights into :attr:`Program.prelude` and puts a DERIVED
input in their place. Nothing is evaluated here: whoever runs the program runs the prelude, again whenever a weight it
reads has changed, and gradients flow through it as they did through the graph.

A pass that hoists declares ``may_change_inputs = True``, hoists only from programs in eval mode whose weights are at
hand (:func:`can_hoist`), and only values that :func:`~.analysis.constants.constants` calls weights-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import fx

from .analysis.constants import ancestors
from .program import Input, InputKind, Program, copy_module, value_of
from .rewriter import Edit


def can_hoist(program: Program) -> str:
    """An empty string, or one sentence on why nothing may be hoisted out of this program."""
    if program.training:
        return "weights change while training"
    if program.weights is None:
        return "the graph was captured without the values of its weights"
    return ""


def hoist(program: Program, edit: Edit, nodes: Sequence[fx.Node]) -> list[fx.Node]:
    """Compute ``nodes`` of the outermost graph in the prelude; returns the DERIVED placeholders that replace them.

    What the sub-graphs share, with each other or with earlier hoists, is computed once. Raises ``ValueError`` when a
    node depends on anything but weights, constants and other derived values.
    """
    if program.prelude is None:
        program.prelude = _empty_prelude()
    writer = _Writer(program, program.prelude)
    placeholders: list[fx.Node] = []
    for node in nodes:
        writer.add_output(node)
        placeholder = edit.placeholder(f"derived_{node.name}", value_of(node))
        program.inputs.append(Input(placeholder.name, InputKind.DERIVED))
        edit.replace(node, placeholder)
        placeholders.append(placeholder)
    program.prelude.recompile()
    return placeholders


def _empty_prelude() -> fx.GraphModule:
    graph = fx.Graph()
    graph.output(())
    return fx.GraphModule({}, graph, class_name="Prelude")


class _Writer:
    """Copies sub-graphs of a program into its prelude, each distinct call once."""

    def __init__(self, program: Program, prelude: fx.GraphModule) -> None:
        self.program, self.prelude = program, prelude
        self.graph = prelude.graph
        self.output = self.graph.output_node()
        self.written: dict[Any, fx.Node] = {_key(node): node for node in self.graph.nodes}
        self.copies = self._sources()

    def add_output(self, node: fx.Node) -> None:
        """Compute ``node`` as one more output."""
        values = (*cast("tuple[fx.Node, ...]", self.output.args[0]), self._copy(node))
        self.output.args = (values,)

    def _sources(self) -> dict[fx.Node, fx.Node]:
        """The values of DERIVED placeholders in the prelude; those of weights are added as they are met."""
        derived = iter(cast("tuple[fx.Node, ...]", self.output.args[0]))
        pairs = zip(self.program.inputs, self.program.placeholders(), strict=True)
        return {node: next(derived) for record, node in pairs if record.kind is InputKind.DERIVED}

    def _copy(self, node: fx.Node) -> fx.Node:
        for each in ancestors(node, self.copies):
            if each.op == "placeholder":
                self.copies[each] = self._weight(each)
            elif each.op == "get_attr":
                self.copies[each] = self._attribute(each)
            else:
                self.copies[each] = self._call(each)
        return self.copies[node]

    def _weight(self, node: fx.Node) -> fx.Node:
        record = self.program.input_of(node)
        if not record.is_weight or record.fqn is None:
            raise ValueError(f"{node.name} is an input of the call, so what depends on it cannot be hoisted")
        fqn = record.fqn
        for placeholder in self.graph.find_nodes(op="placeholder"):
            if placeholder.meta["fqn"] == fqn:
                return placeholder
        with self.graph.inserting_before(next(iter(self.graph.nodes))):
            placeholder = self.graph.placeholder(node.name)
        placeholder.meta = {**node.meta, "fqn": fqn}
        return placeholder

    def _attribute(self, node: fx.Node) -> fx.Node:
        value: Any = node.graph.owning_module
        for part in str(node.target).split("."):
            value = getattr(value, part)
        for held in self.graph.find_nodes(op="get_attr"):
            if getattr(self.prelude, str(held.target)) is value:
                return held
        name = f"_{len(self.graph.find_nodes(op='get_attr'))}_{str(node.target).replace('.', '_')}"
        if isinstance(value, torch.Tensor):
            self.prelude.register_buffer(name, value, persistent=False)
        else:
            self.prelude.add_module(name, copy_module(value))
        with self.graph.inserting_before(self.output):
            copy = self.graph.get_attr(name)
        copy.meta = dict(node.meta)
        return copy

    def _call(self, node: fx.Node) -> fx.Node:
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), self.copies.__getitem__)  # type: ignore[misc]
        key = (node.target, repr(args), repr(kwargs))
        if key not in self.written:
            with self.graph.inserting_before(self.output):
                copy = self.graph.create_node("call_function", node.target, args, kwargs, node.name)
            copy.meta = dict(node.meta)
            self.written[key] = copy
        return self.written[key]


def _key(node: fx.Node) -> Any:
    """Two calls with one key compute the same: a prelude has no effects and draws no random numbers."""
    return (node.target, repr(node.args), repr(node.kwargs))
