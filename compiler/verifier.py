"""What must hold of a program after every pass.

Each check has an id; a failure names the pass, the rule and rewrite that made the offending node, the site, and the
user's source line.

====================  =================================================================================
``topology``          every use comes after its definition, one output, placeholders first
``schema``            every target is an operator with a schema or a known higher-order operator
``metadata``          recomputed types of rewritten nodes and their users equal the recorded ones
``inputs``            placeholders keep their order, names and FQNs unless the pass may change them
``outputs``           the result keeps its structure and types
``mutations``         the in-place writes are the same ones in the same order
``aliases``           outputs that shared storage with an input or each other still do, and no new ones
``regions``           autocast and grad-mode switches are balanced and unchanged
``tied``              tied parameters are still tied
``random``            random operators are the same ones in the same order
``provenance``        every new node says who made it
====================  =================================================================================
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch.utils import _pytree as pytree

from .analysis.effects import changes_mode, effects, is_random, mutated
from .errors import VerificationError
from .passes import Pass
from .program import Input, Program, is_operator, module_path, user_line, value_of
from .rewriter import provenance
from .sites import op_name
from .values import evaluate, same_type, type_text

_ARITHMETIC = "getitem add sub mul floordiv truediv mod neg pow eq ne lt le gt ge and_ or_ not_"
_PLAIN_FUNCTIONS: frozenset[Any] = frozenset(getattr(operator, name) for name in _ARITHMETIC.split())


@dataclass(frozen=True)
class Snapshot:
    """The facts of a program that a pass must preserve."""

    inputs: tuple[Input, ...]
    outputs: tuple[Any, ...]
    aliases: tuple[tuple[int, str], ...]
    mutations: tuple[tuple[str, str], ...]
    random: tuple[tuple[str, str], ...]
    modes: tuple[tuple[str, str], ...]
    names: frozenset[tuple[str, str]]
    """``(graph path, node name)`` of every node."""

    @classmethod
    def of(cls, program: Program) -> Snapshot:
        """Take the facts of a program as it is."""
        modules = list(program.graphs())
        nodes = [(path, node) for path, module in modules for node in module.graph.nodes]
        return cls(
            inputs=tuple(program.inputs),
            outputs=tuple(value_of(leaf) for leaf in _output_leaves(program.graph)),
            aliases=_output_aliases(program.graph),
            mutations=tuple((path, op_name(node.target)) for path, node in nodes if mutated(node)),
            random=tuple((path, module_path(node)) for path, node in nodes if is_random(node)),
            modes=tuple((path, str(node.target) + str(node.args[:1])) for path, node in nodes if changes_mode(node)),
            names=frozenset((path, node.name) for path, node in nodes),
        )


Problem = tuple["fx.Node | None", str]


def verify(program: Program, before: Snapshot, pass_: Pass) -> None:
    """Raise :class:`VerificationError` with the first problem found."""
    for check, problems in CHECKS.items():
        for node, message in problems(program, before, pass_):
            raise VerificationError(*_describe(check, node, message, pass_))


def _describe(check: str, node: fx.Node | None, message: str, pass_: Pass) -> tuple[str, ...]:
    made = provenance(node) if node is not None else None
    by = f" (rule {made.rule}, rewrite {made.number}, site {made.site})" if made else ""
    line = user_line(node) if node is not None else None
    where = f"\n  at:   {line}" if line else ""
    limit = f" --limit {pass_.name}={made.number}" if made else ""
    reproduce = f"\n  hint: reproduce with: regraft run MODEL -p {str(pass_)!r}{limit} --print-ir-after all"
    return (f"[{check}] after pass {pass_.name!r}{by}: {message}{where}{reproduce}",)


def _topology(program: Program, before: Snapshot, pass_: Pass) -> Iterator[Problem]:
    for _, module in program.graphs():
        seen: set[fx.Node] = set()
        outputs = 0
        for node in module.graph.nodes:
            for source in node.all_input_nodes:
                if source not in seen:
                    yield node, f"{node.name} uses {source.name} before its definition"
            seen.add(node)
            outputs += node.op == "output"
        if outputs != 1:
            yield None, f"a graph has {outputs} outputs"


def _schema(program: Program, before: Snapshot, pass_: Pass) -> Iterator[Problem]:
    for _, module in program.graphs():
        for node in module.graph.nodes:
            if node.op != "call_function" or provenance(node) is None:
                continue
            target: Any = node.target
            known = is_operator(target) or isinstance(target, torch._ops.HigherOrderOperator)
            if not known and target not in _PLAIN_FUNCTIONS and not changes_mode(node):
                yield node, f"{node.name} calls {target}, which has no schema"
            if is_operator(target):
                required = [a.name for a in target._schema.arguments if not a.has_default_value()]
                given = {a.name for a in target._schema.arguments[: len(node.args)]} | set(node.kwargs)
                for name in set(required) - given:
                    yield node, f"{node.name} lacks argument {name!r} of {target}"


def _metadata(program: Program, before: Snapshot, pass_: Pass) -> Iterator[Problem]:
    mode = program.fake_mode
    for _, module in program.graphs():
        for node in module.graph.nodes:
            if not any(_made_by(source, pass_) for source in (node, *node.all_input_nodes)):
                continue
            if node.op != "call_function" or not is_operator(node.target) or mutated(node):
                continue
            recorded = value_of(node)
            try:
                computed = evaluate(node, mode)
            except Exception as error:
                yield node, f"{node.name} cannot be evaluated: {type(error).__name__}: {error}"
                continue
            if recorded is None or not same_type(recorded, computed):
                yield node, f"{node.name} is recorded as {type_text(recorded)} but computes {type_text(computed)}"


def _made_by(node: fx.Node, pass_: Pass) -> bool:
    made = provenance(node)
    return made is not None and made.pass_name == pass_.name


def _inputs(program: Program, before: Snapshot, pass_: Pass) -> Iterator[Problem]:
    names = [node.name for node in program.placeholders()]
    if names != [record.name for record in program.inputs]:
        yield None, "placeholders and input records disagree"
    if tuple(program.inputs) != before.inputs and not pass_.may_change_inputs:
        yield None, "the inputs changed, and the pass does not declare may_change_inputs"


def _outputs(program: Program, before: Snapshot, pass_: Pass) -> Iterator[Problem]:
    now = [value_of(leaf) for leaf in _output_leaves(program.graph)]
    if len(now) != len(before.outputs):
        yield None, f"{len(before.outputs)} outputs became {len(now)}"
        return
    for at, (old, new) in enumerate(zip(before.outputs, now, strict=True)):
        if not same_type(old, new):
            yield None, f"output {at} was {type_text(old)} and became {type_text(new)}"


def _mutations(program: Program, before: Snapshot, pass_: Pass) -> Iterator[Problem]:
    yield from _same(program, before.mutations, lambda node: op_name(node.target) if mutated(node) else None, "write")


def _random(program: Program, before: Snapshot, pass_: Pass) -> Iterator[Problem]:
    yield from _same(program, before.random, lambda node: module_path(node) if is_random(node) else None, "draw")


def _same(
    program: Program, before: tuple[tuple[str, str], ...], key: Callable[[fx.Node], str | None], what: str
) -> Iterator[Problem]:
    nodes = [(path, node) for path, module in program.graphs() for node in module.graph.nodes]
    now = [(path, name) for path, node in nodes if (name := key(node)) is not None]
    if tuple(now) != before:
        lost, gained = [x for x in before if x not in now], [x for x in now if x not in before]
        yield (
            None,
            f"the {what}s changed in order or number: {len(before)} became {len(now)}; lost {lost}, new {gained}",
        )


def _regions(program: Program, before: Snapshot, pass_: Pass) -> Iterator[Problem]:
    nodes = [(path, node) for path, module in program.graphs() for node in module.graph.nodes]
    now = tuple((path, str(node.target) + str(node.args[:1])) for path, node in nodes if changes_mode(node))
    if now != before.modes:
        yield None, "autocast or grad-mode switches changed"


def _tied(program: Program, before: Snapshot, pass_: Pass) -> Iterator[Problem]:
    now = {record.fqn: record.tied_to for record in program.inputs if record.fqn}
    for record in before.inputs:
        if record.tied_to and record.fqn in now and now[record.fqn] != record.tied_to:
            yield None, f"{record.fqn} is no longer tied to {record.tied_to}"


def _aliases(program: Program, before: Snapshot, pass_: Pass) -> Iterator[Problem]:
    now = _output_aliases(program.graph)
    if now != before.aliases:
        yield None, f"the storage outputs share changed from {before.aliases} to {now}"


def _provenance(program: Program, before: Snapshot, pass_: Pass) -> Iterator[Problem]:
    for path, module in program.graphs():
        for node in module.graph.nodes:
            new = node.op in ("call_function", "get_attr") and (path, node.name) not in before.names
            if new and provenance(node) is None:
                yield node, f"{node.name} was made outside the rewriter"


CHECKS: dict[str, Callable[[Program, Snapshot, Pass], Iterator[Problem]]] = {
    "topology": _topology,
    "schema": _schema,
    "metadata": _metadata,
    "inputs": _inputs,
    "outputs": _outputs,
    "mutations": _mutations,
    "aliases": _aliases,
    "regions": _regions,
    "tied": _tied,
    "random": _random,
    "provenance": _provenance,
}


def _output_leaves(graph: fx.Graph) -> list[Any]:
    output = next(node for node in reversed(graph.nodes) if node.op == "output")
    return [leaf for leaf in pytree.tree_leaves(output.args[0]) if isinstance(leaf, fx.Node)]


def _output_aliases(graph: fx.Graph) -> tuple[tuple[int, str], ...]:
    """For each output that must share storage: the placeholder it views, or the earlier output it shares with.

    Operators that may or may not copy (``reshape``, ``contiguous``, ``to``) are read as their schemas say.
    """
    storage = effects(graph).storage
    shared: list[tuple[int, str]] = []
    first: dict[fx.Node, int] = {}
    for at, leaf in enumerate(_output_leaves(graph)):
        root = storage[leaf]
        if root.op == "placeholder":
            shared.append((at, root.name))
        elif root in first:
            shared.append((at, f"output {first[root]}"))
        first.setdefault(root, at)
    return tuple(shared)
