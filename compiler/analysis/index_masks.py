"""Masks that a graph builds from positions, read without knowing the sizes.

``arange(t)[:, None] >= arange(t)`` has no value while t is symbolic, but what it says can be read off the graph. Every
integer tensor is followed as an affine function of its own indices, ``constant + sum(slope[d] * index[d])``, and every
boolean one as the conjunction of affine functions that must not be negative. :func:`conditions_of` gives that
conjunction, :func:`structure_of_conditions` the :class:`~.masks.MaskStructure` it is, and :func:`first_unread` the call
at which reading stopped. Whatever is not known to be affine (a value of an input, a gather, a disjunction) is not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, fx

from ..calls import bind, cast_of, is_call, permutation_of, reshape_of
from ..ops.registry import known
from ..program import tensor_of, value_of
from .constants import constant_value, is_written
from .masks import MaskStructure

aten = torch.ops.aten

Size = Any
"""An int or a SymInt."""


@dataclass(frozen=True)
class Affine:
    """``constant + sum(slopes[d] * index[d])`` over the indices of a tensor."""

    constant: Size
    slopes: tuple[int, ...]

    def plus(self, other: Affine, sign: int = 1) -> Affine:
        """The sum (or difference) of two, broadcast against each other."""
        rank = max(len(self.slopes), len(other.slopes))
        pairs = zip(_padded(self.slopes, rank), _padded(other.slopes, rank), strict=True)
        return Affine(self.constant + sign * other.constant, tuple(a + sign * b for a, b in pairs))

    def times(self, factor: int) -> Affine:
        """A multiple."""
        return Affine(self.constant * factor, tuple(slope * factor for slope in self.slopes))


Conditions = tuple[Affine, ...]
"""A boolean tensor that is True where none of these is negative."""

_FALSE = (Affine(-1, ()),)
_SAME = (
    aten.clone.default,
    aten.contiguous.default,
    aten.alias.default,
    aten.detach.default,
    aten.lift_fresh_copy.default,
)
_ANDS = (aten.__and__.Tensor, aten.bitwise_and.Tensor, aten.logical_and.default, aten.mul.Tensor)
_NOTS = (aten.logical_not.default, aten.bitwise_not.default)
# The affine function that is not negative where left <op> right, given left - right.
_COMPARISONS: dict[Any, Callable[[Affine], Affine]] = {
    aten.ge: lambda difference: difference,
    aten.gt: lambda difference: difference.plus(Affine(-1, ())),
    aten.le: lambda difference: difference.times(-1),
    aten.lt: lambda difference: difference.times(-1).plus(Affine(-1, ())),
}
_FILLED = {aten.zeros: 0, aten.new_zeros: 0, aten.zeros_like: 0, aten.ones: 1, aten.new_ones: 1, aten.ones_like: 1}


def conditions_of(mask: fx.Node) -> Conditions | None:
    """When a boolean tensor is True, or ``None`` if it cannot be read. No conditions: always."""
    found = _Reader({}).read(mask)
    return found if isinstance(found, tuple) else None


def negated(value: Any) -> Conditions | None:
    """Where a mask of at most one condition is False: integers that are not >= 0 are <= -1. ``None`` for more."""
    if not isinstance(value, tuple):
        return None
    conditions = cast("Conditions", value)
    if len(conditions) > 1:
        return None
    return (conditions[0].times(-1).plus(Affine(-1, ())),) if conditions else _FALSE


def first_unread(mask: fx.Node) -> fx.Node:
    """A call under ``mask`` that is not read although its integer and boolean arguments are, or an input."""
    reader, node = _Reader({}), mask
    while True:
        under = [each for each in node.all_input_nodes if _is_indexlike(each) and reader.read(each) is None]
        if not under:
            return node
        node = under[0]


def structure_of_conditions(conditions: Conditions, queries: Size, keys: Size) -> MaskStructure | None:
    """The structure of a mask [..., queries, keys] that hides by these conditions alone; its offset may be a SymInt."""
    upper: list[Size] = []
    lower: list[Size] = []
    for condition in conditions:
        *lead, query, key = _padded(condition.slopes, max(2, len(condition.slopes)))
        bound = condition.constant
        if any(lead):
            return None
        if not query and known(queries == 1):
            query = -key
        if (query, key) == (1, -1):
            # j <= i + bound, which is no condition at all when it holds for the first query and the last key.
            if not known(bound >= keys - 1):
                upper.append(bound)
        elif (query, key) == (-1, 1):
            # j >= i - bound
            if not known(bound >= queries - 1):
                lower.append(bound)
        elif (query, key) != (0, 0) or not known(bound >= 0):
            return None
    if not upper:
        return None if lower else MaskStructure("none")
    offset = _least(upper)
    if offset is None or not lower:
        return None if offset is None else MaskStructure("causal", _settled(offset))
    behind = _least(lower)
    window = None if behind is None else _settled(behind + offset + 1)
    return MaskStructure("sliding", _settled(offset), window) if isinstance(window, int) and window > 0 else None


def every_row_sees(structure: MaskStructure, queries: Size, keys: Size) -> bool:
    """Whether every query is known to see at least one key, whatever the sizes are."""
    if structure.kind == "none":
        return True
    if structure.kind not in ("causal", "sliding") or not known(structure.offset >= 0):
        return False
    return structure.kind == "causal" or known(structure.offset + queries <= keys)


@dataclass
class _Reader:
    """Reads values from their sources down, each once."""

    memo: dict[fx.Node, Affine | Conditions | None]

    def read(self, node: fx.Node) -> Affine | Conditions | None:
        if node not in self.memo:
            self.memo[node] = None if is_written(node) else self._read(node)
        return self.memo[node]

    def _read(self, node: fx.Node) -> Affine | Conditions | None:
        tensor = tensor_of(node)
        if tensor is None or not _is_indexlike(node):
            return None
        if node.op == "get_attr":
            return _constant(node)
        if not isinstance(node.target, torch._ops.OpOverload):
            return None
        made = _factory(node, tensor)
        found = made if made is not None else self._moved(node) or self._computed(node)
        return _without_single(found, tensor)

    def _moved(self, node: fx.Node) -> Affine | Conditions | None:
        """Views, copies, casts and gathers: the same function of other indices."""
        source = node.args[0] if node.args else None
        if not isinstance(source, fx.Node) or tensor_of(source) is None:
            return None
        value = self.read(source)
        cast_to = cast_of(node)
        if cast_to is not None:
            return value if _is_bool(source) == _is_bool(node) else _converted(value)
        if value is None:
            return None
        if is_call(node, aten.index.Tensor) and _is_uniform(value):
            # A gather from the same number everywhere gives that number, wherever it looks.
            return tuple(map(_flat, value)) if isinstance(value, tuple) else _flat(value)
        if is_call(node, *_SAME):
            return value
        move = _move(node, self)
        if move is None:
            return None
        moved = [move(each) for each in (value if isinstance(value, tuple) else (value,))]
        if any(each is None for each in moved):
            return None
        return tuple(cast("list[Affine]", moved)) if isinstance(value, tuple) else moved[0]

    def _computed(self, node: fx.Node) -> Affine | Conditions | None:
        """Arithmetic, comparisons and logic."""
        packet = cast(torch._ops.OpOverload, node.target).overloadpacket
        if is_call(node, *_ANDS) and _is_bool(node):
            sides = [self._argument(side) for side in node.args[:2]]
            return sides[0] + sides[1] if all(isinstance(side, tuple) for side in sides) else None  # type: ignore[operator]
        if is_call(node, *_NOTS) and _is_bool(node):
            return negated(self._argument(node.args[0]))
        if packet in (aten.diff, aten.cumsum):
            return self._along(node)
        if packet not in (aten.add, aten.sub, aten.mul, aten.neg, aten.eq, aten.ne, *_COMPARISONS):
            return None
        sides = [_number(self._argument(side)) for side in node.args[:2]]
        if any(side is None for side in sides) or (packet in (aten.add, aten.sub) and bind(node)["alpha"] != 1):
            return None
        left, *rest = cast("list[Affine]", sides)
        if packet is aten.neg:
            return left.times(-1)
        right = rest[0]
        if packet is aten.mul:
            one, factor = (left, right) if isinstance(right.constant, int) and _is_uniform(right) else (right, left)
            scaled = isinstance(factor.constant, int) and _is_uniform(factor)
            return one.times(factor.constant) if scaled else None
        if packet is aten.add:
            return left.plus(right)
        difference = left.plus(right, -1)
        if packet is aten.sub:
            return difference
        if packet in _COMPARISONS:
            return (_COMPARISONS[packet](difference),)
        return _equal(difference, wanted=packet is aten.eq)

    def _argument(self, value: Any) -> Affine | Conditions | None:
        """A tensor, or a number that counts as one."""
        if isinstance(value, fx.Node) and tensor_of(value) is not None:
            return self.read(value)
        size = _size(value)
        return None if size is None else Affine(size, ())

    def _along(self, node: fx.Node) -> Affine | None:
        """``diff`` and ``cumsum``, where they are affine."""
        bound = bind(node)
        value, dim = _number(self.read(bound["self"])), bound["dim"]
        if value is None:
            return None
        if is_call(node, aten.cumsum.default):
            if not _is_uniform(value) or not isinstance(value.constant, int):
                return None
            slopes = [0] * len(_padded(value.slopes, _rank(bound["self"])))
            slopes[dim] = value.constant
            return Affine(value.constant, tuple(slopes))
        slopes = _padded(value.slopes, _rank(bound["self"]))
        step = Affine(slopes[dim], (0,) * len(slopes))
        if bound["n"] != 1 or bound["append"] is not None:
            return None
        if bound["prepend"] is None:
            return step
        before = _number(self.read(bound["prepend"]))
        # The first difference is value[0] - before; it must be the step too.
        first = Affine(value.constant, tuple(0 if at == dim else slope for at, slope in enumerate(slopes)))
        rest = None if before is None else first.plus(before, -1).plus(step, -1)
        one = known(_shape(bound["prepend"])[dim] == 1)
        return step if rest is not None and one and _is_uniform(rest) and known(rest.constant == 0) else None


def _factory(node: fx.Node, tensor: Tensor) -> Affine | Conditions | None:
    packet = cast(torch._ops.OpOverload, node.target).overloadpacket
    if packet is aten.arange:
        bound = bind(node)
        start, step = _size(bound.get("start", 0)), bound.get("step", 1)
        return Affine(start, (step,)) if start is not None and isinstance(step, int) else None
    filled: Any = _FILLED.get(packet)
    if packet in (aten.full, aten.full_like, aten.new_full, aten.scalar_tensor):
        bound = bind(node)
        filled = bound["s"] if packet is aten.scalar_tensor else bound["fill_value"]
    if not isinstance(filled, (bool, int)):
        return None
    if tensor.dtype == torch.bool:
        return () if filled else _FALSE
    return Affine(int(filled), (0,) * tensor.dim())


def _constant(node: fx.Node) -> Affine | Conditions | None:
    """A tensor the graph owns, where it is affine in its indices."""
    value = constant_value(node)
    if value is None or value.numel() == 0:
        return None
    if value.dtype == torch.bool:
        return () if bool(value.all()) else None
    corner = value[(0,) * value.dim()]
    slopes = [int(value.select(d, 1).flatten()[0] - corner) if value.shape[d] > 1 else 0 for d in range(value.dim())]
    rebuilt = corner.expand(value.shape).clone()
    for dim, slope in enumerate(slopes):
        shape = [-1 if at == dim else 1 for at in range(value.dim())]
        rebuilt += slope * torch.arange(value.shape[dim], dtype=value.dtype, device=value.device).view(shape)
    return Affine(int(corner), tuple(slopes)) if torch.equal(rebuilt, value) else None


def _move(node: fx.Node, reader: _Reader) -> Callable[[Affine], Affine | None] | None:
    """What a view does to an affine function of its source's indices."""
    source = cast(fx.Node, node.args[0])
    rank, after = _rank(source), _rank(node)
    permuted = permutation_of(node)
    if permuted is not None:
        return lambda one: Affine(one.constant, tuple(_padded(one.slopes, rank)[dim] for dim in permuted[1]))
    if is_call(node, aten.expand.default, aten.expand_as.default):
        return lambda one: Affine(one.constant, _padded(one.slopes, after))
    if is_call(node, aten.slice.Tensor):
        bound = bind(node)
        start = 0 if bound["start"] is None else _size(bound["start"])
        return _shift(rank, bound["dim"], start, bound["step"])
    if is_call(node, aten.select.int):
        bound = bind(node)
        return _shift(rank, bound["dim"], _size(bound["index"]), None)
    if is_call(node, aten.index.Tensor):
        return _gather(node, reader)
    if reshape_of(node) is not None:
        return _same_but_for_ones(_shape(source), _shape(node))
    return None


def _shift(rank: int, dim: int, start: Size, step: Any) -> Callable[[Affine], Affine | None]:
    """Begin at ``start`` and take every ``step``-th; without a step, take that one and drop the dimension."""

    def move(one: Affine) -> Affine | None:
        slopes = list(_padded(one.slopes, rank))
        slope = slopes[dim]
        if slope and not (start is not None and known(start >= 0)):
            return None
        slopes[dim : dim + 1] = [] if step is None else [slope * step]
        return Affine(one.constant + slope * start if slope else one.constant, tuple(slopes))

    return move


def _gather(node: fx.Node, reader: _Reader) -> Callable[[Affine], Affine | None] | None:
    """``x[i, j, ...]`` with one index tensor for each dimension that x varies along."""
    indices = cast("Sequence[fx.Node | None]", node.args[1])
    source = cast(fx.Node, node.args[0])
    rank, after = _rank(source), _rank(node)
    if len(indices) != rank or any(index is None for index in indices):
        return None

    def move(one: Affine) -> Affine | None:
        found = Affine(one.constant, (0,) * after)
        for slope, index in zip(_padded(one.slopes, rank), indices, strict=True):
            if not slope:
                continue
            at = reader.read(cast(fx.Node, index))
            # Negative positions would count from the end.
            if not isinstance(at, Affine) or not known(_minimum(at, _shape(cast(fx.Node, index))) >= 0):
                return None
            found = found.plus(at.times(slope))
        return found

    return move


def _same_but_for_ones(before: Sequence[Size], after: Sequence[Size]) -> Callable[[Affine], Affine] | None:
    """A reshape that only adds and drops dimensions of size one."""
    kept = [dim for dim, size in enumerate(before) if not known(size == 1)]
    goal = [dim for dim, size in enumerate(after) if not known(size == 1)]
    if len(kept) != len(goal) or not all(known(before[a] == after[b]) for a, b in zip(kept, goal, strict=True)):
        return None

    def move(one: Affine) -> Affine:
        slopes = [0] * len(after)
        for old, new in zip(kept, goal, strict=True):
            slopes[new] = _padded(one.slopes, len(before))[old]
        return Affine(one.constant, tuple(slopes))

    return move


def _equal(difference: Affine, *, wanted: bool) -> Conditions | None:
    """Whether two values that differ by a known number everywhere are equal."""
    if not _is_uniform(difference):
        return None
    if known(difference.constant == 0):
        return () if wanted else _FALSE
    return (_FALSE if wanted else ()) if known(difference.constant != 0) else None


def _number(value: Affine | Conditions | None) -> Affine | None:
    """A value as a number; of booleans, those that are the same everywhere."""
    if not isinstance(value, tuple):
        return value
    if not value:
        return Affine(1, ())
    never = any(_is_uniform(each) and known(each.constant < 0) for each in value)
    return Affine(0, ()) if never else None


def _converted(value: Affine | Conditions | None) -> Affine | Conditions | None:
    """A boolean as a number, or a number as a boolean."""
    if not isinstance(value, Affine):
        return _number(value)
    return _equal(value, wanted=False)


def _flat(value: Affine) -> Affine:
    return Affine(value.constant, ())


def _without_single(value: Affine | Conditions | None, tensor: Tensor) -> Affine | Conditions | None:
    """Drop slopes along dimensions of size one, which may be broadcast later."""
    if isinstance(value, tuple):
        return tuple(cast(Affine, _without_single(each, tensor)) for each in value)
    if value is None:
        return None
    pairs = zip(_padded(value.slopes, tensor.dim()), tensor.shape, strict=True)
    return Affine(value.constant, tuple(0 if known(size == 1) else slope for slope, size in pairs))


def _is_uniform(value: Affine | Conditions) -> bool:
    return all(not any(each.slopes) for each in (value if isinstance(value, tuple) else (value,)))


def _minimum(value: Affine, shape: Sequence[Size]) -> Size:
    pairs = zip(_padded(value.slopes, len(shape)), shape, strict=True)
    return value.constant + sum(slope * (size - 1) for slope, size in pairs if slope < 0)


def _least(bounds: list[Size]) -> Size | None:
    return next((one for one in bounds if all(known(one <= other) for other in bounds)), None)


def _padded(slopes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (0,) * (rank - len(slopes)) + slopes


def _settled(size: Size) -> Size:
    """A SymInt whose expression is a number, as that number."""
    fixed = None if isinstance(size, int) else size.node.maybe_as_int()
    return size if fixed is None else fixed


def _size(value: Any) -> Size | None:
    size = value_of(value) if isinstance(value, fx.Node) else value
    return size if isinstance(size, (int, torch.SymInt)) and not isinstance(size, bool) else None


def _is_indexlike(node: fx.Node) -> bool:
    tensor = tensor_of(node)
    return tensor is not None and tensor.dtype in (torch.bool, torch.int64, torch.int32)


def _is_bool(node: fx.Node) -> bool:
    tensor = tensor_of(node)
    return tensor is not None and tensor.dtype == torch.bool


def _shape(node: fx.Node) -> Sequence[Size]:
    tensor = tensor_of(node)
    assert tensor is not None
    return tensor.shape


def _rank(node: fx.Node) -> int:
    return len(_shape(node))
