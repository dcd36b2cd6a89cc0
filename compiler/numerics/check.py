"""Compare two programs on real inputs, value by value."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from ..analysis.effects import is_random
from ..errors import RegraftError
from ..passes import Numerics
from ..program import Program, tensor_of
from ..rewriter import Provenance, provenance
from ..values import same_type
from .compare import Comparison, Kind, compare, measure
from .observe import Observation, Setting, observe, parameters
from .report import NumericsRecord

TRIALS = 4
"""Runs of the program before on inputs a unit in the last place away, made when an exact pass seems to fail."""


def check_program(
    before: Program,
    after: Program,
    user: Sequence[Any],
    weights: Mapping[str, Tensor] | None = None,
    *,
    pass_name: str = "",
    numerics: Numerics = Numerics.EXACT,
    bound: float | None = None,
    gradients: bool = True,
    sites: bool = True,
    layout: Callable[[Tensor], Tensor] = torch.clone,
    seed: int = 0,
) -> NumericsRecord:
    """Run both programs, and ``before`` in fp64, on the call's leaves ``user``; nothing given is written to.

    ``weights`` by FQN default to those of the programs. Every run starts from the same ``seed``. ``gradients=False``
    halves the cost and a good part of the memory; ``sites`` also compares the value of every rewritten place.
    ``layout`` lays out each user tensor (differentiable, the same values, a copy).

    Raises :class:`~.errors.RegraftError` when the reference cannot be run.
    """
    start = time.perf_counter()
    held = dict(weights if weights is not None else before.weights or {})
    setting = Setting(user, held, parameters(before), gradients, layout, seed)
    # A fitted pass brings weights of its own, and may give old ones new values.
    own = dict(after.weights or {}) if weights is None else {}
    new_setting = replace(setting, weights=held | own, parameters=setting.parameters | parameters(after))
    pairs = site_pairs(before, after) if sites else {}
    olds = {label: old for label, (old, _) in pairs.items()}
    news = {label: new for label, (_, new) in pairs.items()}
    was = observe(before, setting, watch=olds)
    exact = reference_run(before, setting, olds, was.cotangents)
    now = observe(after, new_setting, watch=news, cotangents=was.cotangents)
    found = [compare(*three, name=name, kind=kind) for name, kind, *three in _values(exact, was, now)]
    if numerics is Numerics.EXACT and any(comparison.exceeded for comparison in found):
        found = _against_trials(found, before, setting, olds, exact)
    seconds = time.perf_counter() - start
    return NumericsRecord(pass_name, numerics, tuple(found), bound, tuple(_notes(before, was, gradients)), seconds)


def reference_run(
    program: Program, setting: Setting, watch: Mapping[str, str], cotangents: Sequence[Tensor | None]
) -> Observation:
    """The same run in fp64."""
    try:
        return observe(program, setting, watch=watch, cotangents=cotangents, fp64=True)
    except Exception as error:
        raise RegraftError(
            f"the fp64 reference of the program could not be run: {type(error).__name__}: {error}",
            hint="turn the numeric check off with check='off' (--check off)",
        ) from error


def site_pairs(before: Program, after: Program) -> dict[str, tuple[str, str]]:
    """For every rewrite, the node it replaced and the node that took its place, by the site's handle.

    Only places of the outermost graph with one tensor value, whose new value has the old one's users.
    """
    olds = {node.name: node for node in before.graph.nodes}
    made: dict[tuple[str, int], list[fx.Node]] = {}
    for node in after.graph.nodes:
        maker = provenance(node)
        if maker is not None and node.name not in olds and maker.origin in olds:
            made.setdefault((maker.pass_name, maker.number), []).append(node)
    pairs: dict[str, tuple[str, str]] = {}
    for (_, number), nodes in made.items():
        maker = _maker(nodes[0])
        old = olds[maker.origin]
        users = {user.name for user in old.users}
        for node in reversed(nodes):
            stands_in = users & {_identity(user, olds) for user in node.users}
            if stands_in and tensor_of(old) is not None and same_type(tensor_of(old), tensor_of(node)):
                label = maker.site or maker.origin
                pairs[label if label not in pairs else f"{label} (rewrite {number})"] = (old.name, node.name)
                break
    return pairs


def _maker(node: fx.Node) -> Provenance:
    maker = provenance(node)
    assert maker is not None
    return maker


def _identity(node: fx.Node, olds: Mapping[str, fx.Node]) -> str:
    """The name a node had before the rewrite: its own, or that of the node it stands for."""
    maker = provenance(node)
    return node.name if maker is None or node.name in olds else maker.origin


def _values(exact: Observation, was: Observation, now: Observation) -> Iterator[tuple[str, Kind, Any, Any, Any]]:
    """All values to compare: ``(name, kind, reference, before, after)``."""
    for at, (reference, old, new) in enumerate(zip(exact.outputs, was.outputs, now.outputs, strict=True)):
        if old is not None:
            yield f"output {at}", "output", reference, old, new
    for name, old in was.mutated.items():
        # A value the rewritten graph no longer writes keeps what it was, which the caller sees.
        yield f"{name} after the call", "mutated", exact.mutated[name], old, now.mutated.get(name, torch.zeros(()))
    for label, old in was.watched.items():
        yield label, "site", exact.watched[label], old, now.watched[label]
    for name in [*was.gradients, *(name for name in now.gradients if name not in was.gradients)]:
        present = was.gradients[name] if name in was.gradients else now.gradients[name]
        zeros = torch.zeros_like(present)
        reference, old, new = (run.gradients.get(name, zeros) for run in (exact, was, now))
        yield f"gradient of {name}", "gradient", reference, old, new


def _against_trials(
    found: Sequence[Comparison], before: Program, setting: Setting, watch: Mapping[str, str], exact: Observation
) -> list[Comparison]:
    """Judge what seems to fail against the error of the program before over several runs rather than one.

    The error of one run is a sample: it may be zero by luck, and a gradient whose true value is zero (that of the bias
    of attention's keys) is rounding noise in every run. Inputs and parameters one unit in the last place away give
    other samples of it; no program can be asked to be closer than that.
    """
    doubtful = {comparison.name for comparison in found if comparison.exceeded and not comparison.problems}
    worst = {comparison.name: comparison.before for comparison in found}
    for trial in range(TRIALS if doubtful else 0):
        run = observe(before, _nudged(setting, trial), watch=watch, cotangents=exact.cotangents)
        for name, _, reference, value, _ in _values(exact, run, run):
            if name in doubtful:
                worst[name] = worst[name].worse(measure(reference, value))
    return [c.with_before(worst[c.name]) if c.name in doubtful else c for c in found]


def _nudged(setting: Setting, trial: int) -> Setting:
    """Inputs and parameters each moved by one unit in the last place, up or down at random."""
    generator = torch.Generator().manual_seed(trial)
    moved: dict[int, Tensor] = {}

    def nudge(value: Any) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        if id(value) not in moved:
            up = torch.rand(value.shape, generator=generator).to(value.device) < 0.5
            info = torch.finfo(value.dtype)
            factor = torch.where(up, 1 + info.eps, 1 - info.eps)
            moved[id(value)] = (value.detach() * factor.to(value.dtype)).clamp(info.min, info.max)
        return moved[id(value)]

    weights = {name: nudge(w) if name in setting.parameters else w for name, w in setting.weights.items()}
    return replace(setting, user=[nudge(value) for value in setting.user], weights=weights)


def _notes(before: Program, was: Observation, gradients: bool) -> Iterator[str]:
    if any(is_random(node) for _, module in before.graphs() for node in module.graph.nodes):
        yield "the program draws random numbers; every run started from the same seed"
    if gradients and not was.gradients:
        yield "no gradients: no output depends differentiably on an input or a parameter"
