"""What changed between two programs, node by node, whatever the nodes are called now.

Nodes are matched in three steps: those that compute the same from the same (operator, operands and static arguments,
hashed through the whole graph), then those of one name whose operands differ, then rewritten nodes with the node that
their provenance names. A node that only got another name is no difference.

>>> changes = diff(before, after)
>>> if changes:
...     print(changes)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Literal

from torch import fx
from torch.utils import _pytree as pytree

from .analysis.effects import Effects, effects, is_random
from .program import Program, module_path, value_of
from .rewriter import provenance
from .sites import op_name
from .text.literals import literal
from .text.symbols import Naming
from .text.targets import target_text
from .text.types import value_text

Sign = Literal[" ", "-", "+"]


@dataclass(frozen=True)
class Change:
    """One node that is not in both programs as it is; ``before`` or ``after`` is ``None`` for one added or removed."""

    graph: str
    """Path of the graph that holds the node, ``""`` for the outermost."""
    before: fx.Node | None
    after: fx.Node | None

    @property
    def kind(self) -> Literal["added", "removed", "changed"]:
        """What happened to the node."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def path(self) -> str:
        """Module path of the node."""
        node = self.after if self.after is not None else self.before
        assert node is not None
        return module_path(node)

    @property
    def op(self) -> str:
        """Short name of the operator, of the new node where there are two."""
        node = self.after if self.after is not None else self.before
        assert node is not None
        return op_name(node.target) if node.op == "call_function" else node.op


@dataclass(frozen=True)
class ProgramDiff:
    """The changed, then the removed, then the added nodes of each graph; true when there are any."""

    changes: list[Change]
    kept: dict[str, str]
    """Name before to name after of the nodes of the outermost graph that stayed as they are."""
    lines: list[tuple[Sign, str]] = field(repr=False)
    """Every node of both programs, unchanged ones once, in graph order; indented by nesting."""

    def __bool__(self) -> bool:
        """Whether the programs differ."""
        return bool(self.changes)

    def __str__(self) -> str:
        """The changed lines with three lines of context."""
        return "\n".join(f"{sign} {text}".rstrip() for sign, text in self.context())

    def of(self, kind: str) -> list[Change]:
        """Changes of one kind: ``"added"``, ``"removed"`` or ``"changed"``."""
        return [change for change in self.changes if change.kind == kind]

    def sites(self) -> dict[str, dict[str, int]]:
        """By module path, how many of each operator came (positive) or went (negative), zero balances left out."""
        balance: dict[str, Counter[str]] = defaultdict(Counter)
        for change in self.changes:
            for node, step in ((change.before, -1), (change.after, 1)):
                if node is not None and node.op == "call_function":
                    balance[module_path(node)][op_name(node.target)] += step
        found = {path: {op: count for op, count in ops.items() if count} for path, ops in sorted(balance.items())}
        return {path: ops for path, ops in found.items() if ops}

    def context(self, around: int = 3) -> Iterator[tuple[Sign, str]]:
        """The lines with ``around`` unchanged ones before and after each change, ``...`` for those left out."""
        changed = [at for at, (sign, _) in enumerate(self.lines) if sign != " "]
        shown = {at + step for at in changed for step in range(-around, around + 1)}
        left_out = False
        for at, line in enumerate(self.lines):
            if at not in shown:
                left_out = True
                continue
            if left_out:
                yield " ", "..."
            left_out = False
            yield line
        if left_out and shown:
            yield " ", "..."


def diff(before: Program, after: Program) -> ProgramDiff:
    """The structural difference between two programs; neither is changed."""
    changes: list[Change] = []
    lines: list[tuple[Sign, str]] = []
    namings = (Naming(), Naming())
    graphs = [dict(program.graphs()) for program in (before, after)]
    kept: dict[str, str] = {}
    for path in [*graphs[0], *(path for path in graphs[1] if path not in graphs[0])]:
        old_nodes, new_nodes = (list(side[path].graph.nodes) if path in side else [] for side in graphs)
        pairs = _matched(old_nodes, new_nodes)
        if not path:
            kept = {old.name: new.name for old, new in pairs.same.items()}
        before_taken, after_taken = {*pairs.same, *pairs.changed}, {*pairs.same.values(), *pairs.changed.values()}
        found = [Change(path, old, new) for old, new in pairs.changed.items()]
        found += [Change(path, node, None) for node in old_nodes if node not in before_taken]
        found += [Change(path, None, node) for node in new_nodes if node not in after_taken]
        changes += found
        if path and found:
            lines.append((" ", f"def {path}:"))
        if found or not path:
            lines += _lines(old_nodes, new_nodes, pairs, namings)
    return ProgramDiff(changes, kept, lines)


@dataclass
class _Pairs:
    """Nodes before with their counterparts after."""

    same: dict[fx.Node, fx.Node] = field(default_factory=dict[fx.Node, fx.Node])
    changed: dict[fx.Node, fx.Node] = field(default_factory=dict[fx.Node, fx.Node])


def _matched(before: list[fx.Node], after: list[fx.Node]) -> _Pairs:
    pairs = _Pairs()
    waiting: dict[int, list[fx.Node]] = defaultdict(list)
    old_facts, new_facts = _facts(before), _facts(after)
    for node, (key, _) in new_facts.items():
        waiting[key].append(node)
    for node, (key, _) in old_facts.items():
        candidates = waiting[key]
        if candidates:
            # Among nodes that compute the same, the one of the same name, else of the same module, else the first.
            best = max(candidates, key=lambda c: (c.name == node.name, module_path(c) == module_path(node)))
            candidates.remove(best)
            pairs.same[node] = best
    taken = {*pairs.same.values()}
    open_before = {node.name: node for node in before if node not in pairs.same}
    for node in after:
        if node in taken:
            continue
        maker = provenance(node)
        old = open_before.get(node.name)
        if old is None and maker is not None and not any(provenance(user) == maker for user in node.users):
            # The last node of a rewrite stands for the one it replaced.
            old = open_before.get(maker.origin)
        if old is None or old.op != node.op or _type(old) != _type(node):
            continue
        pairs.changed[open_before.pop(old.name)] = node
    # Nodes that only take a changed operand are not changes of their own.
    for old, new in list(pairs.changed.items()):
        if old_facts[old][1] == new_facts[new][1] and _operands_agree(old, new, pairs):
            del pairs.changed[old]
            pairs.same[old] = new
    return pairs


def _operands_agree(old: fx.Node, new: fx.Node, pairs: _Pairs) -> bool:
    """Whether operands are counterparts of each other, changed or not."""
    left, right = _operands(old), _operands(new)
    counterparts = (pairs.same.get(node, pairs.changed.get(node)) for node in left)
    return len(left) == len(right) and all(map(lambda one, other: one is other, counterparts, right))


def _facts(nodes: list[fx.Node]) -> dict[fx.Node, tuple[int, Any]]:
    """Per node, a hash of all that its value is computed from, and what it is by itself; inputs are known by name.

    What is read from a storage depends on the writes to it so far, what is drawn on the draws so far.
    """
    found: dict[fx.Node, tuple[int, Any]] = {}
    facts = effects(nodes[0].graph) if nodes else Effects()
    writes: Counter[fx.Node] = Counter()
    draws = 0
    for node in nodes:
        operands = _operands(node)
        draws += is_random(node)
        turn = (draws if is_random(node) else 0, *(writes[facts.storage[operand]] for operand in operands))
        itself = (node.name if node.op == "placeholder" else "", _own(node), turn)
        found[node] = hash((itself, *(found[operand][0] for operand in operands))), itself
        writes.update(facts.writes.get(node, ()))
    return found


def _own(node: fx.Node) -> tuple[Any, ...]:
    """What a node is without its operands: operator, static arguments, type."""
    skeleton = pytree.tree_map_only(fx.Node, lambda _: "_", [list(node.args), dict(node.kwargs)])
    # A placeholder's target is its name, which may have changed.
    target = "" if node.op in ("placeholder", "output") else str(node.target)
    return node.op, target, literal(skeleton), _type(node)


def _type(node: fx.Node) -> str:
    # Only some captures record the value of an output, which is that of its operands.
    return "" if node.op == "output" else value_text(value_of(node), Naming())


def _operands(node: fx.Node) -> list[fx.Node]:
    """Nodes among the arguments, in order, repeated as they stand."""
    return [leaf for leaf in pytree.tree_leaves([list(node.args), dict(node.kwargs)]) if isinstance(leaf, fx.Node)]


def _lines(
    before: list[fx.Node], after: list[fx.Node], pairs: _Pairs, namings: tuple[Naming, Naming]
) -> Iterator[tuple[Sign, str]]:
    """Both graphs merged in order; an unchanged node is written once, as it is after."""
    left = [pairs.same.get(node, node) for node in before]
    moved = {*pairs.same.values()}
    for _, i, j, m, n in SequenceMatcher(None, left, after, autojunk=False).get_opcodes():
        for node in before[i:j]:
            if node not in pairs.same:
                yield "-", _text(node, namings[0])
        # A node that is in both but moved is no change, and is shown at its new place.
        for node in after[m:n]:
            yield (" " if node in moved else "+"), _text(node, namings[1])


def _text(node: fx.Node, naming: Naming) -> str:
    if node.op == "output":
        return f"return {literal(node.args[0])}"
    value = value_of(node)
    kind = f"{node.name}: {value_text(value, naming)}" if value is not None else node.name
    if node.op == "placeholder":
        return kind
    arguments = [literal(argument) for argument in node.args]
    arguments += [f"{key}={literal(value)}" for key, value in node.kwargs.items()]
    called = target_text(node.target) if node.op == "call_function" else f"attr({node.target})"
    path = module_path(node)
    text = f"{kind} = {called}" + (f"({', '.join(arguments)})" if node.op == "call_function" else "")
    return f"{text}  # {path}" if path else text
