"""Rules: pattern, check, rewrite; and the driver that applies them.

A rule names the operators its root may be, so that the driver looks only where it can fire. ``match`` reads the graph,
``check`` may decline with a reason, ``rewrite`` builds the replacement through an :class:`~.rewriter.Edit`. The driver
adds what no rule should have to think of: interior values used elsewhere, mutations crossed, mode switches crossed.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from inspect import isfunction
from typing import Any, ClassVar

from torch import fx

from .analysis.effects import Effects, effects
from .passes import Pass, PassContext, RuleStatistics
from .pattern import Pattern
from .program import Program, module_path
from .rewriter import Edit
from .sites import Site, op_name


@dataclass(frozen=True)
class Match:
    """A place where a rule applies: the root, every call the rewrite would replace, and what was bound."""

    root: fx.Node
    nodes: tuple[fx.Node, ...]
    bindings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    shared: tuple[fx.Node, ...] = ()
    """Those of the nodes that may have users outside the match; they stay for them."""

    def __getitem__(self, name: str) -> Any:
        """A binding by name."""
        return self.bindings[name]

    def get(self, name: str, default: Any = None) -> Any:
        """A binding, or ``default`` when the alternative that matched did not bind it."""
        return self.bindings.get(name, default)


@dataclass(frozen=True)
class Decline:
    """Why a rule does not fire at a place that looked right."""

    code: str
    message: str
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])
    unblock: str = ""
    nearness: int = 1


@dataclass(frozen=True)
class Example:
    """A small function a rule fires on, or (with ``declines``) a near miss with the reason code it must give.

    ``inputs`` are types as the text form writes them, ``"f32[2, 3, 8]"``; ``"f32[2, t=5, 8]"`` makes the second
    dimension dynamic with 5 as its example.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[str, ...]
    declines: str | None = None
    fires: int = 1
    """How many times the rule rewrites."""
    dtypes: tuple[str, ...] = ("f32", "bf16")
    """Floating dtypes the example is run in, in place of ``f32`` in ``inputs``."""


class Rule(ABC):
    """One rewrite. Instances hold no state."""

    name: ClassVar[str]
    targets: ClassVar[frozenset[Any]]
    """Operators a root may be."""
    site: ClassVar[str] = ""
    """Operator name in the site's handle; that of the root when empty."""
    shared_interior: ClassVar[bool] = False
    """Whether interior values may have users outside the match (they are then computed twice)."""
    housekeeping: ClassVar[bool] = False
    """Whether it tidies and decides nothing: a rewrite goes without a remark, a decline is only noted."""
    examples: ClassVar[tuple[Example, ...]] = ()

    @abstractmethod
    def match(self, node: fx.Node) -> Match | Decline | None:
        """Read the graph at a root; ``None`` when it is something else, ``Decline`` when it nearly fits."""

    def check(self, match: Match, ctx: PassContext) -> Decline | None:
        """Decline a match for a reason of legality or profit."""
        return None

    @abstractmethod
    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """Build the value that replaces the root."""

    def describe(self, match: Match) -> str:
        """One sentence for the remark."""
        return f"{len(match.nodes)} nodes became one {self.site or op_name(match.root.target)}"

    def where(self) -> str:
        """``file:line`` of the first function the rule defines itself; another may share its rewrite."""
        code = next(filter(isfunction, vars(type(self)).values()), type(self).rewrite).__code__
        return f"{code.co_filename}:{code.co_firstlineno}"


class PatternRule(Rule):
    """A rule whose ``match`` is a pattern."""

    pattern: ClassVar[Pattern]

    def match(self, node: fx.Node) -> Match | Decline | None:
        """The pattern's first match at the node."""
        state = self.pattern.first(node)
        return None if state is None else Match(node, state.nodes, state.bindings)


@dataclass(frozen=True)
class RulePass(Pass):
    """A pass that is a set of rules."""

    rules: ClassVar[tuple[Rule, ...]]
    fixpoint: ClassVar[bool] = False
    """Whether rewritten code is looked at again."""

    def run(self, program: Program, ctx: PassContext) -> None:
        """Apply the rules to every graph of the program."""
        apply_rules(self.rules, program, ctx, fixpoint=self.fixpoint)


def apply_rules(
    rules: Iterable[Rule], program: Program, ctx: PassContext, *, fixpoint: bool = False, where: str = "*"
) -> None:
    """Try each rule at each node it may root at, in graph order; the first rule that fires at a node wins."""
    by_target: dict[Any, list[Rule]] = defaultdict(list)
    for rule in rules:
        ctx.statistics.setdefault(rule.name, RuleStatistics(rule.where()))
        for target in rule.targets:
            by_target[target].append(rule)
    for _, module in program.graphs():
        rewritten = _sweep(by_target, module, ctx, where)
        while fixpoint and rewritten:
            rewritten = _sweep(by_target, module, ctx, where)


def _sweep(by_target: Mapping[Any, list[Rule]], module: fx.GraphModule, ctx: PassContext, where: str) -> bool:
    graph = module.graph
    roots = [node for node in graph.nodes if node.op == "call_function" and node.target in by_target]
    if not roots:
        return False
    facts: Effects | None = None
    ordinals: dict[tuple[str, str], int] = defaultdict(int)
    before = ctx.rewrites
    for node in roots:
        if node._erased:
            continue
        named: dict[str, Site] = {}
        for rule in by_target[node.target]:
            statistics, start = ctx.statistics[rule.name], time.perf_counter()
            statistics.attempts += 1
            outcome = rule.match(node)
            if outcome is not None:
                op = rule.site or op_name(node.target)
                if op not in named:
                    key = (module_path(node), op)
                    named[op] = Site(*key, ordinals[key], node, module)
                    ordinals[key] += 1
                facts = facts or effects(graph)
                fired = _settle(rule, outcome, named[op], facts, ctx, where)
                statistics.seconds += time.perf_counter() - start
                if fired:
                    break
            else:
                statistics.seconds += time.perf_counter() - start
    return ctx.rewrites > before


def _settle(rule: Rule, outcome: Match | Decline, site: Site, facts: Effects, ctx: PassContext, where: str) -> bool:
    """Carry a match through its checks to a rewrite, or record why not."""
    statistics = ctx.statistics[rule.name]
    if where != "*" and not site.selected_by(where):
        return False
    if isinstance(outcome, Match):
        statistics.matches += 1
        decline = illegal(outcome, facts, shared_interior=rule.shared_interior) or rule.check(outcome, ctx)
    else:
        decline = outcome
    if isinstance(outcome, Decline) or decline is not None:
        assert decline is not None
        statistics.declined += 1
        details = {"rule": rule.name, "numbers": decline.numbers, "unblock": decline.unblock}
        tell = ctx.note if rule.housekeeping else ctx.missed
        tell(site, decline.code, decline.message, nearness=decline.nearness, **details)
        return False
    message = rule.describe(outcome)
    with ctx.edit(outcome.root, rule.name, site) as edit:
        edit.replace(outcome.root, rule.rewrite(outcome, edit))
        facts.insert(edit.made, outcome.root)
    statistics.rewrites += 1
    if not rule.housekeeping:
        ctx.passed(site, "rewritten", message, rule=rule.name)
    return True


def illegal(match: Match, facts: Effects, *, shared_interior: bool) -> Decline | None:
    """Why the matched calls may not be computed as one at the root, if they may not."""
    inside = set(match.nodes)
    if not shared_interior:
        for node in match.nodes:
            outside = [user for user in node.users if user not in inside]
            if node is not match.root and node not in match.shared and outside:
                return Decline("interior-used", f"{node.name} is also used by {outside[0].name}", nearness=5)
    if len(facts.regions_of(match.nodes)) > 1:
        return Decline("crosses-region", "an autocast or grad-mode switch lies between the matched calls", nearness=5)
    crossed = facts.moved_across(match.nodes, match.root)
    if crossed is not None:
        return Decline("mutated-between", f"{crossed.name} writes one of the values in place", nearness=5)
    return None
