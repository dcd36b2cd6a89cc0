"""RMSNorm (arXiv 1910.07467): ``x * rsqrt(mean(x^2) + eps)``, written out in many spellings or as ``aten.rms_norm``.

The statistic is in a wider dtype or not; the weight is multiplied after (Llama, T5) or before (Gemma,
``aten.rms_norm``) the cast back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from ...compiler.calls import CASTS, bind, cast_of, is_call
from ...compiler.pattern import Cast, Named, Num, Op, State, Var
from ...compiler.rules import Example, Match
from .reading import (
    CENTRED,
    WEIGHT,
    NormRule,
    Reading,
    X,
    dtype_of,
    eps_of,
    eps_outside,
    inputs,
    is_vector,
    mean,
    not_over_last,
    scaled,
    several_dims,
    shifted_outside,
    spans,
    square,
    under_cast,
)

aten = torch.ops.aten

RMS = scaled(Var("value"), mean(square(X)))
WEIGHTED_RMS = Op(aten.mul.Tensor, Named("operand", Cast(RMS)), WEIGHT)
RMS_OUTSIDE = shifted_outside(Var("value"), mean(square(X)))


class RaiseRms(NormRule):
    """RMSNorm written out."""

    name = "rms_norm"
    site = "rms_norm"
    targets = frozenset({aten.mul.Tensor, aten.div.Tensor, *CASTS})

    def read(self, node: fx.Node) -> Reading:
        """Try the weighted forms, then the bare one."""
        narrowed = cast_of(node)
        below = narrowed[0] if narrowed else node
        state = WEIGHTED_RMS.first(below) or RMS.first(below)
        if state is None or CENTRED.first(state.bindings["x"]) is not None:
            outside = RMS_OUTSIDE.first(node)
            return eps_outside(outside) if outside else None
        if (decline := not_over_last(state)) is not None:
            return decline if state.bindings["core"] is node else None
        if not _is_value(state.bindings["value"], state.bindings["x"]):
            return None
        nodes = state.nodes if narrowed is None else (*state.nodes, node)
        for x, compute, casts in inputs(state.bindings["x"]):
            for arguments, more in self._arguments(node, state, x):
                arguments |= {"x": x, "eps": eps_of(state), "compute_dtype": compute}
                return Match(node, (*nodes, *casts, *more), arguments, shared=(*casts, *more))
        return None

    def _arguments(
        self, node: fx.Node, state: State, x: fx.Node
    ) -> Iterator[tuple[dict[str, Any], tuple[fx.Node, ...]]]:
        """Arguments under which the operator on ``x`` ends in ``node``, and the nodes read to find them."""
        given, wide, result = (dtype_of(n) for n in (x, state.bindings["core"], node))
        scale = state.bindings.get("weight")
        if scale is None:
            if result == given:
                yield {}, ()
            return
        if not spans(scale, x):
            return
        early = dtype_of(state.bindings["operand"]) == wide == torch.promote_types(wide, dtype_of(scale))
        if early and result == given:
            weight, offset, nodes = _offset_weight(scale, wide)
            if offset or wide != given:
                yield {"weight": weight, "weight_offset": offset, "cast": "early"}, nodes
        if dtype_of(state.bindings["operand"]) == given and result == torch.promote_types(given, dtype_of(scale)):
            yield {"weight": scale}, ()


class RaiseAtenRms(NormRule):
    """``aten.rms_norm``, which computes in fp32 and multiplies by the weight before the cast back."""

    name = "rms_norm"
    site = "rms_norm"
    targets = frozenset({aten.rms_norm.default})

    def read(self, node: fx.Node) -> Reading:
        """Read the arguments; an ``eps`` of ``None`` is that of the dtype it computes in."""
        if not is_call(node, aten.rms_norm.default):
            return None
        bound = bind(node)
        if len(bound["normalized_shape"]) != 1:
            return several_dims(bound["normalized_shape"])
        x, weight, eps = bound["input"], bound["weight"], bound["eps"]
        given = dtype_of(x)
        wide = torch.promote_types(given, torch.float32)
        arguments = {"x": x, "weight": weight, "eps": torch.finfo(wide).eps if eps is None else eps}
        if wide != given:
            arguments |= {"compute_dtype": wide} | ({} if weight is None else {"cast": "early"})
        return Match(node, (node,), arguments) if dtype_of(node) == given else None


def _is_value(value: fx.Node, squared: fx.Node) -> bool:
    """Whether ``value`` times the inverse root is what the squared value would give: itself, or its source widened."""
    if value is squared:
        return True
    source = cast_of(squared)
    widened = source is not None and value is source[0] and torch.promote_types(dtype_of(value), source[1]) == source[1]
    return widened or (source is not None and cast_of(value) == source)


def _offset_weight(scale: fx.Node, wide: torch.dtype) -> tuple[fx.Node, float, tuple[fx.Node, ...]]:
    """``scale`` as ``(weight, offset, nodes)`` with ``scale = weight.to(wide) + offset``."""
    state = Op(aten.add.Tensor, Var("weight", is_vector), Num("offset")).first(scale)
    if state is None or dtype_of(state.bindings["weight"]) != wide:
        weight = under_cast(scale, wide)
        return weight, 0.0, () if weight is scale else (scale,)
    vector = state.bindings["weight"]
    weight = under_cast(vector, wide)
    return weight, float(state.bindings["offset"]), (scale,) if weight is vector else (scale, vector)


def _rms(x: Tensor, eps: float = 1e-6) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def _llama(x: Tensor, w: Tensor) -> Tensor:
    return w * _rms(x.float()).to(x.dtype)


def _gemma(x: Tensor, w: Tensor) -> Tensor:
    return (_rms(x.float()) * (1.0 + w.float())).type_as(x)


def _t5(x: Tensor, w: Tensor) -> Tensor:
    variance = x.to(torch.float32).pow(2).mean(-1, keepdim=True)
    return w * (x * torch.rsqrt(variance + 1e-5)).to(w.dtype)


def _reciprocal(x: Tensor, w: Tensor) -> Tensor:
    return (1 / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5)) * x * w


def _divided(x: Tensor, w: Tensor) -> Tensor:
    return x / (x.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt() * w


def _modulated(x: Tensor, scale: Tensor) -> Tensor:
    return _rms(x) * (1 + scale[:, None])


def _rms_eps_outside(x: Tensor) -> Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True).sqrt() + 1e-5)


def _other_dims(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-5)


def _normalised_used(x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    inverse = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
    return x * inverse * w, inverse


def _written_between(x: Tensor) -> Tensor:
    y = x * 1.5
    inverse = torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6)
    y[:, 0].mul_(2)
    return y * inverse


def _aten_rms(x: Tensor, w: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), w)


def _aten_rms_two_dims(x: Tensor) -> Tensor:
    return F.rms_norm(x, x.shape[-2:])


_X, _W = "f32[2, 3, 8]", "f32[8]"

RaiseRms.examples = (
    Example("Llama: weight after the cast back", _llama, (_X, _W)),
    Example("Gemma: weight before the cast back, stored less one", _gemma, (_X, _W)),
    Example("T5: the input is widened by promotion", _t5, (_X, _W)),
    Example("one over the root, square by product", _reciprocal, (_X, _W)),
    Example("divided by the root", _divided, (_X, _W)),
    Example("dynamic length", _llama, ("f32[2, t=5, 7]", "f32[7]")),
    Example("no weight", _rms, (_X,)),
    Example("a scale of another shape stays outside", _modulated, (_X, "f32[2, 8]")),
    Example("eps added to the root", _rms_eps_outside, (_X,), declines="eps-outside-sqrt"),
    Example("over another dimension", _other_dims, (_X,), declines="other-dims"),
    Example("the inverse root is an output too", _normalised_used, (_X, _W), declines="interior-used"),
    Example("the input is written in between", _written_between, (_X,), declines="mutated-between"),
)
RaiseAtenRms.examples = (
    Example("torch.nn.RMSNorm", _aten_rms, (_X, _W)),
    Example("over two dimensions", _aten_rms_two_dims, (_X,), declines="several-dims"),
)
