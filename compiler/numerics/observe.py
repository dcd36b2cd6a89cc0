"""One run of a program on copies of its inputs, with everything a comparison looks at.

Outputs, inputs and buffers the call wrote, values at watched nodes, and gradients of a weighted sum of all outputs with
respect to every floating-point user input and parameter. The weights of that sum are drawn at random and the same in
every run; constant ones would hide errors that sum to zero, as those of a softmax do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..analysis.effects import effects
from ..execute import execute, prelude_sources
from ..program import InputKind, Program
from .widen import exactly, fp64_copy, widened

aten = torch.ops.aten


@dataclass(frozen=True)
class Setting:
    """What every run of one check has in common."""

    user: Sequence[Any]
    """Leaves of the call, for the USER and SYMBOL placeholders in order."""
    weights: Mapping[str, Tensor]
    parameters: frozenset[str] = frozenset()
    """FQNs of the weights to differentiate by."""
    gradients: bool = True
    layout: Callable[[Tensor], Tensor] = torch.clone
    """Lays out a user tensor for the call: differentiable, keeps the values, never an alias of its argument."""
    seed: int = 0


@dataclass(frozen=True)
class Observation:
    """What one run gave."""

    outputs: list[Any]
    mutated: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    """Inputs and weights after the call, by name, where the graph writes them."""
    gradients: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    """By input name or FQN; absent where the outputs do not depend on the value."""
    watched: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    cotangents: list[Tensor | None] = field(default_factory=list["Tensor | None"])
    """Weights of the outputs in the sum that was differentiated."""


def observe(
    program: Program,
    setting: Setting,
    *,
    watch: Mapping[str, str] | None = None,
    cotangents: Sequence[Tensor | None] | None = None,
    fp64: bool = False,
) -> Observation:
    """Run ``program``; with ``fp64``, its reference. ``watch`` maps labels to nodes of the outermost graph.

    ``cotangents`` of an earlier run make gradients comparable; they are drawn when not given.
    """
    watch = watch or {}
    program = watching(program, watch.values())
    if fp64:
        program = fp64_copy(program)
    written = _written(program)
    leaves = _Leaves(setting, fp64)
    user = [leaves.user(name, value) for name, value in zip(_user_names(program), setting.user, strict=False)]
    user += list(setting.user[len(user) :])
    weights = {fqn: leaves.weight(fqn, fqn in written) for fqn in _needed(program) if fqn in setting.weights}
    torch.manual_seed(setting.seed)  # pyright: ignore[reportUnknownMemberType]
    with exactly() if fp64 else nullcontext(), torch.enable_grad():
        results = list(execute(program, user, weights))
        split = len(results) - len(watch)
        outputs = results[:split]
        if cotangents is None:
            cotangents = [_cotangent(value, at) for at, value in enumerate(outputs)]
        gradients = _gradients(outputs, cotangents, leaves.differentiable) if setting.gradients else {}
    values = dict(zip(_user_names(program), user, strict=False)) | weights
    return Observation(
        [_detached(value) for value in outputs],
        {name: values[name].detach() for name in sorted(written) if isinstance(values.get(name), Tensor)},
        gradients,
        dict(zip(watch, results[split:], strict=True)),
        list(cotangents),
    )


def watching(program: Program, names: Any) -> Program:
    """A copy that also returns what the named nodes computed, as it was before any later write in place."""
    copy = program.copy()
    names = list(names)
    if not names:
        return copy
    by_name = {node.name: node for node in copy.graph.nodes}
    extra: list[Any] = []
    for name in names:
        node = by_name[name]
        with copy.graph.inserting_after(node):
            value = copy.graph.call_function(aten.detach.default, (node,))
        with copy.graph.inserting_after(value):
            extra.append(copy.graph.call_function(aten.clone.default, (value,)))
    output = copy.graph.output_node()
    output.args = ((*output.args[0], *extra),)  # type: ignore[misc]
    copy.module.recompile()
    return copy


class _Leaves:
    """The tensors of one run: copies of user inputs, weights as they are, each a leaf of the autograd graph."""

    def __init__(self, setting: Setting, fp64: bool) -> None:
        self.setting, self.fp64 = setting, fp64
        self.differentiable: dict[str, Tensor] = {}
        self._weights: dict[int, Tensor] = {}
        # A tied weight goes by its first name in every run, whichever of its names a program uses.
        self._first: dict[int, str] = {}
        for fqn, weight in setting.weights.items():
            self._first.setdefault(id(weight), fqn)

    def user(self, name: str, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return self.setting.layout(self._leaf(name, value, differentiable=True))

    def weight(self, fqn: str, written: bool) -> Tensor:
        original = self.setting.weights[fqn]
        key, name = id(original), self._first[id(original)]
        if key not in self._weights:
            value = self._leaf(name, original, differentiable=not self.setting.parameters.isdisjoint((fqn, name)))
            self._weights[key] = value.clone() if written else value
        return self._weights[key]

    def _leaf(self, name: str, value: Tensor, *, differentiable: bool) -> Tensor:
        # A view of its own, so that the caller's tensor keeps its flags.
        leaf = (widened(value) if self.fp64 else value).detach()
        if differentiable and self.setting.gradients and (leaf.is_floating_point() or leaf.is_complex()):
            self.differentiable[name] = leaf.requires_grad_()
        return leaf


def _gradients(
    outputs: Sequence[Any], cotangents: Sequence[Tensor | None], leaves: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    pairs = [
        (value, cotangent.to(value.dtype))
        for value, cotangent in zip(outputs, cotangents, strict=False)
        if isinstance(value, Tensor) and value.requires_grad and cotangent is not None
        if cotangent.shape == value.shape
    ]
    if not pairs or not leaves:
        return {}
    values, weights = zip(*pairs, strict=True)
    found = torch.autograd.grad(values, list(leaves.values()), weights, allow_unused=True)
    # A leaf that no output depends on has none.
    gradients = zip(leaves, cast("tuple[Tensor | None, ...]", found), strict=True)
    return {name: gradient.detach() for name, gradient in gradients if gradient is not None}


def _cotangent(value: Any, seed: int) -> Tensor | None:
    if not isinstance(value, Tensor) or not value.requires_grad:
        return None
    generator = torch.Generator().manual_seed(seed)
    kind = torch.complex128 if value.is_complex() else torch.float64
    drawn = torch.randn(value.shape, generator=generator, dtype=kind)
    # Rounded to the value's dtype here, so that the reference gets the very same numbers.
    return drawn.to(value.device, value.dtype)


def _written(program: Program) -> set[str]:
    """Names of user inputs and FQNs of weights that the graph writes in place."""
    facts = effects(program.graph)
    storages = {storage for written in facts.writes.values() for storage in written}
    pairs = zip(program.inputs, program.placeholders(), strict=True)
    return {record.fqn or record.name for record, node in pairs if facts.storage[node] in storages}


def _needed(program: Program) -> list[str]:
    named = [record.fqn for record in program.inputs if record.is_weight and record.fqn is not None]
    named += prelude_sources(program.prelude) if program.prelude is not None else []
    return list(dict.fromkeys(named))


def _user_names(program: Program) -> list[str]:
    return [record.name for record in program.inputs if not record.is_weight]


def _detached(value: Any) -> Any:
    return pytree.tree_map_only(Tensor, Tensor.detach, value)


def parameters(program: Program) -> frozenset[str]:
    """FQNs of the parameters a program reads."""
    return frozenset(
        record.fqn for record in program.inputs if record.kind is InputKind.PARAMETER and record.fqn is not None
    )
