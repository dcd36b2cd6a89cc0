"""Patterns over canonical calls.

>>> x, w = Var("x"), Var("w")
>>> normalised = Op(aten.mul.Tensor, x, Op(aten.rsqrt.default, Op(aten.add.Tensor, variance, Num("eps"))))
>>> rms = Op(aten.mul.Tensor, Cast(normalised) | normalised, w)

``Op`` binds arguments by schema: those it does not mention must have their default value. Two-operand commutative
operators are tried in both orders. A variable used twice must bind the same value. Matching backtracks, and yields the
first way to match.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from .calls import bind, cast_of, parameters, permutation_of, reshape_of

aten = torch.ops.aten

COMMUTATIVE = {
    aten.add.Tensor,
    aten.mul.Tensor,
    aten.logical_and.default,
    aten.bitwise_and.Tensor,
    aten.maximum.default,
    aten.minimum.default,
}


@dataclass(frozen=True)
class State:
    """What a partial match has bound, and the calls it has gone through."""

    bindings: Mapping[str, Any]
    nodes: tuple[fx.Node, ...]

    def bind(self, name: str, value: Any) -> State | None:
        """With ``name`` bound, or ``None`` when it already means something else."""
        if name in self.bindings:
            held = self.bindings[name]
            same = held is value if isinstance(held, fx.Node) or isinstance(value, fx.Node) else held == value
            return self if same else None
        return State({**self.bindings, name: value}, self.nodes)

    def through(self, node: fx.Node) -> State:
        """With ``node`` among the matched calls."""
        return self if node in self.nodes else State(self.bindings, (*self.nodes, node))


class Pattern(ABC):
    """Something that matches a value in every way it can."""

    @abstractmethod
    def matches(self, value: Any, state: State) -> Iterator[State]:
        """Every extension of ``state`` under which ``value`` matches."""

    def first(self, value: Any) -> State | None:
        """The first match from nothing bound."""
        return next(self.matches(value, State({}, ())), None)

    def roots(self) -> frozenset[Any]:
        """Call targets the matched node may have; empty means any."""
        return frozenset()

    def __or__(self, other: Pattern) -> Pattern:
        """Either pattern, the left one first."""
        return AnyOf((self, other))


@dataclass(frozen=True)
class Var(Pattern):
    """Any node, bound to ``name``; ``where`` may refuse it."""

    name: str
    where: Callable[[fx.Node], bool] | None = None

    def matches(self, value: Any, state: State) -> Iterator[State]:
        """Bind a node."""
        if isinstance(value, fx.Node) and (self.where is None or self.where(value)):
            bound = state.bind(self.name, value)
            if bound is not None:
                yield bound


@dataclass(frozen=True)
class Num(Pattern):
    """A Python number, bound to ``name``."""

    name: str

    def matches(self, value: Any, state: State) -> Iterator[State]:
        """Bind a number, not a node and not a bool."""
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            bound = state.bind(self.name, value)
            if bound is not None:
                yield bound


@dataclass(frozen=True)
class Bind(Pattern):
    """Anything at all, a node, a literal or a list, bound to ``name``."""

    name: str

    def matches(self, value: Any, state: State) -> Iterator[State]:
        """Bind the value."""
        bound = state.bind(self.name, value)
        if bound is not None:
            yield bound


@dataclass(frozen=True)
class Named(Pattern):
    """``pattern``, with the matched node bound to ``name``."""

    name: str
    pattern: Pattern

    def matches(self, value: Any, state: State) -> Iterator[State]:
        """Match, then bind."""
        for matched in self.pattern.matches(value, state):
            bound = matched.bind(self.name, value)
            if bound is not None:
                yield bound

    def roots(self) -> frozenset[Any]:
        """Those of the inner pattern."""
        return self.pattern.roots()


class Op(Pattern):
    """A call of one of several operators with these arguments."""

    def __init__(self, target: Any, *args: Any, **kwargs: Any) -> None:
        """``target`` is one OpOverload or a tuple of them; arguments are patterns or literals, by position or name."""
        self.targets: tuple[Any, ...] = target if isinstance(target, tuple) else (target,)
        self.args, self.kwargs = args, kwargs

    def roots(self) -> frozenset[Any]:
        """The targets."""
        return frozenset(self.targets)

    def matches(self, value: Any, state: State) -> Iterator[State]:
        """Match the call, then its arguments from left to right."""
        if not isinstance(value, fx.Node) or value.op != "call_function" or value.target not in self.targets:
            return
        names = [name for name, *_ in parameters(value.target)]
        wanted: dict[str, Any] = {**dict(zip(names, self.args, strict=False)), **self.kwargs}
        bound = bind(value)
        for name, default, has_default, _ in parameters(value.target):
            if name not in wanted and not (has_default and bound[name] == default):
                return
        orders = [list(wanted)]
        if value.target in COMMUTATIVE and len(names) >= 2:
            swapped = {names[0]: names[1], names[1]: names[0]}
            orders.append([swapped.get(name, name) for name in wanted])
        for order in orders:
            pairs = [(pattern, bound[name]) for pattern, name in zip(wanted.values(), order, strict=True)]
            yield from _all(pairs, state.through(value))


@dataclass(frozen=True)
class AnyOf(Pattern):
    """The first alternative that leads to a whole match."""

    alternatives: tuple[Pattern, ...]

    def matches(self, value: Any, state: State) -> Iterator[State]:
        """Every way of every alternative, in order."""
        for alternative in self.alternatives:
            yield from alternative.matches(value, state)

    def roots(self) -> frozenset[Any]:
        """All targets, or none when one alternative takes any."""
        each = [alternative.roots() for alternative in self.alternatives]
        return frozenset[Any]().union(*each) if all(each) else frozenset()


@dataclass(frozen=True)
class Cast(Pattern):
    """``pattern`` under any number of dtype casts, none included."""

    pattern: Pattern

    def matches(self, value: Any, state: State) -> Iterator[State]:
        """Look through casts, the deepest last."""
        yield from self.pattern.matches(value, state)
        stripped = cast_of(value)
        if stripped is not None:
            yield from self.matches(stripped[0], state.through(value))


@dataclass(frozen=True)
class Permute(Pattern):
    """``pattern`` under exactly this permutation of dimensions, however spelled."""

    order: tuple[int, ...]
    pattern: Pattern

    def matches(self, value: Any, state: State) -> Iterator[State]:
        """Match the permuted source."""
        permuted = permutation_of(value)
        if permuted is not None and permuted[1] == self.order:
            yield from self.pattern.matches(permuted[0], state.through(value))


@dataclass(frozen=True)
class Reshape(Pattern):
    """``pattern`` under any number of changes of shape, none included."""

    pattern: Pattern

    def matches(self, value: Any, state: State) -> Iterator[State]:
        """Look through reshapes."""
        yield from self.pattern.matches(value, state)
        reshaped = reshape_of(value)
        if reshaped is not None:
            yield from self.matches(reshaped[0], state.through(value))


def _all(pairs: list[tuple[Any, Any]], state: State) -> Iterator[State]:
    if not pairs:
        yield state
        return
    (pattern, value), rest = pairs[0], pairs[1:]
    if isinstance(pattern, Pattern):
        for matched in pattern.matches(value, state):
            yield from _all(rest, matched)
    elif not isinstance(value, fx.Node) and value == pattern:
        yield from _all(rest, state)
