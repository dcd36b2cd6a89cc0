"""LayerNorm (arXiv 1607.06450) over the last dimension: ``aten.layer_norm``, or from mean and biased variance."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from ...compiler.calls import CASTS, cast_of
from ...compiler.pattern import Bind, Named, Num, Op
from ...compiler.rules import Example, Match
from .reading import (
    BIAS,
    CENTRED,
    WEIGHT,
    NormRule,
    Reading,
    X,
    dtype_of,
    eps_of,
    eps_outside,
    inputs,
    mean,
    not_over_last,
    scaled,
    shifted_outside,
    spans,
    square,
    under_cast,
)

aten = torch.ops.aten

VARIANCE = (
    mean(square(CENTRED))
    | Op(aten.var.correction, X, Bind("dims"), correction=Bind("correction"), keepdim=Bind("keepdim"))
    | Op(aten.var.dim, X, Bind("dims"), unbiased=Bind("correction"), keepdim=Bind("keepdim"))
)

LAYER = scaled(CENTRED, VARIANCE)
WEIGHTED_LAYER = Op(aten.mul.Tensor, LAYER, WEIGHT)
BIASED_LAYER = Op(aten.add.Tensor, WEIGHTED_LAYER | LAYER, BIAS)
ATEN_LAYER = Named(
    "core",
    Op(aten.layer_norm.default, X, Bind("shape"), Bind("weight"), Bind("bias"), Num("eps"), cudnn_enable=Bind("cudnn")),
)
LAYER_OUTSIDE = shifted_outside(CENTRED, VARIANCE)


class RaiseLayer(NormRule):
    """LayerNorm as ``aten.layer_norm`` or written out, with or without a round trip through a wider dtype."""

    name = "layer_norm"
    site = "layer_norm"
    targets = frozenset({aten.layer_norm.default, aten.add.Tensor, aten.mul.Tensor, aten.div.Tensor, *CASTS})

    def read(self, node: fx.Node) -> Reading:
        """Try the forms from the one with most parts to the bare one."""
        narrowed = cast_of(node)
        below = narrowed[0] if narrowed else node
        forms = (ATEN_LAYER, BIASED_LAYER, WEIGHTED_LAYER, LAYER)
        state = next((found for form in forms if (found := form.first(below)) is not None), None)
        if state is None:
            outside = LAYER_OUTSIDE.first(node)
            return eps_outside(outside) if outside else None
        if (decline := not_over_last(state)) is not None:
            return decline if state.bindings["core"] is node else None
        nodes = state.nodes if narrowed is None else (*state.nodes, node)
        wide, result = dtype_of(state.bindings["core"]), dtype_of(node)
        written_out = "shape" not in state.bindings
        vectors = {name: state.bindings[name] for name in ("weight", "bias") if state.bindings.get(name) is not None}
        for x, compute, casts in inputs(state.bindings["x"]):
            if result != dtype_of(x) or not all(spans(vector, x) for vector in vectors.values()):
                continue
            if (written_out or compute is not None) and any(dtype_of(vector) != wide for vector in vectors.values()):
                continue
            uncast = {name: under_cast(vector, compute) for name, vector in vectors.items()}
            more = tuple(vector for name, vector in vectors.items() if uncast[name] is not vector)
            arguments = {"x": x, **uncast, "eps": eps_of(state), "compute_dtype": compute}
            return Match(node, (*nodes, *casts, *more), arguments, shared=(*casts, *more))
        return None


def _layer(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return F.layer_norm(x, (x.shape[-1],), w, b, 1e-6)


def _wide_layer(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return F.layer_norm(x.float(), (x.shape[-1],), w.float(), b.float(), 1e-6).type_as(x)


def _two_dims(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-2:])


def _written_out(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return w * (centred / torch.sqrt(centred.pow(2).mean(-1, keepdim=True) + 1e-5)) + b


def _with_var(x: Tensor, unbiased: bool = False) -> Tensor:
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=unbiased)
    return (x - mean) * torch.rsqrt(variance + 1e-5)


def _unbiased(x: Tensor) -> Tensor:
    return _with_var(x, unbiased=True)


def _layer_eps_outside(x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True).sqrt() + 1e-5)


_X, _W = "f32[2, 3, 8]", "f32[8]"

RaiseLayer.examples = (
    Example("torch.nn.LayerNorm", _layer, (_X, _W, _W)),
    Example("in fp32 between casts", _wide_layer, (_X, _W, _W)),
    Example("written out with weight and bias", _written_out, (_X, _W, _W)),
    Example("written out with var", _with_var, (_X,)),
    Example("over two dimensions", _two_dims, (_X,), declines="several-dims"),
    Example("variance over D - 1", _unbiased, (_X,), declines="unbiased-variance"),
    Example("eps added to the root", _layer_eps_outside, (_X,), declines="eps-outside-sqrt"),
)
