"""Shrink the graph and make its spellings regular, without changing what Inductor makes of it.

Values that equal their input (casts to the same dtype, views of the same shape, dropout in eval, ``+ 0``, ``* 1``) are
replaced by it, chains of permutations and of views become one, equal calls are computed once, and pure calls that
nothing uses are dropped. Writes in place, random draws and mode switches are never moved, merged or dropped.

Some of these copy and some alias. A copy may only give way to its source when neither is ever written and no output
starts to share storage; an alias only when it is not itself an output over an input, which in a no-grad body would hand
the gradient on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from ..compiler.analysis.effects import aliases, changes_mode, is_random, mutated
from ..compiler.calls import CASTS, PERMUTES, RESHAPES, bind, cast_of, is_call, number, permutation_of
from ..compiler.passes import Numerics, PassContext, RuleStatistics
from ..compiler.program import Program, tensor_of, value_of
from ..compiler.rewriter import Edit
from ..compiler.rules import Decline, Example, Match, Rule, RulePass
from ..compiler.values import same_layout, same_type

aten = torch.ops.aten

# Returning the input's storage at the same offset, these are the identity when type and strides are the same.
ALIASING = {*RESHAPES, *PERMUTES, *CASTS, aten.expand.default, aten.expand_as.default, aten.slice.Tensor}
ALIASING |= {aten.alias.default, aten.contiguous.default, aten.squeeze.default, aten.narrow.default}
ALIASING |= {aten.reshape_as.default, aten.view_as.default}
ALIASING -= {aten._to_copy.default}

_NEUTRAL: dict[Any, float] = {
    aten.add.Tensor: 0.0,
    aten.sub.Tensor: 0.0,
    aten.mul.Tensor: 1.0,
    aten.div.Tensor: 1.0,
    aten.pow.Tensor_Scalar: 1.0,
}
COPYING = {*_NEUTRAL, aten.dropout.default, aten.neg.default, aten._to_copy.default, *CASTS}

REPEATABLE = {*ALIASING, *_NEUTRAL, aten.neg.default, aten.cos.default, aten.sin.default, aten._to_copy.default}
REPEATABLE |= {aten.unsqueeze.default, aten.exp.default, aten.rsqrt.default, aten.mean.dim, aten.silu.default}
REPEATABLE |= {aten.cat.default, aten.select.int, aten.chunk.default, aten.split.Tensor, aten.rsub.Scalar}


class Tidy(Rule):
    """A rule whose result is a value that is already there, bound as ``value``."""

    housekeeping = True

    def check(self, match: Match, ctx: PassContext) -> Decline | None:
        """Refuse where the two values' lives differ."""
        root, value = match.root, match["value"]
        sharing = storage_sharers(value)
        if _is_output([root]) and _is_input(sharing):
            return Decline("aliased-output", f"the output {root.name} would become the input {value.name}", nearness=3)
        if not match.get("copies"):
            return None
        copies = storage_sharers(root)
        written = next((n for n in (*copies, *sharing) if any(n in mutated(user) for user in n.users)), None)
        if written is not None:
            return Decline("written", f"{written.name} is written in place, and the copy is not", nearness=3)
        if _is_output(copies) and (_is_output(sharing) or _is_input(sharing)):
            return Decline("aliased-output", f"an output would come to share the storage of {value.name}", nearness=3)
        return None

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """The value itself."""
        return match["value"]


class DropAlias(Tidy):
    """A view, cast or layout change that changes nothing."""

    name = "no-op-view"
    targets = frozenset(ALIASING)

    def match(self, node: fx.Node) -> Match | None:
        """Same type, same strides."""
        source = node.args[0]
        if not isinstance(source, fx.Node) or not _looks_like(node, source) or _asks_for_copy(node):
            return None
        return Match(node, (source, node), {"value": source}, shared=(source,))


class DropCopy(Tidy):
    """Arithmetic, dropout or a round trip through a wider dtype that changes no value."""

    name = "no-op-arithmetic"
    targets = frozenset(COPYING)

    def match(self, node: fx.Node) -> Match | None:
        """Find the value that the node equals."""
        source = _equal_source(node)
        if source is None or not _looks_like(node, source):
            return None
        return Match(node, (source, node), {"value": source, "copies": True}, shared=(source,))


class MergePermutes(Tidy):
    """A permutation of a permutation."""

    name = "merge-permutes"
    targets = frozenset(PERMUTES)

    def match(self, node: fx.Node) -> Match | None:
        """Compose the two orders."""
        outer = permutation_of(node)
        inner = permutation_of(outer[0]) if outer else None
        if outer is None or inner is None:
            return None
        order = [inner[1][dim] for dim in outer[1]]
        return Match(node, (outer[0], node), {"value": inner[0], "order": order})

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """One permutation, or none."""
        order = match["order"]
        if order == sorted(order):
            return match["value"]
        return edit.call(aten.permute.default, match["value"], order)


class MergeViews(Tidy):
    """A view of a view; a reshape that may copy is left alone, for what it copies may be written."""

    name = "merge-views"
    targets = frozenset({aten.view.default})

    def match(self, node: fx.Node) -> Match | None:
        """Both must be views."""
        inner = node.args[0]
        if not is_call(inner, aten.view.default):
            return None
        return Match(node, (inner, node), {"value": inner.args[0]})

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """The outer view of the inner one's source."""
        return edit.call(aten.view.default, match["value"], *match.root.args[1:])


class MergeEqual(Tidy):
    """A pure call that was made before with the same arguments."""

    name = "common-subexpression"
    targets = frozenset(REPEATABLE)

    def match(self, node: fx.Node) -> Match | None:
        """Look among the other users of the first argument."""
        source = next(iter(node.all_input_nodes), None)
        if source is None or len(source.users) < 2:
            return None
        for twin in source.users:
            if twin.target is node.target and twin is not node and twin < node and _same_call(twin, node):
                return Match(node, (twin, node), {"value": twin, "copies": True}, shared=(twin,))
        return None


def storage_sharers(node: fx.Node) -> list[fx.Node]:
    """The node and every other that may share its storage, by the schemas of the calls between them."""
    found, worklist = {node: None}, [node]
    while worklist:
        at = worklist.pop()
        near = [*aliases(at), *(user for user in at.users if at in aliases(user))]
        worklist += [other for other in near if other not in found]
        found.update(dict.fromkeys(near))
    return list(found)


def _is_output(nodes: list[fx.Node]) -> bool:
    return any(user.op == "output" for node in nodes for user in node.users)


def _is_input(nodes: list[fx.Node]) -> bool:
    return any(node.op in ("placeholder", "get_attr") for node in nodes)


def _looks_like(node: fx.Node, source: fx.Node) -> bool:
    after, before = tensor_of(node), tensor_of(source)
    return after is not None and before is not None and same_type(after, before) and same_layout(after, before)


def _asks_for_copy(node: fx.Node) -> bool:
    return bool(bind(node).get("copy"))


def _equal_source(node: fx.Node) -> fx.Node | None:
    """The argument, or the argument's argument, that a call of :data:`COPYING` equals."""
    source = node.args[0]
    if not isinstance(source, fx.Node):
        return None
    if node.target is aten.dropout.default:
        return source if not is_random(node) else None
    if node.target is aten.neg.default:
        return source.args[0] if is_call(source, aten.neg.default) else None  # type: ignore[return-value]
    if node.target in _NEUTRAL:
        neutral = number(node.args[1]) == _NEUTRAL[node.target]
        return source if neutral and len(node.args) == 2 and not node.kwargs else None
    outer = cast_of(node)
    inner = cast_of(source) if outer else None
    if outer is None or inner is None:
        return source if node.target is aten._to_copy.default else None
    original = tensor_of(inner[0])
    assert original is not None
    floating = original.dtype.is_floating_point and inner[1].is_floating_point
    return inner[0] if floating and torch.promote_types(original.dtype, inner[1]) == inner[1] else None


def _same_call(left: fx.Node, right: fx.Node) -> bool:
    if left.args != right.args or left.kwargs != right.kwargs:
        return False
    # 1 == 1.0 == True, so that equal arguments alone do not make equal calls.
    return same_type(value_of(left), value_of(right))


def _same_view(x: Tensor) -> Tensor:
    return x.view(x.shape).float() * 2


def _dropout(x: Tensor) -> Tensor:
    return F.dropout(x * 2, 0.5, training=False) + 1


def _zeros_and_ones(x: Tensor) -> Tensor:
    return ((x.sin() + 0) * 1) / 1


def _negated_twice(x: Tensor) -> Tensor:
    return x.neg().neg().cos()


def _round_trip(x: Tensor) -> Tensor:
    return x.double().to(x.dtype).cos()


def _returned(x: Tensor) -> Tensor:
    return x * 1


def _view_returned(x: Tensor) -> Tensor:
    return x.view(x.shape)


def _copy_written(x: Tensor) -> tuple[Tensor, Tensor]:
    y = x.sin()
    copy = y * 1
    copy[0].add_(1)
    return copy.cos(), y.cos()


def _permuted_twice(x: Tensor) -> Tensor:
    return x.transpose(0, 1).permute(2, 1, 0) * 2


def _permuted_back(x: Tensor) -> Tensor:
    return x.transpose(0, 1).transpose(1, 0) * 2


def _permutation_used(x: Tensor) -> tuple[Tensor, Tensor]:
    y = x.transpose(0, 1)
    return y * 2, y.transpose(1, 2) * 2


def _viewed_twice(x: Tensor) -> Tensor:
    return x.view(-1).view(3, 2, 4) * 2


def _view_used(x: Tensor) -> tuple[Tensor, Tensor]:
    flat = x.view(-1)
    return flat * 2, flat.view(3, 2, 4) * 2


def _twice(x: Tensor) -> Tensor:
    return x.cos() + x.cos()


def _twice_with_a_write(x: Tensor) -> Tensor:
    y = x * 2
    before = y.cos()
    y[0].add_(1)
    return before + y.cos()


def _twice_returned(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.cos(), x.cos()


_X = ("f32[2, 3, 4]",)

DropAlias.examples = (
    Example("view and cast to what it is", _same_view, _X, fires=2, dtypes=("f32",)),
    Example("a view returned over an input", _view_returned, _X, declines="aliased-output"),
)
DropCopy.examples = (
    Example("dropout in eval", _dropout, _X),
    Example("arithmetic with zero and one", _zeros_and_ones, _X, fires=3),
    Example("negated twice", _negated_twice, _X),
    Example("cast to a wider dtype and back", _round_trip, _X),
    Example("a copy of an input returned", _returned, _X, declines="aliased-output"),
    Example("a copy that is written", _copy_written, _X, declines="written"),
)
MergePermutes.examples = (
    Example("two permutations", _permuted_twice, _X),
    Example("a permutation and its inverse", _permuted_back, _X),
    Example("the inner one has another user", _permutation_used, _X, declines="interior-used"),
)
MergeViews.examples = (
    Example("two views", _viewed_twice, _X),
    Example("the inner one has another user", _view_used, _X, declines="interior-used"),
)
MergeEqual.examples = (
    Example("the same cosine twice", _twice, _X),
    Example("its input is written in between", _twice_with_a_write, _X, declines="mutated-between"),
    Example("both are outputs", _twice_returned, _X, declines="aliased-output"),
)


@dataclass(frozen=True)
class Canonicalise(RulePass):
    """Drop what computes nothing, merge chains of views and permutations, compute equal calls once."""

    name: ClassVar[str] = "canonicalise"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    rules: ClassVar[tuple[Rule, ...]] = (DropAlias(), DropCopy(), MergePermutes(), MergeViews(), MergeEqual())
    fixpoint: ClassVar[bool] = True

    def run(self, program: Program, ctx: PassContext) -> None:
        """Dead code first: its uses would hold other rules back."""
        statistics = ctx.statistics.setdefault("dead-code", RuleStatistics(__file__))
        for _, module in program.graphs():
            for node in reversed(list(module.graph.nodes)):
                if is_dead(node):
                    with ctx.edit(node, "dead-code") as edit:
                        edit.remove(node)
                    statistics.rewrites += 1
        super().run(program, ctx)


def is_dead(node: fx.Node) -> bool:
    """Whether a call or attribute is unused, and has no effect but its value."""
    if node.users or node._erased or node.op not in ("call_function", "get_attr"):
        return False
    if isinstance(node.target, torch._ops.HigherOrderOperator):
        return False
    return not (mutated(node) or is_random(node) or changes_mode(node) or node.is_impure())
