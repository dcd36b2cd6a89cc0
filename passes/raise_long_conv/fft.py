"""From rfft, multiply, irfft to ``long_conv``: what is convolved, at which lags, and what surrounds it.

The samples of the product are a circular convolution of period n. With Lu samples, Lk taps, f zeros padded in front and
outputs kept from t0 on, tap m is at lag m + f' - t0, and nothing wraps into the kept outputs when
``n + t0 >= f + Lu + Lk - 1`` and ``t0 + kept - 1 - n < f``. Then the convolution is linear; else it stays circular,
which is always right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import fx

from ...compiler.calls import bind, is_call
from ...compiler.ops.registry import accumulation_dtype, known
from ...compiler.program import fake_of, tensor_of
from ...compiler.rewriter import Edit
from ...compiler.rules import Decline, Match, Rule
from .examples import BARE_EXAMPLES, EXAMPLES
from .spectra import (
    FORWARD,
    INVERSE,
    PRODUCTS,
    UNCHANGED,
    Scale,
    Signal,
    Size,
    Term,
    Transform,
    inverse_of,
    replay,
    scaled,
    signal_of,
    terms_of,
    zeros_around,
)
from .surroundings import Surroundings, pre_gate_of, real_part, surroundings

aten = torch.ops.aten


@dataclass(frozen=True)
class Filter:
    """Taps as a signal, and where the term they came from puts them."""

    taps: Signal
    term: Term
    factor: float


@dataclass(frozen=True)
class Lags:
    """A lag map of ``long_conv`` and the filters it takes."""

    name: str
    k: Filter
    k_rev: Filter | None = None
    lag0: int = 0
    circular: bool = False


@dataclass(frozen=True)
class Plan:
    """All the rewrite needs."""

    transform: Transform
    """The inverse one."""
    u: Signal
    term: Term
    """The input's."""
    lags: Lags
    around: Surroundings
    gated: bool
    """Whether u is a product whose factors become u and pre_gate."""


def read(node: fx.Node, *, bare: bool = False) -> tuple[Plan, tuple[fx.Node, ...]] | Decline | None:
    """The convolution that ends in an inverse transform and the calls it replaces; ``bare`` without skip and gates."""
    inverse = inverse_of(node)
    if inverse is None or not _from_forward(inverse.source):
        return None
    real = node if inverse.one_sided else real_part(node)
    factors = _factors(inverse.source)
    if isinstance(factors, Decline):
        return factors
    left, right, scale, nodes = factors
    if real is None:
        return Decline("complex-output", "the result of the inverse transform is used as a complex value", nearness=2)
    roles = _roles(left, right, tensor_of(node))
    if isinstance(roles, Decline):
        return roles
    input_term, filter_terms = roles
    reason = _unfit(inverse, (input_term, *filter_terms), tensor_of(node))
    if reason is not None:
        return reason
    u = signal_of(input_term.transform.source, input_term.transform.dim)
    around = surroundings(real, inverse, u, input_term, bare=bare)
    total = scale * inverse.scale * input_term.scale
    lags = _lags(inverse, u, filter_terms, total, around)
    if isinstance(lags, Decline):
        return lags
    product = None if bare else pre_gate_of(u, input_term, around)
    plan = Plan(inverse, u, input_term, lags, around, product is not None)
    filters = [lags.k, *([lags.k_rev] if lags.k_rev else [])]
    inner = [
        *([product] if product else []),
        *u.nodes,
        *input_term.nodes,
        *(n for f in filters for n in (*f.taps.nodes, *f.term.nodes)),
        *nodes,
    ]
    return plan, tuple(dict.fromkeys((*inner, node, *around.nodes)))


def build(plan: Plan, edit: Edit) -> fx.Node:
    """Insert the ``long_conv`` of a plan; returns the value for its root."""
    dim, lags, around = plan.transform.dim, plan.lags, plan.around
    result = fake_of(around.root)
    kept, compute = result.shape[dim], fake_of(around.samples).dtype

    u: Any = plan.u.node
    pre: Any = None
    if plan.gated:
        u, pre = u.args[0], u.args[1]
    elif fake_of(u).dtype != result.dtype:
        u = edit.call(aten.to.dtype, u, compute)
    if not known(plan.u.length <= plan.term.transform.size):
        u = edit.call(aten.slice.Tensor, u, fake_of(u).dim() + plan.term.transform.dim, 0, plan.term.transform.size)
    length = fake_of(u).shape[plan.term.transform.dim]
    if not known(kept <= length):
        at = -plan.term.transform.dim - 1
        u = edit.call(aten.constant_pad_nd.default, u, [0, 0] * at + [0, kept - length])
    u = _time_last(edit, replay(edit, plan.term.views, u, plan.term.transform.dim), dim)
    pre = None if pre is None else _time_last(edit, pre, dim)

    k, k_rev = (None if f is None else _taps(edit, f, compute) for f in (lags.k, lags.k_rev))
    skip = None if around.skip is None else _per_channel(edit, around.skip, result.dim(), dim)
    gate = None if around.gate is None else _time_last(edit, around.gate, dim)
    options: dict[str, Any] = {} if lags.name == "causal" else {"lags": lags.name}
    if lags.circular or isinstance(plan.transform.argument, fx.Node):
        options["fft_size"] = plan.transform.argument
    if lags.lag0:
        options["lag0"] = lags.lag0
    x = fake_of(u).dtype if pre is None else torch.promote_types(fake_of(u).dtype, fake_of(pre).dtype)
    if accumulation_dtype([x, fake_of(k).dtype]) != compute:
        options["compute_dtype"] = compute
    trailing = [k_rev, pre, gate]
    while trailing and trailing[-1] is None:
        trailing.pop()
    args = (skip, *trailing) if trailing or skip is not None else ()
    y = edit.call(torch.ops.regraft.long_conv.default, u, k, *args, **options)
    y = _time_last(edit, y, dim)
    if not known(fake_of(y).shape[dim] == kept):
        y = edit.call(aten.slice.Tensor, y, fake_of(y).dim() + dim, 0, kept)
    return y


def _from_forward(node: Any, depth: int = 8) -> bool:
    """Whether a spectrum is computed from a forward transform, within a few calls."""
    if not isinstance(node, fx.Node) or depth == 0:
        return False
    return is_call(node, *FORWARD) or any(_from_forward(source, depth - 1) for source in node.all_input_nodes)


def _factors(node: Any) -> tuple[tuple[Term, ...], tuple[Term, ...], Scale, list[fx.Node]] | Decline:
    """The two spectra that are multiplied, the scale of the product, and the calls between."""
    scale, nodes = Scale(), []
    while True:
        found = scaled(node) or ((node.args[0], Scale()) if is_call(node, *UNCHANGED) else None)
        if found is None:
            break
        nodes.append(node)
        node, scale = found[0], scale * found[1]
    if not is_call(node, *PRODUCTS):
        if is_call(node, aten.add.Tensor, aten.sub.Tensor):
            return _sum_of_products(node)
        return Decline("spectrum-unknown", f"{node.name} is not a product of two spectra")
    left, right = terms_of(node.args[0]), terms_of(node.args[1])
    if left is None or right is None:
        other = node.args[0] if left is None else node.args[1]
        return Decline("filter-not-transformed", f"{other} is not the transform of a filter", nearness=2)
    return left, right, scale, [*nodes, node]


def _sum_of_products(node: fx.Node) -> Decline:
    parts = [terms_of(arg) for each in node.all_input_nodes if is_call(each, *PRODUCTS) for arg in each.args[:2]]
    signals = [(term.transform.source, term.conjugated) for terms in parts for term in terms or ()]
    if any((source, not conjugated) in signals for source, conjugated in signals):
        return Decline(
            "conjugate-of-input",
            "one spectrum enters both as it is and conjugated: the result is no convolution of its signal",
            nearness=3,
        )
    return Decline("spectrum-unknown", f"{node.name} adds products of spectra", nearness=1)


def _roles(left: tuple[Term, ...], right: tuple[Term, ...], output: Any) -> tuple[Term, tuple[Term, ...]] | Decline:
    """The input's term and the filter's: the filter is the one that is conjugated, a sum, or has fewer dimensions."""
    for signal, taps in ((left, right), (right, left)):
        plain = not any(term.conjugated for term in signal)
        if len(signal) == 1 and plain and (len(taps) > 1 or any(term.conjugated for term in taps)):
            return _spanning(signal[0], taps, output)
    if any(term.conjugated for term in (*left, *right)) or len(left) + len(right) > 2:
        return Decline("conjugate-of-input", "neither spectrum is that of a plain signal", nearness=2)
    first, second = (_spanning(a[0], b, output) for a, b in ((left, right), (right, left)))
    return second if isinstance(first, Decline) and not isinstance(second, Decline) else first


def _spanning(signal: Term, taps: tuple[Term, ...], output: Any) -> tuple[Term, tuple[Term, ...]] | Decline:
    seen = fake_of(signal.nodes[-1])
    dims = [dim for dim in range(-output.dim(), 0) if dim != signal.dim]
    if seen.dim() != output.dim() or not all(known(seen.shape[dim] == output.shape[dim]) for dim in dims):
        return Decline(
            "input-broadcast",
            "neither signal has the shape of the result, so one of them is repeated for many filters",
            unblock="expand the input before its transform",
            nearness=2,
        )
    return signal, taps


def _unfit(inverse: Transform, terms: tuple[Term, ...], output: Any) -> Decline | None:
    """Why the transforms do not belong together, if they do not."""
    for term in terms:
        if not known(term.transform.size == inverse.size):
            sizes = f"{term.transform.size} and {inverse.size} points"
            return Decline("sizes-differ", f"the transforms have {sizes}", unblock="give irfft its n", nearness=3)
        if term.dim != inverse.dim:
            return Decline("dims-differ", "the transforms are along different dimensions", nearness=3)
        if fake_of(term.transform.source).is_complex():
            return Decline("complex-input", f"{term.transform.source.name} is complex", nearness=3)
        if term.one_sided and not inverse.one_sided:
            return Decline("sizes-differ", "a one-sided spectrum is read as a full one", nearness=3)
    if output.dim() < 2:
        return Decline("no-channels", "the signal has no dimension of channels", nearness=3)
    return None


def _lags(inverse: Transform, u: Signal, terms: tuple[Term, ...], scale: Scale, around: Surroundings) -> Lags | Decline:
    """The lag map; linear only where that is proved."""
    n, start = inverse.size, around.start
    kept = fake_of(around.root).shape[inverse.dim]
    filters: list[Filter] = []
    for term in terms:
        factor = (scale * term.scale).value(n)
        if factor is None:
            return Decline("length-dynamic", "the scale depends on a symbolic size", nearness=4)
        taps = signal_of(term.transform.source, term.transform.dim)
        filters.append(Filter(taps, term, factor))
    for signal in (u, *(f.taps for f in filters)):
        cut = not known(signal.front + signal.length <= n)
        if cut and (signal.front or not isinstance(n, int) or not isinstance(signal.length, int)):
            return Decline("input-truncated", "the transform may cut off padded samples", nearness=4)
    if not known(kept <= u.length) and not (isinstance(kept, int) and isinstance(u.length, int)):
        return Decline("length-dynamic", "more samples are kept than the input has, by a symbolic number", nearness=4)
    two_sided = _two_sided(n, start, kept, u, filters)
    if two_sided is not None:
        return two_sided
    k = filters[0]
    lag0 = start - u.front - k.taps.front
    wraps = not known(n + lag0 >= u.length + k.taps.length - 1) or not known(n > lag0 + kept - 1)
    if wraps or not known(kept <= u.length) or not known(k.taps.length <= n):
        if inverse.argument is None:
            return Decline("length-dynamic", "a circular convolution of a symbolic period not spelled out", nearness=4)
        return Lags("circular", k, lag0=lag0, circular=True)
    return Lags("taps", k, lag0=lag0) if lag0 else Lags("causal", k)


def _two_sided(n: Size, start: int, kept: Size, u: Signal, filters: list[Filter]) -> Lags | Decline | None:
    """The lag maps with taps at negative lags, from conjugated spectra and from filters padded on the left."""
    ahead = [f for f in filters if not f.term.conjugated]
    behind = [f for f in filters if f.term.conjugated]
    plain = start == 0 and not any(signal.front for signal in (u, *(f.taps for f in filters)))
    fits = plain and known(kept <= u.length)
    if len(ahead) == 1 and not behind:
        return _split(n, kept, u, ahead[0]) if fits else None
    if len(ahead) > 1 or len(behind) != 1:
        return Decline("spectrum-unknown", f"the filter is a sum of {len(filters)} spectra", nearness=3)
    fits = fits and known(n >= kept + behind[0].taps.length - 1) and known(n >= u.length)
    if ahead:
        fits = fits and known(n >= u.length + ahead[0].taps.length - 1)
    if not fits:
        return Decline("wraps-two-sided", "taps at negative lags wrap around into the result", nearness=4)
    return Lags("bidirectional_shared", ahead[0], behind[0]) if ahead else Lags("anticausal", behind[0])


def _split(n: Size, kept: Size, u: Signal, whole: Filter) -> Lags | None:
    """``pad(k, (0, q)) + pad(flip(k_rev), (p, 0))``, if the filter is that and nothing wraps around."""
    if not is_call(whole.taps.node, aten.add.Tensor) or bind(whole.taps.node)["alpha"] != 1:
        return None
    if not known(whole.taps.length == n):
        return None
    dim = whole.term.transform.dim
    for first, second in (whole.taps.node.args, reversed(whole.taps.node.args)):
        ahead, behind = zeros_around(first, dim), zeros_around(second, dim)
        if ahead is None or behind is None or ahead[1] or not known(behind[2] == 0):
            continue
        flip = behind[0]
        if not is_call(flip, aten.flip.default) or bind(flip)["dims"] != [fake_of(flip).dim() + dim]:
            continue
        k, k_rev = (Signal(s, fake_of(s).shape[dim], 0, ()) for s in (ahead[0], bind(flip)["self"]))
        nodes = (whole.taps.node, first, second, flip)
        if known(n >= u.length + k.length - 1) and known(n >= kept + k_rev.length):
            forward = replace(whole, taps=replace(k, nodes=nodes))
            return Lags("bidirectional_offset", forward, replace(whole, taps=k_rev))
    return None


def _taps(edit: Edit, chosen: Filter, dtype: torch.dtype) -> fx.Node:
    """A filter at its scale, multiplied in the dtype of the transforms."""
    term = chosen.term
    k = replay(edit, term.views, chosen.taps.node, term.transform.dim)
    k = _time_last(edit, k, term.dim)
    if chosen.factor == 1.0:
        return k
    if fake_of(k).dtype != dtype:
        k = edit.call(aten.to.dtype, k, dtype)
    return edit.call(aten.mul.Tensor, k, chosen.factor)


def _per_channel(edit: Edit, factor: Any, rank: int, dim: int) -> Any:
    """A factor that broadcasts over time, without its time dimension."""
    if dim == -1 and is_call(factor, aten.unsqueeze.default) and bind(factor)["dim"] == fake_of(factor).dim() - 1:
        return factor.args[0]
    shape = [1] * (rank - fake_of(factor).dim()) + list(fake_of(factor).shape)
    shape[dim], shape[-1] = shape[-1], shape[dim]
    shape = shape[:-1]
    while len(shape) > 1 and known(shape[0] == 1):
        shape.pop(0)
    return edit.call(aten.reshape.default, factor, shape)


def _time_last(edit: Edit, node: fx.Node, dim: int) -> fx.Node:
    """``node`` with dimension ``dim`` (from the end) and the last exchanged."""
    return node if dim == -1 else edit.call(aten.transpose.int, node, dim, -1)


class FftConv(Rule):
    """rfft, multiply, irfft, with the skip and the gates around them."""

    name = "fft-conv"
    bare: ClassVar[bool] = False
    targets = frozenset(INVERSE)
    site = "long_conv"
    shared_interior = True
    examples = EXAMPLES

    def match(self, node: fx.Node) -> Match | Decline | None:
        """Read the convolution and plan its replacement."""
        found = read(node, bare=self.bare)
        if not isinstance(found, tuple):
            return found
        plan, nodes = found
        return Match(plan.around.root, nodes, {"plan": plan})

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """One long_conv."""
        return build(match["plan"], edit)

    def describe(self, match: Match) -> str:
        """The lag map and what was taken in."""
        plan = match["plan"]
        with_ = [("skip", plan.around.skip), ("pre-gate", plan.gated), ("post-gate", plan.around.gate)]
        taken = ", ".join(name for name, present in with_ if present)
        return f"{plan.lags.name} convolution by {plan.transform.size}-point FFT" + (f" with {taken}" if taken else "")


class BareFftConv(FftConv):
    """The same without skip and gates, for where a value is written in place between them."""

    name = "fft-conv-bare"
    bare = True
    examples = BARE_EXAMPLES
