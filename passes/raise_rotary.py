"""Recognise rotary position embedding: ``x * cos + rotated(x) * sin`` (RoFormer, arXiv 2104.09864).

``rotated`` maps pairs (a, b) to (-b, a). Half-split pairs come as ``cat(-second, first)`` of slices, chunks or an
unbound reshape; interleaved ones as ``stack(-odd, even).flatten`` (GPT-J) or as a product of complex numbers (Llama's
original). When only the first R features are rotated and the rest is put behind them (GPT-NeoX, Phi), that is taken
along. The tables stay as they are, however they broadcast over heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, fx

from ..compiler.calls import CASTS, RESHAPES, bind, getitem_of, is_call, reshape_of
from ..compiler.ops import OPS
from ..compiler.passes import Numerics
from ..compiler.program import tensor_of
from ..compiler.rewriter import Edit
from ..compiler.rules import Decline, Example, Match, Rule, RulePass

aten = torch.ops.aten
Nodes = tuple[fx.Node, ...]


@dataclass(frozen=True)
class Part:
    """Features ``start:stop:step`` of ``source``, and the calls that take them."""

    source: fx.Node
    start: int
    stop: int
    step: int
    nodes: Nodes


@dataclass(frozen=True)
class Rotated:
    """``source`` with its pairs turned by a right angle, backwards if the other one of each pair is negated."""

    source: fx.Node
    interleaved: bool
    backwards: bool
    nodes: Nodes
    parts: Nodes


class RealRotary(Rule):
    """Rotation written with real numbers."""

    name = "rotary"
    site = "rotary"
    targets = frozenset({aten.add.Tensor, aten.cat.default})

    def match(self, node: fx.Node) -> Match | Decline | None:
        """A rotation of all features, or of the first ones with the rest behind them."""
        if node.target is aten.cat.default:
            return _partial(node)
        whole = _whole(node)
        if isinstance(whole, Match) and len(node.users) == 1:
            user = next(iter(node.users))
            if is_call(user, aten.cat.default) and isinstance(_partial(user), Match):
                return None
        return whole

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """One call."""
        flag = {"interleaved": True} if match["interleaved"] else {}
        return edit.call(OPS["rotary"].overload, match["x"], match["cos"], match["sin"], **flag)


class ComplexRotary(Rule):
    """Rotation written as ``view_as_real(view_as_complex(x pairs) * table)``; the table's parts are repeated."""

    name = "complex-rotary"
    site = "rotary"
    targets = frozenset(RESHAPES)

    def match(self, node: fx.Node) -> Match | Decline | None:
        """From the reshape that flattens the pairs back to the complex product."""
        flat = reshape_of(node)
        if flat is None or not is_call(flat[0], aten.view_as_real.default):
            return None
        product = cast(fx.Node, flat[0].args[0])
        if not is_call(product, aten.mul.Tensor):
            return None
        for left, table in (product.args, product.args[::-1]):
            pairs = reshape_of(left.args[0]) if is_call(left, aten.view_as_complex.default) else None
            if is_call(left, aten.view_as_complex.default) and pairs is None:
                return Decline("not-pairs", "the complex numbers are not made of neighbouring features", nearness=2)
            if pairs is not None and isinstance(table, fx.Node) and _shape(pairs[0]) == _shape(node):
                inner = cast(fx.Node, left.args[0])  # type: ignore[union-attr]
                return Match(node, (node, flat[0], product, left, inner), {"x": pairs[0], "table": table})  # type: ignore[arg-type]
        return None

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """Each angle serves both features of its pair."""
        parts = (edit.call(part, match["table"]) for part in (aten.real.default, aten.imag.default))
        cos, sin = (edit.call(aten.repeat_interleave.self_int, part, 2, -1) for part in parts)
        return edit.call(OPS["rotary"].overload, match["x"], cos, sin, interleaved=True)


def _whole(node: fx.Node) -> Match | Decline | None:
    """``x * cos + rotated(x) * sin`` in any order."""
    bound = bind(node)
    if bound["alpha"] != 1:
        return None
    for straight, turned in ((bound["self"], bound["other"]), (bound["other"], bound["self"])):
        if not (is_call(straight, aten.mul.Tensor) and is_call(turned, aten.mul.Tensor)):
            return None
        for value, sin in (turned.args, turned.args[::-1]):
            rotated = rotated_of(value)
            if rotated is None or not isinstance(sin, fx.Node):
                continue
            if rotated.backwards:
                return Decline("rotates-backwards", "the pairs become (b, -a), not (-b, a)", nearness=2)
            if rotated.source not in straight.args:
                return Decline("different-inputs", "the rotated value is not the one that is multiplied by cos")
            x = rotated.source
            cos = straight.args[1] if straight.args[0] is x else straight.args[0]
            if not isinstance(cos, fx.Node) or not _fits(x, cos, sin) or _shape(node) != _shape(x):
                return None
            if _made_by(cos, aten.sin.default) or _made_by(sin, aten.cos.default):
                return Decline("tables-swapped", "the value is multiplied by the sine, its rotation by the cosine")
            bindings = {"x": x, "cos": cos, "sin": sin, "interleaved": rotated.interleaved}
            return Match(node, (node, straight, turned, *rotated.nodes, *rotated.parts), bindings, rotated.parts)
    return None


def _partial(node: fx.Node) -> Match | None:
    """``cat(rotation of x[..., :R], x[..., R:])``."""
    halves = _concatenated(node)
    if halves is None or not is_call(halves[0], aten.add.Tensor):
        return None
    whole = _whole(halves[0])
    if not isinstance(whole, Match):
        return None
    head, rest = part_of(whole["x"]), part_of(halves[1])
    if head is None or rest is None or head.source is not rest.source or head.step != 1 or rest.step != 1:
        return None
    if head.start != 0 or rest.start != head.stop or rest.stop != _width(head.source):
        return None
    slices = (*head.nodes, *rest.nodes)
    bindings = {**whole.bindings, "x": head.source}
    return Match(node, (node, *whole.nodes, *slices), bindings, (*whole.shared, *slices))


def rotated_of(node: Any) -> Rotated | None:
    """Read a value as another one with its pairs turned."""
    nodes: Nodes = (node,)
    if is_call(node, aten.cat.default):
        pair, interleaved = _concatenated(node), False
    else:
        flat = reshape_of(node)
        if flat is None or not is_call(flat[0], aten.stack.default):
            return None
        bound, stacked = bind(flat[0]), tensor_of(flat[0])
        assert stacked is not None
        last = bound["dim"] == stacked.dim() - 1 and len(bound["tensors"]) == 2
        pair, interleaved = (bound["tensors"] if last else None), True
        nodes = (node, flat[0])
    if pair is None:
        return None
    negated = [is_call(item, aten.neg.default) for item in pair]
    if sum(negated) != 1:
        return None
    bare = [cast(fx.Node, item.args[0]) if is_neg else item for item, is_neg in zip(pair, negated, strict=True)]
    second, first = part_of(bare[0]), part_of(bare[1])
    if first is None or second is None or first.source is not second.source:
        return None
    width = _width(first.source)
    if _shape(node) != _shape(first.source) or width is None or width % 2:
        return None
    wanted = ((0, 2), (1, 2)) if interleaved else ((0, 1), (width // 2, 1))
    sizes = [len(range(part.start, part.stop, part.step)) for part in (first, second)]
    if ((first.start, first.step), (second.start, second.step)) != wanted or sizes != [width // 2] * 2:
        return None
    minus = tuple(item for item, is_neg in zip(pair, negated, strict=True) if is_neg)
    return Rotated(first.source, interleaved, negated[1], (*nodes, *minus), (*first.nodes, *second.nodes))


def part_of(node: Any) -> Part | None:
    """Read a value as some of the last dimension's features: a slice, a chunk, or one of an unbound reshape."""
    if is_call(node, aten.slice.Tensor):
        bound, width = bind(node), _width(node.args[0])
        last = _rank(bound["self"]) - 1
        if width is None or bound["dim"] != last or not all(isinstance(bound[k], int | None) for k in ("start", "end")):
            return None
        start, stop, step = slice(bound["start"], bound["end"], bound["step"]).indices(width)
        return Part(bound["self"], start, stop, step, (node,))
    taken = getitem_of(node)
    if taken is None or not isinstance(taken[0], fx.Node):
        return None
    many, at = taken
    if is_call(many, aten.unbind.int):
        return _part_of_pairs(many, at, node)
    if not is_call(many, aten.chunk.default, aten.split.Tensor, aten.split_with_sizes.default):
        return None
    bound, width = bind(many), _width(many.args[0])
    if width is None or bound["dim"] != _rank(bound["self"]) - 1:
        return None
    if many.target is aten.split_with_sizes.default:
        sizes = cast("Sequence[int]", bound["split_sizes"])
        if not all(isinstance(size, int) for size in sizes):
            return None
        start, size = sum(sizes[:at]), sizes[at]
    else:
        size = -(-width // bound["chunks"]) if many.target is aten.chunk.default else bound["split_size"]
        if not isinstance(size, int):
            return None
        start = at * size
    return Part(bound["self"], start, min(start + size, width), 1, (node, many))


def _part_of_pairs(many: fx.Node, at: int, node: fx.Node) -> Part | None:
    """One of ``x.reshape(..., D/2, 2).unbind(-1)`` or ``x.reshape(..., 2, D/2).unbind(-2)``."""
    bound = bind(many)
    pairs = reshape_of(bound["self"])
    if pairs is None or _shape(pairs[0])[:-1] != _shape(bound["self"])[:-2]:
        return None
    width, last = _width(pairs[0]), len(pairs[1]) - 1
    if width is None or pairs[1][bound["dim"]] != 2 or bound["dim"] < last - 1:
        return None
    half = width // 2
    start, stop, step = (at, width, 2) if bound["dim"] == last else (at * half, (at + 1) * half, 1)
    return Part(pairs[0], start, stop, step, (node, many, bound["self"]))


def _concatenated(node: fx.Node) -> list[fx.Node] | None:
    """The two values put one behind the other along the last dimension."""
    bound = bind(node)
    return list(bound["tensors"]) if len(bound["tensors"]) == 2 and bound["dim"] == _rank(node) - 1 else None


def _fits(x: fx.Node, cos: fx.Node, sin: fx.Node) -> bool:
    return _width(cos) == _width(sin) == _width(x) is not None


def _made_by(table: Any, target: Any) -> bool:
    """Whether a table comes straight from an operator, through casts, scales and changes of shape."""
    through = (*CASTS, *RESHAPES, aten.mul.Tensor, aten.index.Tensor, aten.slice.Tensor, aten.expand.default)
    while is_call(table, *through):
        table = table.args[0]
    return is_call(table, target)


def _width(node: Any) -> int | None:
    """Features of a value where their number is static."""
    tensor = tensor_of(node)
    width = tensor.shape[-1] if tensor is not None and tensor.dim() else None
    return width if isinstance(width, int) else None


def _rank(node: Any) -> int:
    tensor = tensor_of(node)
    return -1 if tensor is None else tensor.dim()


def _shape(node: Any) -> tuple[str, ...]:
    tensor = tensor_of(node)
    return () if tensor is None else tuple(map(str, tensor.shape))


def _rotate_half(x: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)


def _llama(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return x * cos[:, None] + _rotate_half(x) * sin[:, None]


def _chunked(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return sin[:, None] * torch.cat((-second, first), -1) + cos[:, None] * x


def _gptj(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    turned = torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).flatten(-2)
    return x * cos[:, None] + turned * sin[:, None]


def _unbound(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    real, imaginary = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    return x * cos[:, None] + torch.stack([-imaginary, real], dim=-1).flatten(3) * sin[:, None]


def _partial_example(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    head, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    return torch.cat((_llama(head, cos, sin), rest), dim=-1)


def _backwards(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos[:, None] + torch.cat((second, -first), -1) * sin[:, None]


def _swapped(x: Tensor, angles: Tensor) -> Tensor:
    return x * angles.sin() + _rotate_half(x) * angles.cos()


def _two_inputs(x: Tensor, y: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return x * cos[:, None] + _rotate_half(y) * sin[:, None]


def _rotation_used(x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    turned = _rotate_half(x)
    return x * cos[:, None] + turned * sin[:, None], turned


def _complex(x: Tensor, angles: Tensor) -> Tensor:
    pairs = torch.view_as_complex((2 * x.float()).reshape(*x.shape[:-1], -1, 2))
    table = torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(pairs * table[:, None]).flatten(3).type_as(x)


def _complex_halves(x: Tensor, angles: Tensor) -> Tensor:
    pairs = torch.view_as_complex(torch.stack(x.chunk(2, -1), dim=-1))
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)[:, None]).flatten(3)


_X, _T = "f32[2, 3, 5, 8]", "f32[2, 5, 8]"

RealRotary.examples = (
    Example("half-split by slices", _llama, (_X, _T, _T)),
    Example("half-split by chunks, the other order", _chunked, (_X, _T, _T)),
    Example("interleaved by steps", _gptj, (_X, _T, _T)),
    Example("interleaved by unbinding", _unbound, (_X, _T, _T)),
    Example("the first features only", _partial_example, (_X, "f32[2, 5, 4]", "f32[2, 5, 4]")),
    Example("dynamic length", _llama, ("f32[2, 3, t=5, 8]", "f32[2, t=5, 8]", "f32[2, t=5, 8]")),
    Example("turned the other way", _backwards, (_X, _T, _T), declines="rotates-backwards"),
    Example("sine and cosine swapped", _swapped, (_X, "f32[5, 8]"), declines="tables-swapped"),
    Example("another value is rotated", _two_inputs, (_X, _X, _T, _T), declines="different-inputs"),
    Example("the rotated value is an output", _rotation_used, (_X, _T, _T), declines="interior-used"),
)
ComplexRotary.examples = (
    Example("complex product", _complex, (_X, "f32[2, 5, 4]"), dtypes=("f32",)),
    Example("complex numbers of two halves", _complex_halves, (_X, "f32[2, 5, 4]"), declines="not-pairs"),
)


@dataclass(frozen=True)
class RaiseRotary(RulePass):
    """Name rotary position embedding, half-split, interleaved, partial or complex, as ``rotary``."""

    name: ClassVar[str] = "raise-rotary"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    rules: ClassVar[tuple[Rule, ...]] = (RealRotary(), ComplexRotary())
