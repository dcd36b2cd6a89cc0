"""Which parts of a value are the same for several rows of the batch: the fact behind sharing a prefix.

A value with a batch dimension and an axis (keys [B, H, T, D]: 0 and 2) is a row of :class:`Segment`: runs of positions
along the axis, each with the number of different copies the batch holds. One copy is shared by all rows; G copies by G
groups of consecutive rows of equal size, which is a level of a prefix tree; as many as rows means that nothing is
shared. A batch of completions of one prompt is [1 copy of the prompt | B copies of the rest]: the decomposition of
Hydragen (arXiv 2402.05099, sections 3.1 and 3.3), proved instead of promised.

Facts begin where rows are made from fewer (expand, repeat, repeat_interleave, stack and cat of the same, an index that
can only be 0, views that merge a repeated dimension into the batch, an input of stride 0 that Dynamo guards) and are
carried through operators that treat rows and positions alike. Whatever is not understood, random, or written in place
is not shared.
"""

# fx arguments come without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import fx

from ..calls import bind, cast_of, permutation_of, reshape_of
from ..ops import OPS
from ..ops.registry import known
from ..program import InputKind, Program, is_operator, tensor_of
from .constants import constant_value
from .effects import effects, is_random

aten = torch.ops.aten
Size = Any
"""``int`` or ``torch.SymInt``."""
View = tuple[Any, tuple[Any, ...]]
"""An operator and its arguments behind the first."""


@dataclass(frozen=True)
class Segment:
    """A run of positions along the axis, and how many different copies of it the batch holds."""

    start: Size
    length: Size
    groups: Size
    """Rows come in this many consecutive groups of equal size, and are equal within a group."""
    source: fx.Node | None = None
    """With ``views`` applied, the compact segment: ``groups`` long in the batch dimension, ``length`` along the axis.
    Never a value that is written in place, which may be read at one time only."""
    views: tuple[View, ...] = ()
    """What leads from ``source`` to the compact segment: none of it depends on the size of the batch."""

    def seen(self, target: Any, *arguments: Any) -> Segment:
        """The segment after one more view."""
        return self if self.source is None else replace(self, views=(*self.views, (target, arguments)))

    @property
    def sourceless(self) -> Segment:
        """The same fact without a node that holds the compact value."""
        return replace(self, source=None, views=())


@dataclass(frozen=True)
class Layout:
    """The segments of one value, in order and without gaps."""

    batch: int
    axis: int
    rows: Size
    segments: tuple[Segment, ...]
    why: str = ""
    """Where sharing was lost, if nothing is shared."""

    @property
    def shared(self) -> bool:
        """Whether some segment has fewer copies than the batch has rows."""
        return any(not known(segment.groups == self.rows) for segment in self.segments)


class Sharing:
    """Answers for one program; a rewrite makes them stale."""

    def __init__(self, program: Program) -> None:
        """Look for nothing yet."""
        self._program = program
        self._facts = effects(program.graph)
        self._layouts: dict[tuple[fx.Node, int, int], Layout] = {}

    def layout(self, node: fx.Node, *, batch: int, axis: int) -> Layout:
        """What is shared of the value of ``node``, whose rows are ``batch`` and whose positions are ``axis``."""
        key = (node, batch, axis)
        if key not in self._layouts:
            self._layouts[key] = self._find(node, batch, axis)
        return self._layouts[key]

    def covers(self, node: fx.Node) -> bool:
        """Whether the node is in the graph that was looked at."""
        return node.graph is self._program.graph

    def _find(self, node: fx.Node, batch: int, axis: int) -> Layout:
        value = tensor_of(node)
        assert value is not None, f"{node.name} is no tensor"
        rows, length = value.shape[batch], value.shape[axis]
        own = Segment(0, length, rows, node)

        def nothing(why: str) -> Layout:
            return Layout(batch, axis, rows, (own,), why)

        if self._written(node):
            return Layout(batch, axis, rows, (own.sourceless,), f"{node.name} is written in place")
        if known(rows == 1):
            return nothing(f"{node.name} has one row")
        if node.op == "placeholder":
            return self._of_input(node, batch, axis) or nothing(f"{node.name} is an input")
        if not is_operator(node.target) or is_random(node):
            return nothing(f"{node.name} is random" if is_random(node) else f"{node.name} is not an operator")
        ask = _Question(self, node, batch, axis, rows, length)
        segments = ask.answer()
        if segments is None:
            return nothing(ask.why or f"{node.target} is not known to treat rows alike")
        segments = [segment.sourceless if self._written(segment.source) else segment for segment in segments]
        # Copies as many as rows are best read off the value itself where a rule names no source.
        if len(segments) == 1 and known(segments[0].groups == rows) and segments[0].source is None:
            segments = [own]
        shared = any(not known(segment.groups == rows) for segment in segments)
        return Layout(batch, axis, rows, tuple(segments), "" if shared else ask.why)

    def _written(self, node: fx.Node | None) -> bool:
        storage = None if node is None else self._facts.storage.get(node)
        return any(storage in written for written in self._facts.writes.values())

    def _of_input(self, node: fx.Node, batch: int, axis: int) -> Layout | None:
        """Dynamo guards the strides of inputs; other doors take a value of any strides."""
        value = tensor_of(node)
        assert value is not None
        if self._program.door != "dynamo" or self._kinds.get(node) is not InputKind.USER:
            return None
        if not known(value.stride(batch) == 0):
            return None
        first = Segment(0, value.shape[axis], 1, node).seen(aten.narrow.default, batch, 0, 1)
        return Layout(batch, axis, value.shape[batch], (first,))

    @cached_property
    def _kinds(self) -> dict[fx.Node, InputKind]:
        records = zip(self._program.placeholders(), self._program.inputs, strict=True)
        return {node: record.kind for node, record in records}


def sharing(program: Program) -> Sharing:
    """What rows of the batch have in common in the outermost graph of ``program``."""
    return Sharing(program)


@dataclass
class _Question:
    """One value, and the rules that may answer for it. Each gives segments, or None where it does not apply."""

    facts: Sharing
    node: fx.Node
    batch: int
    axis: int
    rows: Size
    length: Size
    why: str = ""
    bound: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Read the call by its schema."""
        self.bound = bind(self.node)

    def answer(self) -> list[Segment] | None:
        """By the rule for the operator, or for its kind."""
        if reshape_of(self.node) is not None:
            return self.reshaped()
        if permutation_of(self.node) is not None:
            return self.permuted()
        if cast_of(self.node) is not None:
            return self.cast()
        target: Any = self.node.target
        rule = _RULES.get(target)
        if rule is not None:
            return rule(self)
        if torch.Tag.pointwise in target.tags and not target._schema.is_mutable:
            return self.elementwise(_operands(self.node), len(self.value.shape))
        return None

    @property
    def value(self) -> torch.Tensor:
        """The fake result."""
        value = tensor_of(self.node)
        assert value is not None
        return value

    def of(self, source: Any, batch: int, axis: int) -> list[Segment]:
        """The segments of an operand; why it has none to share is passed on."""
        layout = self.facts.layout(source, batch=batch, axis=axis)
        self.why = self.why or layout.why
        return list(layout.segments)

    # Rows made from fewer

    def expanded(self) -> list[Segment] | None:
        """``expand`` and ``expand_as``: from one row, or of other dimensions."""
        source: fx.Node = self.bound["self"]
        before = tensor_of(source)
        assert before is not None
        more = self.value.dim() - before.dim()
        batch, axis = self.batch - more, self.axis - more
        sizes = [-1 if at >= more and known(before.shape[at - more] == size) else size
                 for at, size in enumerate(self.value.shape)]  # fmt: skip
        sizes[self.batch] = 1
        stretched = [at for at, size in enumerate(sizes) if isinstance(size, torch.SymInt) or size not in (-1, 1)]
        if batch < 0 or (known(before.shape[batch] == 1) and axis >= 0):
            one = Segment(0, self.length, 1, source)
            if stretched:
                if any(isinstance(sizes[at], torch.SymInt) for at in stretched):
                    return [one.sourceless]
                return [one.seen(aten.expand.default, sizes)]
            for _ in range(more):
                one = one.seen(aten.unsqueeze.default, 0)
            return [one]
        if axis < 0 or not known(before.shape[axis] == self.length):
            return None
        segments = self.of(source, batch, axis)
        return segments if not stretched else [segment.sourceless for segment in segments]

    def repeated(self) -> list[Segment] | None:
        """``repeat`` and ``tile``, of the rows alone."""
        source: fx.Node = self.bound["self"]
        before = tensor_of(source)
        assert before is not None
        times = list(self.bound["repeats"] if "repeats" in self.bound else self.bound["dims"])
        more = self.value.dim() - before.dim()
        times = [1] * (self.value.dim() - len(times)) + times
        others = [n for at, n in enumerate(times) if at != self.batch]
        if any(isinstance(n, fx.Node) or not known(n == 1) for n in others):
            return None
        if more == 1 and self.batch == 0:
            return [Segment(0, self.length, 1, source).seen(aten.unsqueeze.default, 0)]
        if more == 0 and known(before.shape[self.batch] == 1):
            return [Segment(0, self.length, 1, source)]
        if more == 0 and not isinstance(times[self.batch], fx.Node) and known(times[self.batch] == 1):
            return self.of(source, self.batch, self.axis)
        self.why = f"{self.node.name} repeats several rows in turn, so that equal rows are not side by side"
        return None

    def interleaved(self) -> list[Segment] | None:
        """``repeat_interleave`` by a number: every row becomes a group of neighbours."""
        source: fx.Node = self.bound["self"]
        before = tensor_of(source)
        assert before is not None
        if self.bound["dim"] is None:
            return None
        if self.bound["dim"] == self.batch:
            return self.of(source, self.batch, self.axis)
        if self.bound["dim"] == self.axis:
            return None
        return [segment.sourceless for segment in self.of(source, self.batch, self.axis)]

    def indexed(self) -> list[Segment] | None:
        """``index_select``: rows by an index that can only be, or is known to be, the same for all."""
        source, index = self.bound["self"], self.bound["index"]
        before = tensor_of(source)
        assert before is not None
        if self.bound["dim"] == self.axis:
            return None
        if self.bound["dim"] != self.batch:
            return [segment.sourceless for segment in self.of(source, self.batch, self.axis)]
        if known(before.shape[self.batch] == 1):
            return [Segment(0, self.length, 1, source)]
        chosen = constant_value(index) if isinstance(index, fx.Node) else None
        if chosen is None or not chosen.numel() or not bool((chosen == chosen.flatten()[0]).all()):
            self.why = f"{self.node.name} picks rows by an index that is not known to be the same for all"
            return None
        row = int(chosen.flatten()[0])
        return [Segment(0, self.length, 1, source).seen(aten.narrow.default, self.batch, row, 1)]

    def joined(self) -> list[Segment] | None:
        """``cat`` along the axis, or of one and the same row along the batch."""
        # An empty tensor of one dimension may stand among others, as in caches of transformers: it adds nothing, and a
        # dimension is not to be counted by its rank.
        rank = self.value.dim()
        parts = [part for part in self.bound["tensors"] if (tensor := tensor_of(part)) is None or tensor.dim() == rank]
        given: Any = self.node.args[1] if len(self.node.args) > 1 else self.node.kwargs.get("dim", 0)
        dim: int = given % rank
        if dim == self.batch:
            first = tensor_of(parts[0])
            same = first is not None and known(first.shape[self.batch] == 1) and all(p is parts[0] for p in parts)
            return [Segment(0, self.length, 1, parts[0])] if same else None
        if dim != self.axis:
            found = [self.of(part, self.batch, self.axis) for part in parts]
            return self._combined(found)
        segments: list[Segment] = []
        for part in parts:
            segments += self.of(part, self.batch, self.axis)
        return _in_a_row(segments)

    def stacked(self) -> list[Segment] | None:
        """``stack`` of one and the same value as rows."""
        parts, dim = self.bound["tensors"], self.bound["dim"]
        if dim != self.batch or not all(part is parts[0] for part in parts):
            return None
        return [Segment(0, self.length, 1, parts[0]).seen(aten.unsqueeze.default, dim)]

    def prefixed(self) -> list[Segment] | None:
        """``shared_prefix_cat``: a declared prefix before the rows' own positions."""
        if self.bound["dim"] != self.axis or self.batch != 0:
            return None
        segments: list[Segment] = []
        for part in (self.bound["prefix"], self.bound["suffix"]):
            value = tensor_of(part)
            assert value is not None
            found = self.of(part, self.batch, self.axis)
            segments += [Segment(0, value.shape[self.axis], value.shape[0], part)] if len(found) == 1 else found
        return _in_a_row(segments)

    # Views

    def reshaped(self) -> list[Segment] | None:
        """A dimension that survives keeps its facts; a repeated dimension that joins the batch makes groups."""
        found = reshape_of(self.node)
        assert found is not None
        source, after = found
        before = tensor_of(source)
        assert before is not None
        axis = _same_dim(self.axis, after, before.shape)
        batch = _same_dim(self.batch, after, before.shape)
        if axis is None or axis == batch:
            return None
        if batch is not None:
            return [self._reshaped(segment, after) for segment in self.of(source, batch, axis)]
        pair = _merged(self.batch, after, before.shape)
        if pair is None or axis in pair:
            return None
        outer, inner = pair
        segments: list[Segment] = []
        for segment in self.of(source, inner, axis):
            if not known(segment.groups == 1):
                self.why = self.why or f"{self.node.name} merges rows that differ into the batch"
                return None
            segments.append(self._reshaped(replace(segment, groups=before.shape[outer]), after))
        return segments

    def _reshaped(self, segment: Segment, after: Sequence[Size]) -> Segment:
        sizes = list(after)
        sizes[self.batch], sizes[self.axis] = -1, segment.length
        if any(isinstance(size, torch.SymInt) for size in sizes):
            return segment.sourceless
        return segment.seen(aten.reshape.default, sizes)

    def permuted(self) -> list[Segment] | None:
        """Dimensions in another order."""
        found = permutation_of(self.node)
        assert found is not None
        source, order = found
        segments = self.of(source, order[self.batch], order[self.axis])
        return [segment.seen(aten.permute.default, list(order)) for segment in segments]

    def cast(self) -> list[Segment] | None:
        """The same numbers in another type."""
        found = cast_of(self.node)
        assert found is not None
        source, dtype = found
        return [segment.seen(aten.to.dtype, dtype) for segment in self.of(source, self.batch, self.axis)]

    def copied(self) -> list[Segment] | None:
        """``clone``, ``contiguous``, ``alias``, ``detach``: the same values."""
        return self.of(self.bound["self"], self.batch, self.axis)

    def sliced(self) -> list[Segment] | None:
        """``slice`` and ``narrow`` with fixed bounds."""
        source, dim = self.bound["self"], self.bound["dim"]
        if "length" in self.bound:
            start, stop, step = self.bound["start"], self.bound["length"], 1
            if isinstance(start, int) and isinstance(stop, int):
                # Counted from the end, a run up to the end has no bound that slice could be told.
                stop = None if start < 0 and start + stop == 0 else start + stop
        else:
            start, stop, step = self.bound["start"] or 0, self.bound["end"], self.bound["step"]
        segments = self.of(source, self.batch, self.axis)
        if dim not in (self.batch, self.axis):
            fixed = all(isinstance(bound, int) or bound is None for bound in (start, stop, step))
            if not fixed:
                return [segment.sourceless for segment in segments]
            return [segment.seen(aten.slice.Tensor, dim, start, stop, step) for segment in segments]
        if dim == self.batch:
            return segments if all(known(segment.groups == 1) for segment in segments) else None
        ends = [segment.start + segment.length for segment in segments]
        if step != 1 or not all(isinstance(n, int) for n in (start, self.length, *ends)):
            return None
        total: int = ends[-1]
        first = max(start + total, 0) if start < 0 else min(start, total)
        last = first + self.length
        kept: list[Segment] = []
        for segment in segments:
            low, high = max(segment.start, first), min(segment.start + segment.length, last)
            if low < high:
                cut = segment
                if high - low != segment.length:
                    cut = segment.seen(aten.narrow.default, dim, low - segment.start, high - low)
                kept.append(replace(cut, start=low - first, length=high - low))
        return kept or None

    # Operators that treat rows and positions alike

    def elementwise(self, operands: Sequence[fx.Node], rank: int) -> list[Segment] | None:
        """Operands broadcast from the right to ``rank`` dimensions; a missing or single row is the same for all."""
        found: list[list[Segment]] = []
        for operand in operands:
            value = tensor_of(operand)
            assert value is not None
            batch, axis = (at - rank + value.dim() for at in (self.batch, self.axis))
            if batch < 0 or known(value.shape[batch] == 1):
                found.append([Segment(0, self.length, 1)])
            elif axis < 0 or not known(value.shape[axis] == self.length):
                if axis < 0 and value.dim() < 2:
                    return None
                groups = self._groups(self.of(operand, batch, axis if axis >= 0 else (batch + 1) % value.dim()))
                found.append([Segment(0, self.length, groups)])
            else:
                found.append(self.of(operand, batch, axis))
        return self._combined(found)

    def rowwise(self, operand: str, mixed: Callable[[_Question], set[int]]) -> list[Segment] | None:
        """One operand whose dimensions outside ``mixed`` are independent; whatever else there is must have no rows."""
        if {self.batch, self.axis} & mixed(self):
            return None
        return [segment.sourceless for segment in self.of(self.bound[operand], self.batch, self.axis)]

    def looked_up(self) -> list[Segment] | None:
        """``embedding``: a row for every index."""
        if self.axis >= self.value.dim() - 1 or self.batch >= self.value.dim() - 1:
            return None
        return [segment.sourceless for segment in self.of(self.bound["indices"], self.batch, self.axis)]

    def _groups(self, segments: Sequence[Segment]) -> Size:
        """How many copies there are of all the segments together."""
        groups: Size = 1
        for segment in segments:
            groups = self._finer(groups, segment.groups)
        return groups

    def _finer(self, left: Size, right: Size) -> Size:
        """Copies of what depends on both; groups that do not nest leave nothing shared."""
        for one, other in ((left, right), (right, left)):
            if known(one == 1) or known(one == other):
                return other
        if isinstance(left, int) and isinstance(right, int) and max(left, right) % min(left, right) == 0:
            return max(left, right)
        return self.rows

    def _combined(self, found: Sequence[Sequence[Segment]]) -> list[Segment]:
        """Segments at the boundaries of all operands; where those are symbolic and differ, one."""
        found = [segments for segments in found if segments]
        if not found:
            return [Segment(0, self.length, self.rows)]
        cuts = [[(segment.start, segment.length) for segment in segments] for segments in found]
        longest = max(cuts, key=len)
        if all(len(cut) == 1 or _same_cuts(cut, longest) for cut in cuts):
            chosen = longest
        elif all(isinstance(n, int) for cut in cuts for pair in cut for n in pair):
            starts = sorted({start for cut in cuts for start, _ in cut})
            ends = [*starts[1:], self.length]
            chosen = [(start, end - start) for start, end in zip(starts, ends, strict=True)]
        else:
            chosen = [(0, self.length)]
        combined: list[Segment] = []
        for start, length in chosen:
            groups: Size = 1
            for segments in found:
                groups = self._finer(groups, self._groups(_overlapping(segments, start, length)))
            combined.append(Segment(start, length, groups))
        return combined


def _operands(node: fx.Node) -> list[fx.Node]:
    return [source for source in node.all_input_nodes if tensor_of(source) is not None]


def _in_a_row(segments: Sequence[Segment]) -> list[Segment]:
    """Segments of joined parts, with the starts they have in the whole; empty ones are left out."""
    placed: list[Segment] = []
    start: Size = 0
    for segment in segments:
        if not known(segment.length == 0):
            placed.append(replace(segment, start=start))
        start = start + segment.length
    return placed


def _same_cuts(left: Sequence[tuple[Size, Size]], right: Sequence[tuple[Size, Size]]) -> bool:
    if len(left) != len(right):
        return False
    return all(known(a == b) for pair, other in zip(left, right, strict=True) for a, b in zip(pair, other, strict=True))


def _overlapping(segments: Sequence[Segment], start: Size, length: Size) -> list[Segment]:
    """Those that may have a position in the run."""
    kept = []
    for segment in segments:
        before = known(segment.start + segment.length <= start)
        behind = known(segment.start >= start + length)
        if not before and not behind:
            kept.append(segment)
    return kept


def _product(sizes: Sequence[Size]) -> Size:
    total: Size = 1
    for size in sizes:
        total = total * size
    return total


def _same_dim(at: int, after: Sequence[Size], before: Sequence[Size]) -> int | None:
    """The dimension of ``before`` that is dimension ``at`` of ``after`` in the same order of elements."""
    behind = _product(after[at + 1 :])
    for candidate in range(len(before)):
        same = known(before[candidate] == after[at]) and known(_product(before[candidate + 1 :]) == behind)
        if same and known(_product(before[:candidate]) == _product(after[:at])):
            return candidate
    return None


def _merged(at: int, after: Sequence[Size], before: Sequence[Size]) -> tuple[int, int] | None:
    """The two neighbouring dimensions of ``before`` that dimension ``at`` of ``after`` consists of."""
    behind = _product(after[at + 1 :])
    for outer in range(len(before) - 1):
        same = known(before[outer] * before[outer + 1] == after[at])
        if same and known(_product(before[outer + 2 :]) == behind):
            return outer, outer + 1
    return None


def _last(question: _Question) -> set[int]:
    return {question.value.dim() - 1}


def _normalised(question: _Question) -> set[int]:
    shape = question.bound.get("normalized_shape")
    count = 1 if shape is None else len(shape)
    return set(range(question.value.dim() - count, question.value.dim()))


def _reduced(question: _Question) -> set[int]:
    return {question.bound["dim"] % question.value.dim()}


def _independent(question: _Question) -> list[Segment] | None:
    """Operators on several values with the batch first, whose rows do not meet; positions may."""
    if question.batch != 0:
        return None
    groups: Size = 1
    for operand in _operands(question.node):
        value = tensor_of(operand)
        assert value is not None
        if value.dim() == question.value.dim() and not known(value.shape[0] == 1):
            groups = question._finer(groups, question._groups(question.of(operand, 0, question.axis)))
        elif value.dim() == 1:
            # Lengths of the rows.
            return None
    return [Segment(0, question.length, groups)]


def _rotated(question: _Question) -> list[Segment] | None:
    """``rotary``: cos and sin broadcast to x, whose features meet."""
    if question.value.dim() - 1 in (question.batch, question.axis):
        return None
    return question.elementwise(_operands(question.node), question.value.dim())


def _rules() -> dict[Any, Callable[[_Question], list[Segment] | None]]:
    rules: dict[Any, Callable[[_Question], list[Segment] | None]] = {
        aten.expand.default: _Question.expanded,
        aten.expand_as.default: _Question.expanded,
        aten.broadcast_to.default: _Question.expanded,
        aten.repeat.default: _Question.repeated,
        aten.tile.default: _Question.repeated,
        aten.repeat_interleave.self_int: _Question.interleaved,
        aten.index_select.default: _Question.indexed,
        aten.cat.default: _Question.joined,
        aten.concat.default: _Question.joined,
        aten.stack.default: _Question.stacked,
        aten.slice.Tensor: _Question.sliced,
        aten.narrow.default: _Question.sliced,
        aten.embedding.default: lambda q: q.looked_up(),
        aten.linear.default: lambda q: q.rowwise("input", _last),
        aten.layer_norm.default: lambda q: q.rowwise("input", _normalised),
        aten.rms_norm.default: lambda q: q.rowwise("input", _normalised),
        aten.softmax.int: lambda q: q.rowwise("self", _reduced),
        aten._softmax.default: lambda q: q.rowwise("self", _reduced),
        aten.scaled_dot_product_attention.default: _independent,
        OPS["attention"].overload: _independent,
        OPS["rms_norm"].overload: lambda q: q.rowwise("x", _last),
        OPS["layer_norm"].overload: lambda q: q.rowwise("x", _last),
        OPS["rotary"].overload: _rotated,
        OPS["shared_prefix_cat"].overload: _Question.prefixed,
    }
    for same in (aten.clone, aten.contiguous, aten.alias, aten.detach):
        rules[same.default] = _Question.copied
    return rules


_RULES = _rules()
