"""Reading the frequency domain of a graph: which signals a spectrum is made of, at which scale.

A filter's spectrum is written in many ways: divided by n before or after, normalised by either transform, conjugated,
one-sided or cut from a full one, with dimensions added for broadcasting. :func:`terms_of` reads them all as a sum of
:class:`Term`, each ``scale * F(signal)`` or its conjugate; :func:`signal_of` reads the samples under pads and casts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx

from ...compiler.calls import bind, cast_of, is_call, number, permutation_of
from ...compiler.ops.registry import known
from ...compiler.program import fake_of, tensor_of, value_of

aten = torch.ops.aten

Size = Any
"""An int or a SymInt."""

FORWARD = (aten.fft_rfft.default, aten.fft_fft.default)
INVERSE = (aten.fft_irfft.default, aten.fft_ifft.default)
CONJUGATES = (aten._conj.default, aten.conj.default, aten.conj_physical.default, aten._conj_physical.default)
UNCHANGED = (aten.contiguous.default, aten.clone.default, aten.resolve_conj.default, aten.alias.default)
PRODUCTS = (aten.mul.Tensor, aten.mul.Scalar)
QUOTIENTS = (aten.div.Tensor, aten.div.Scalar)
PADS = (aten.pad.default, aten.constant_pad_nd.default)

# Powers of sqrt(n), counted from the pair (1, 1/n) that torch.fft takes when no norm is named.
_FORWARD_POWERS = {None: 0, "backward": 0, "ortho": -1, "forward": -2}
_INVERSE_POWERS = {None: 0, "backward": 0, "ortho": 1, "forward": 2}


@dataclass(frozen=True)
class Scale:
    """``constant * n ** (power / 2) / prod(divisors)`` for a transform of size n."""

    constant: float = 1.0
    power: int = 0
    divisors: tuple[Size, ...] = ()
    """Symbolic sizes."""

    def __mul__(self, other: Scale) -> Scale:
        """The product of both."""
        return Scale(self.constant * other.constant, self.power + other.power, self.divisors + other.divisors)

    def value(self, size: Size) -> float | None:
        """As a number, exactly 1.0 where it is 1 up to rounding; ``None`` when it depends on a symbolic size."""
        power = self.power - 2 * len(self.divisors)
        if not all(known(divisor == size) for divisor in self.divisors) or (power and not isinstance(size, int)):
            return None
        scale = self.constant * size ** (power / 2) if power else self.constant
        return 1.0 if abs(scale - 1) < 1e-12 else scale


@dataclass(frozen=True)
class Transform:
    """A call of torch.fft along one dimension: of ``source``, at ``size`` points."""

    source: fx.Node
    dim: int
    """Counted from the end."""
    size: Size
    argument: Any
    """The size as an argument: an int or a node; ``None`` for a symbolic size that the call did not spell out."""
    one_sided: bool
    scale: Scale


@dataclass(frozen=True)
class Term:
    """``scale * F(source)``, conjugated or not, under ``views``."""

    transform: Transform
    dim: int
    """The frequency dimension under the views, counted from the end."""
    one_sided: bool
    scale: Scale
    conjugated: bool = False
    views: tuple[fx.Node, ...] = ()
    """Calls to replay on the samples, innermost first."""
    nodes: tuple[fx.Node, ...] = ()


@dataclass(frozen=True)
class Signal:
    """Samples under casts and zero padding."""

    node: fx.Node
    length: Size
    front: int = 0
    """Zeros before the first sample."""
    nodes: tuple[fx.Node, ...] = ()


def forward_of(node: Any) -> Transform | None:
    """A transform into the frequency domain."""
    return _transform(node, _FORWARD_POWERS) if is_call(node, *FORWARD) else None


def inverse_of(node: Any) -> Transform | None:
    """A transform back; ``one_sided`` when it takes half a spectrum and gives real samples."""
    return _transform(node, _INVERSE_POWERS) if is_call(node, *INVERSE) else None


def terms_of(node: Any) -> tuple[Term, ...] | None:
    """The sum of transforms a spectrum is, or ``None`` for anything else."""
    transform = forward_of(node)
    if transform is not None:
        return (Term(transform, transform.dim, transform.one_sided, transform.scale, nodes=(node,)),)
    if not is_call(node):
        return None
    if node.target in (aten.add.Tensor, aten.sub.Tensor):
        return _sum(node)
    source, factor = scaled(node) or (node.args[0] if node.args else None, None)
    terms = terms_of(source)
    if terms is None:
        return None
    read = [_under(term, node) if factor is None else replace(term, scale=term.scale * factor) for term in terms]
    return None if None in read else tuple(replace(term, nodes=(*term.nodes, node)) for term in read if term)


def scaled(node: Any) -> tuple[Any, Scale] | None:
    """``(source, factor)`` of a spectrum times or over a number, or over a symbolic size."""
    if is_call(node, aten.neg.default):
        return node.args[0], Scale(-1.0)
    if not is_call(node, *PRODUCTS, *QUOTIENTS):
        return None
    source, factor = node.args[:2]
    divides = node.target in QUOTIENTS
    if not divides and tensor_of(source) is None:
        source, factor = factor, source
    if tensor_of(source) is None:
        return None
    constant = number(factor)
    if constant is not None:
        return source, Scale(1 / constant if divides else constant)
    size = value_of(factor) if isinstance(factor, fx.Node) else None
    return (source, Scale(divisors=(size,))) if divides and isinstance(size, torch.SymInt) else None


def signal_of(samples: fx.Node, dim: int) -> Signal:
    """The samples along ``dim`` (from the end) under widening casts, copies and zero padding along that dimension."""
    signal = Signal(samples, _length(samples, dim))
    while True:
        node: Any = signal.node
        front = 0
        cast_to = cast_of(node)
        if cast_to is not None and widens(cast_to[0], node):
            source: Any = cast_to[0]
        elif is_call(node, *UNCHANGED):
            source = node.args[0]
        elif (padded := zeros_around(node, dim)) is not None:
            source, front, _ = padded
        else:
            return signal
        signal = Signal(source, _length(source, dim), signal.front + front, (*signal.nodes, node))


def zeros_around(node: Any, dim: int) -> tuple[fx.Node, int, Size] | None:
    """``(source, zeros before, zeros after)`` of a constant zero padding along ``dim`` alone; before is static."""
    if not is_call(node, *PADS):
        return None
    bound = bind(node)
    pads = [value_of(p) if isinstance(p, fx.Node) else p for p in bound["pad"]]
    at = 2 * (-dim - 1)
    others = [pad for i, pad in enumerate(pads) if i not in (at, at + 1)]
    zero = bound.get("mode", "constant") == "constant" and not bound["value"]
    if not zero or len(pads) <= at or any(not isinstance(pad, int) or pad for pad in others):
        return None
    front, back = pads[at], pads[at + 1]
    if not isinstance(front, int) or front < 0 or not known(back >= 0):
        return None
    return bound["self"], front, back


def widens(source: Any, node: Any) -> bool:
    """Whether a cast between floating dtypes keeps every value."""
    before, after = tensor_of(source), tensor_of(node)
    if before is None or after is None or not (before.is_floating_point() and after.is_floating_point()):
        return False
    return torch.promote_types(before.dtype, after.dtype) == after.dtype


def same_shape(left: Any, right: Any) -> bool:
    """Whether two nodes have tensors of one shape, for certain."""
    a, b = tensor_of(left), tensor_of(right)
    if a is None or b is None or a.dim() != b.dim():
        return False
    return all(known(i == j) for i, j in zip(a.shape, b.shape, strict=True))


def _transform(node: fx.Node, powers: dict[str | None, int]) -> Transform | None:
    bound = bind(node)
    source, after = tensor_of(bound["self"]), tensor_of(node)
    if source is None or after is None or bound["norm"] not in powers:
        return None
    dim = bound["dim"] - after.dim()
    one_sided = node.target in (aten.fft_rfft.default, aten.fft_irfft.default)
    argument = bound["n"]
    if argument is None:
        halved = node.target is aten.fft_irfft.default
        argument = 2 * (source.shape[dim] - 1) if halved else source.shape[dim]
    size = value_of(argument) if isinstance(argument, fx.Node) else argument
    spelled = argument if isinstance(argument, (int, fx.Node)) else None
    return Transform(bound["self"], dim, size, spelled, one_sided, Scale(power=powers[bound["norm"]]))


def _sum(node: fx.Node) -> tuple[Term, ...] | None:
    bound = bind(node)
    left, right = terms_of(bound["self"]), terms_of(bound["other"])
    if left is None or right is None or bound["alpha"] != 1:
        return None
    if fake_of(bound["self"]).dim() != fake_of(bound["other"]).dim():
        return None
    sign = Scale(-1.0 if node.target is aten.sub.Tensor else 1.0)
    right = tuple(replace(term, scale=term.scale * sign) for term in right)
    return tuple(replace(term, nodes=(*term.nodes, node)) for term in (*left, *right))


def _under(term: Term, node: fx.Node) -> Term | None:
    """A term of ``node``'s operand as a term of ``node``, which conjugates, copies, halves or views it."""
    if node.target in CONJUGATES:
        return replace(term, conjugated=not term.conjugated)
    if node.target in UNCHANGED or _is_no_cast(node):
        return term
    if node.target is aten.slice.Tensor:
        return _half(term, node)
    dim = _dim_under(node, term.dim)
    return None if dim is None else replace(term, dim=dim, views=(*term.views, node))


def _is_no_cast(node: Any) -> bool:
    return cast_of(node) is not None and fake_of(node).dtype == fake_of(node.args[0]).dtype


def _half(term: Term, node: fx.Node) -> Term | None:
    """The first n // 2 + 1 bins of a full spectrum: those of the real transform."""
    if term.one_sided or cut_of(node, term.dim) != 0:
        return None
    half = known(_length(node, term.dim) == term.transform.size // 2 + 1)
    return replace(term, one_sided=True) if half else None


def cut_of(node: fx.Node, dim: int) -> int | None:
    """The static start of a slice with step 1 along ``dim`` (from the end); ``None`` for any other."""
    bound = bind(node)
    rank = fake_of(node).dim()
    start = bound["start"] or 0
    if bound["dim"] - rank != dim or bound["step"] != 1 or not isinstance(start, int) or start < 0:
        return None
    return start


def _dim_under(node: fx.Node, dim: int) -> int | None:
    """Where a view moves a dimension, both counted from the end; ``None`` if it is not a view that keeps it whole."""
    before, after = tensor_of(node.args[0]) if node.args else None, tensor_of(node)
    if before is None or after is None:
        return None
    at = before.dim() + dim
    if (permuted := permutation_of(node)) is not None:
        return permuted[1].index(at) - after.dim()
    if node.target is aten.unsqueeze.default:
        return at + (bind(node)["dim"] <= at) - after.dim()
    if node.target is aten.squeeze.dim and bind(node)["dim"] != at and after.dim() < before.dim():
        return at - (bind(node)["dim"] < at) - after.dim()
    if node.target is aten.expand.default:
        return dim
    return None


def replay(edit: Any, views: Sequence[fx.Node], samples: fx.Node, dim: int) -> fx.Node:
    """The views of a spectrum, on samples whose time dimension is ``dim`` (from the end)."""
    for view in views:
        if view.target is aten.expand.default:
            sizes = list(bind(view)["size"])
            sizes[dim] = -1
            samples = edit.call(aten.expand.default, samples, sizes)
        else:
            samples = edit.call(view.target, samples, *view.args[1:], **view.kwargs)
        moved = _dim_under(view, dim)
        assert moved is not None
        dim = moved
    return samples


def _length(node: fx.Node, dim: int) -> Size:
    return fake_of(node).shape[dim]
