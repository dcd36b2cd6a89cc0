"""Choose how every operator of a program is computed: as Inductor would, or by a kernel that is predicted to beat that.

The reference stays unless another candidate supports the call for every size it may have and is predicted to be faster
by a margin: ``margin`` times (1.1 by default) where both were measured on such a device, :data:`ESTIMATED_MARGIN` times
where one of the two numbers is a roofline estimate, which can be wrong by tens of percent. Without a number for both
nothing is chosen, and no estimate counts on a GPU architecture on which the kernel's results were never checked.

- :func:`select` decides for a whole program, rewrites it, and leaves one remark per site with both numbers.
- :func:`decide` answers for one call.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..compiler.analysis.effects import ENTER_AUTOCAST, Effects, effects
from ..compiler.passes import PassContext
from ..compiler.program import Program, value_of
from ..compiler.rules import Decline, Match, illegal
from ..compiler.sites import Site, sites
from .candidates import GPUS, REFERENCE, Call, Candidate, Candidates, Config, Reference, call_of, operator_of
from .costs import Entry, key_of, look_up
from .known_bad import known_bad
from .targets import Target, target_of

MARGIN, ESTIMATED_MARGIN = 1.1, 1.5
_MOST_SAMPLES = 256

Ranges = Mapping[str, tuple[int, "int | None"]]


@dataclass(frozen=True)
class Price:
    """What a candidate is predicted to take."""

    candidate: Candidate
    config: Config
    seconds: float
    measured: bool
    where: str = ""
    """The machine it was measured on, when it is another than this one."""

    @property
    def basis(self) -> str:
        """``"measured"``, ``"measured on ..."`` or ``"estimated"``."""
        if not self.measured:
            return "estimated"
        return f"measured on {self.where}" if self.where else "measured"


@dataclass(frozen=True)
class Decision:
    """What is to be done about a call, and why."""

    chosen: Price | None = None
    """``None``: the reference stays."""
    best: Price | None = None
    """The fastest candidate that supports the call."""
    reference: Price | None = None
    refused: Decline | None = None
    """Of the candidates without a price, the one that came nearest."""
    needed: float = MARGIN
    """How many times faster :attr:`best` would have to be."""


def select(program: Program, ctx: PassContext, candidates: Candidates, *, margin: float = MARGIN) -> None:
    """Decide for every call in a program of an operator that has candidates, and rewrite those where one is chosen."""
    target = target_of(ctx.device)
    ops = {operator_of(node) for _, module in program.graphs() for node in module.graph.nodes} & {*candidates.by_op}
    ops = {op for op in ops if candidates.of(op, target.kind)}
    found = sites(program, lambda node: operator_of(node) in ops and value_of(node) is not None)
    if not found:
        return
    autocast = _autocast_graphs(program, ctx.device)
    decisions: dict[Any, Decision] = {}
    facts = {module: effects(module.graph) for module in {site.module for site in found}}
    for site in found:
        if site.node._erased:
            continue
        circumstances = {"compiled": ctx.compiled, "training": program.training, "autocast": site.module in autocast}
        call = call_of(site.node, **circumstances)
        legal = functools.partial(_legal, node=site.node, facts=facts[site.module], training=program.training)
        spared = {each.name: each.spared_bytes(legal(each)) for each in candidates.of(call.op, target.kind)}
        key = (call.key, *map(str, spared.values()))
        if key not in decisions:
            decisions[key] = decide(call, target, candidates, ranges=program.ranges, margin=margin, spared=spared)
        _carry_out(decisions[key], site, facts[site.module], ctx, legal)


def decide(
    call: Call,
    target: Target,
    candidates: Candidates,
    *,
    ranges: Ranges | None = None,
    margin: float = MARGIN,
    spared: Mapping[str, int] | None = None,
) -> Decision:
    """The decision for one call on a target.

    ``ranges`` are the values its symbolic sizes may take, by symbol. ``spared`` is traffic that candidates, by
    name, do away with in their neighbourhood, or add to it; the time it takes is taken off theirs.
    """
    fit: list[Candidate] = []
    refused: list[Decline] = []
    for candidate in candidates.of(call.op, target.kind):
        decline = candidate.supports(call, target)
        fit += [candidate] if decline is None else []
        refused += [] if decline is None else [decline]
    settled = _settled(call, spared or {}, ranges or {})
    if isinstance(settled, Decline):
        return Decision(refused=settled if fit else _nearest(refused) or settled)
    question = _Question(target, candidates, margin, refused)
    outcomes = [question.decide(one, fit, saved) for one, saved in settled]
    first = outcomes[0]
    for other in outcomes[1:]:
        if _names(other) != _names(first):
            message = f"{first.best.candidate.own_name if first.best else REFERENCE} is not the best at every size"
            return Decision(refused=Decline("size-dependent", message, unblock="fixed shapes, or a narrower range"))
    return first


@dataclass(frozen=True)
class _Question:
    """What :func:`decide` was asked, but for the call."""

    target: Target
    candidates: Candidates
    margin: float
    refused: list[Decline]
    """Of the candidates that do not support the call."""

    def decide(self, call: Call, fit: list[Candidate], spared: Mapping[str, int]) -> Decision:
        """The decision for a static call among candidates that support it."""
        reference = self.candidates.reference(call.op)
        key = key_of(call, reference, self.target)
        found, triton = look_up(key, on_cpu=self.target.kind == "cpu"), key.triton
        refused: list[Decline] = []
        prices: list[Price] = []
        for candidate in fit:
            price = self._price(candidate, call, found, triton, spared.get(candidate.name, 0))
            if isinstance(price, Decline):
                refused.append(price)
            else:
                prices.append(price)
        best = min(prices, key=lambda price: price.seconds, default=None)
        theirs = self._price(reference, call, found, triton, 0)
        if isinstance(theirs, Decline):
            return Decision(best=best, refused=theirs)
        if best is None:
            return Decision(reference=theirs, refused=_nearest(refused + self.refused))
        needed = self.margin if best.measured and theirs.measured else max(self.margin, ESTIMATED_MARGIN)
        chosen = best if best.seconds * needed <= theirs.seconds else None
        return Decision(chosen, best, theirs, needed=needed)

    def _price(self, candidate: Candidate, call: Call, entry: Entry, triton: str, spared: int) -> Price | Decline:
        """The measured cost where there is one, else the estimate, else why there is neither."""
        allowed = [config for config in candidate.configs(call, self.target)
                   if known_bad(candidate, config, self.target, triton) is None]  # fmt: skip
        name = candidate.own_name
        if not allowed:
            return Decline("known-bad", f"no configuration of {name} fits that is not known to be wrong here")
        measured = entry.measured.get(name)
        if measured is not None and measured.rejected:
            return Decline("rejected", f"{name} was refused when it was tried: {measured.rejected}")
        # On a device whose bandwidth is not known a saving does not count.
        credit = spared / self.target.memory_rate if self.target.known else 0.0
        if measured is not None and measured.config in allowed:
            return Price(candidate, measured.config, max(measured.seconds - credit, 0.0), True, entry.where)
        on_gpu = self.target.kind in GPUS
        if on_gpu and not isinstance(candidate, Reference) and self.target.arch not in candidate.proven:
            message = f"{name} has never been run on {self.target.arch}, where its results are still to be checked"
            return Decline("unproven", message, unblock="regraft kernels tune", nearness=3)
        estimate = candidate.estimate(call, self.target, allowed[0])
        if estimate is None:
            message = f"{name} has not been measured on {self.target.name}, where nothing can be estimated either"
            return Decline("unmeasured", message, unblock="regraft kernels tune")
        return Price(candidate, allowed[0], max(estimate.seconds - credit, 0.0), False)


def _legal(candidate: Candidate, *, node: torch.fx.Node, facts: Effects, training: bool) -> Match:
    """What a candidate computes: with what it absorbs, if that may be moved to one place, else the least it can."""
    match = candidate.match(node, training=training)
    return match if illegal(match, facts, shared_interior=False) is None else candidate.match(node, training=True)


def _carry_out(
    decision: Decision, site: Site, facts: Effects, ctx: PassContext, legal: Callable[[Candidate], Match]
) -> None:
    best, reference = decision.best, decision.reference
    if decision.chosen is not None and best is not None and reference is not None:
        match = legal(best.candidate)
        decline = illegal(match, facts, shared_interior=False)
        if decline is None:
            absorbed = best.candidate.absorbed(match)
            with ctx.edit(match.root, best.candidate.name, site) as edit:
                edit.replace(match.root, best.candidate.rewrite(match, edit, best.config))
                facts.insert(edit.made, match.root)
            message = _comparison(best, reference) + (f"; it takes over {absorbed}" if absorbed else "")
            ctx.passed(site, "selected", message, rule=best.candidate.name, numbers=_numbers(best, reference))
            return
    elif best is not None and reference is not None:
        message = f"{_comparison(best, reference)}; it must be {decision.needed:g} times as fast"
        ctx.missed(site, "slower", message, rule=best.candidate.name, numbers=_numbers(best, reference), nearness=5)
        return
    else:
        decline = decision.refused
    assert decline is not None
    ctx.missed(site, decline.code, decline.message, numbers=decline.numbers, unblock=decline.unblock)


def _autocast_graphs(program: Program, device: torch.device) -> set[torch.fx.GraphModule]:
    """The graphs that have a call under autocast: bodies of a region, one with flat switches, or all of them."""
    graphs = [module for _, module in program.graphs()]
    if torch.is_autocast_enabled(device.type):
        return set(graphs)
    found: set[torch.fx.GraphModule] = set()
    for module in graphs:
        calls = [node for node in module.graph.nodes if node.op == "call_function"]
        if any(node.target is ENTER_AUTOCAST for node in calls):
            found.add(module)
        for region in calls if module not in found else ():
            if getattr(region.target, "__name__", "") == "wrap_with_autocast":
                bodies = [getattr(module, str(arg.target)) for arg in region.all_input_nodes if arg.op == "get_attr"]
                inner = itertools.chain.from_iterable(body.modules() for body in bodies)
                found |= {body for body in inner if isinstance(body, torch.fx.GraphModule)}
    return found


def _comparison(ours: Price, theirs: Price) -> str:
    bases = ours.basis if ours.basis == theirs.basis else f"{ours.basis} and {theirs.basis}"
    names = f"{ours.candidate.own_name} takes {ours.seconds * 1e3:.3g} ms", f"{theirs.candidate.own_name}"
    return f"{names[0]}, {names[1]} {theirs.seconds * 1e3:.3g} ms ({bases})"


def _numbers(ours: Price, theirs: Price) -> dict[str, float]:
    return {f"{price.candidate.own_name}_ms": price.seconds * 1e3 for price in (ours, theirs)}


def _names(decision: Decision) -> tuple[Any, ...]:
    """What two sizes must agree on: the candidate and its configuration, or that the reference stays."""
    chosen = decision.chosen
    return (None,) if chosen is None else (chosen.candidate.name, dict(chosen.config))


def _nearest(refused: list[Decline]) -> Decline | None:
    return max(refused, key=lambda decline: decline.nearness, default=None)


def _settled(call: Call, spared: Mapping[str, int], ranges: Ranges) -> list[tuple[Call, Mapping[str, int]]] | Decline:
    """The call and what is spared at fixed sizes: as is, or at the ends of ranges and the powers of two between."""
    if not call.free_sizes:
        return [(call, spared)]
    symbols = sorted({symbol for size in call.free_sizes.values() for symbol in size.node.expr.free_symbols}, key=str)
    values: list[list[int]] = []
    for symbol in symbols:
        low, high = ranges.get(str(symbol), (0, None))
        if high is None:
            message = f"the size {symbol} has no upper bound, and what is fastest at one size need not be at another"
            return Decline("size-unbounded", message, unblock='torch.export.Dim("name", max=...)', nearness=3)
        values.append(list(_between(max(low, 1), high)))
    points = list(itertools.islice(itertools.product(*values), _MOST_SAMPLES + 1))
    if len(points) > _MOST_SAMPLES:
        return Decline("size-dependent", f"{', '.join(map(str, symbols))} may take too many sizes to compare them all")
    settled: list[tuple[Call, Mapping[str, int]]] = []
    for point in points:
        at = functools.partial(_at, symbols=symbols, point=point)
        saved = {name: at(n) if isinstance(n, torch.SymInt) else n for name, n in spared.items()}
        settled.append((call.at(at), saved))
    return settled


def _between(low: int, high: int) -> Iterator[int]:
    yield low
    for size in (1 << exponent for exponent in range(low.bit_length(), high.bit_length())):
        if low < size < high:
            yield size
    if high > low:
        yield high


def _at(size: torch.SymInt, symbols: list[Any], point: tuple[int, ...]) -> int:
    return int(size.node.expr.subs(dict(zip(symbols, point, strict=True))))
