"""Recognise RMSNorm and LayerNorm over the last dimension, written out or as ATen operators.

RMSNorm (arXiv 1910.07467) comes as ``x * rsqrt(mean(x^2) + eps)`` in many spellings of the square, the inverse root and
the operand order, with the statistic in a wider dtype or not, times a weight after (Llama, T5) or before (Gemma,
``aten.rms_norm``) the cast back. LayerNorm (arXiv 1607.06450) comes as ``aten.layer_norm`` or from mean and biased
variance. The largest reading at a place wins: a weight and a cast that belong to the norm are taken with it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from ..compiler.calls import CASTS, bind, cast_of, is_call
from ..compiler.ops import OPS
from ..compiler.passes import Numerics
from ..compiler.pattern import Bind, Cast, Named, Num, Op, Pattern, State, Var
from ..compiler.program import tensor_of
from ..compiler.rewriter import Edit
from ..compiler.rules import Decline, Example, Match, Rule, RulePass

aten = torch.ops.aten

Reading = Match | Decline | None


def _square(value: Pattern) -> Pattern:
    return Op(aten.pow.Tensor_Scalar, value, 2) | Op(aten.mul.Tensor, value, value) | Op(aten.square.default, value)


def _mean(value: Pattern) -> Pattern:
    return Op(aten.mean.dim, value, Bind("dims"), Bind("keepdim"))


def _root(value: Pattern) -> Pattern:
    return Op(aten.sqrt.default, value) | Op(aten.pow.Tensor_Scalar, value, 0.5)


def _scaled(value: Pattern, variance: Pattern) -> Pattern:
    """``value / sqrt(variance + eps)``, bound as ``core``; without an addition no ``eps`` is bound."""
    shifted = Op(aten.add.Tensor, variance, Num("eps")) | variance
    reciprocal = Op(aten.reciprocal.default, _root(shifted))
    inverse = Op(aten.rsqrt.default, shifted) | Op(aten.pow.Tensor_Scalar, shifted, -0.5)
    inverse = inverse | reciprocal | Op(aten.mul.Tensor, reciprocal, 1)
    return Named("core", Op(aten.mul.Tensor, value, inverse) | Op(aten.div.Tensor, value, _root(shifted)))


def _shifted_outside(value: Pattern, variance: Pattern) -> Pattern:
    """``value / (sqrt(variance) + eps)``: another function."""
    outside = Op(aten.add.Tensor, _root(variance), Num("eps"))
    inverse = Op(aten.reciprocal.default, outside)
    return Op(aten.div.Tensor, value, outside) | Op(aten.mul.Tensor, value, inverse | Op(aten.mul.Tensor, inverse, 1))


def _is_vector(node: fx.Node) -> bool:
    tensor = tensor_of(node)
    return tensor is not None and tensor.dim() == 1


X = Var("x")
CENTRED = Op(aten.sub.Tensor, X, _mean(X))
VARIANCE = (
    _mean(_square(CENTRED))
    | Op(aten.var.correction, X, Bind("dims"), correction=Bind("correction"), keepdim=Bind("keepdim"))
    | Op(aten.var.dim, X, Bind("dims"), unbiased=Bind("correction"), keepdim=Bind("keepdim"))
)
WEIGHT, BIAS = Var("weight", _is_vector), Var("bias", _is_vector)

RMS = _scaled(Var("value"), _mean(_square(X)))
WEIGHTED_RMS = Op(aten.mul.Tensor, Named("operand", Cast(RMS)), WEIGHT)
RMS_OUTSIDE = _shifted_outside(Var("value"), _mean(_square(X)))

LAYER = _scaled(CENTRED, VARIANCE)
WEIGHTED_LAYER = Op(aten.mul.Tensor, LAYER, WEIGHT)
BIASED_LAYER = Op(aten.add.Tensor, WEIGHTED_LAYER | LAYER, BIAS)
ATEN_LAYER = Named(
    "core",
    Op(aten.layer_norm.default, X, Bind("shape"), Bind("weight"), Bind("bias"), Num("eps"), cudnn_enable=Bind("cudnn")),
)
LAYER_OUTSIDE = _shifted_outside(CENTRED, VARIANCE)


class NormRule(Rule):
    """A norm read as large as it goes: no reading is taken at a node whose only user belongs to a larger one."""

    def match(self, node: fx.Node) -> Reading:
        """The reading at the node, unless it continues."""
        reading = self.read(node)
        if isinstance(reading, Match) and len(node.users) == 1:
            larger = self.read(next(iter(node.users)))
            if isinstance(larger, Match) and node in larger.nodes:
                return None
        return reading

    @abstractmethod
    def read(self, node: fx.Node) -> Reading:
        """The norm whose last operation is the node."""

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """One call; the bindings are its arguments."""
        arguments = dict(match.bindings)
        x, weight, bias = arguments.pop("x"), arguments.pop("weight", None), arguments.pop("bias", None)
        positional = [x, weight, bias]
        while positional[-1] is None:
            positional.pop()
        return edit.call(OPS[self.name].overload, *positional, **arguments)


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
            return _eps_outside(outside) if outside else None
        if (decline := _not_over_last(state)) is not None:
            return decline if state.bindings["core"] is node else None
        if not _is_value(state.bindings["value"], state.bindings["x"]):
            return None
        nodes = state.nodes if narrowed is None else (*state.nodes, node)
        for x, compute, casts in _inputs(state.bindings["x"]):
            for arguments, more in self._arguments(node, state, x):
                arguments |= {"x": x, "eps": _eps(state), "compute_dtype": compute}
                return Match(node, (*nodes, *casts, *more), arguments, shared=(*casts, *more))
        return None

    def _arguments(
        self, node: fx.Node, state: State, x: fx.Node
    ) -> Iterator[tuple[dict[str, Any], tuple[fx.Node, ...]]]:
        """Arguments under which the operator on ``x`` ends in ``node``, and the nodes read to find them."""
        given, wide, result = (_dtype(n) for n in (x, state.bindings["core"], node))
        scale = state.bindings.get("weight")
        if scale is None:
            if result == given:
                yield {}, ()
            return
        if not _spans(scale, x):
            return
        early = _dtype(state.bindings["operand"]) == wide == torch.promote_types(wide, _dtype(scale))
        if early and result == given:
            weight, offset, nodes = _offset_weight(scale, wide)
            if offset or wide != given:
                yield {"weight": weight, "weight_offset": offset, "cast": "early"}, nodes
        if _dtype(state.bindings["operand"]) == given and result == torch.promote_types(given, _dtype(scale)):
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
            return _several_dims(bound["normalized_shape"])
        x, weight, eps = bound["input"], bound["weight"], bound["eps"]
        given = _dtype(x)
        wide = torch.promote_types(given, torch.float32)
        arguments = {"x": x, "weight": weight, "eps": torch.finfo(wide).eps if eps is None else eps}
        if wide != given:
            arguments |= {"compute_dtype": wide} | ({} if weight is None else {"cast": "early"})
        return Match(node, (node,), arguments) if _dtype(node) == given else None


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
            return _eps_outside(outside) if outside else None
        if (decline := _not_over_last(state)) is not None:
            return decline if state.bindings["core"] is node else None
        nodes = state.nodes if narrowed is None else (*state.nodes, node)
        wide, result = _dtype(state.bindings["core"]), _dtype(node)
        written_out = "shape" not in state.bindings
        vectors = {name: state.bindings[name] for name in ("weight", "bias") if state.bindings.get(name) is not None}
        for x, compute, casts in _inputs(state.bindings["x"]):
            if result != _dtype(x) or not all(_spans(vector, x) for vector in vectors.values()):
                continue
            if (written_out or compute is not None) and any(_dtype(vector) != wide for vector in vectors.values()):
                continue
            uncast = {name: _under_cast(vector, compute) for name, vector in vectors.items()}
            more = tuple(vector for name, vector in vectors.items() if uncast[name] is not vector)
            arguments = {"x": x, **uncast, "eps": _eps(state), "compute_dtype": compute}
            return Match(node, (*nodes, *casts, *more), arguments, shared=(*casts, *more))
        return None


def _inputs(x: fx.Node) -> Iterator[tuple[fx.Node, torch.dtype | None, tuple[fx.Node, ...]]]:
    """Ways to read what is normalised: as a cast of a narrower input to the compute dtype, and as it is."""
    narrower = cast_of(x)
    if narrower is not None and _dtype(narrower[0]) != narrower[1]:
        yield narrower[0], narrower[1], (x,)
    yield x, None, ()


def _is_value(value: fx.Node, squared: fx.Node) -> bool:
    """Whether ``value`` times the inverse root is what the squared value would give: itself, or its source widened."""
    if value is squared:
        return True
    source = cast_of(squared)
    widened = source is not None and value is source[0] and torch.promote_types(_dtype(value), source[1]) == source[1]
    return widened or (source is not None and cast_of(value) == source)


def _offset_weight(scale: fx.Node, wide: torch.dtype) -> tuple[fx.Node, float, tuple[fx.Node, ...]]:
    """``scale`` as ``(weight, offset, nodes)`` with ``scale = weight.to(wide) + offset``."""
    state = Op(aten.add.Tensor, Var("weight", _is_vector), Num("offset")).first(scale)
    if state is None or _dtype(state.bindings["weight"]) != wide:
        weight = _under_cast(scale, wide)
        return weight, 0.0, () if weight is scale else (scale,)
    vector = state.bindings["weight"]
    weight = _under_cast(vector, wide)
    return weight, float(state.bindings["offset"]), (scale,) if weight is vector else (scale, vector)


def _under_cast(vector: fx.Node, wide: torch.dtype | None) -> fx.Node:
    source = cast_of(vector)
    return source[0] if source is not None and source[1] == wide else vector


def _spans(vector: fx.Node, x: fx.Node) -> bool:
    """Whether a vector has one element for each feature of ``x``."""
    left, right = tensor_of(vector), tensor_of(x)
    return left is not None and right is not None and left.dim() == 1 and str(left.shape[0]) == str(right.shape[-1])


def _dtype(node: fx.Node) -> torch.dtype:
    tensor = tensor_of(node)
    assert tensor is not None
    return tensor.dtype


def _eps(state: State) -> float:
    return float(state.bindings.get("eps", 0.0))


def _not_over_last(state: State) -> Decline | None:
    """Why the statistic is not the biased one over exactly the last dimension, if it is not."""
    bindings: Mapping[str, Any] = state.bindings
    if "shape" in bindings:
        return _several_dims(bindings["shape"]) if len(bindings["shape"]) != 1 else None
    x = tensor_of(bindings["x"])
    assert x is not None
    if bindings["dims"] != [x.dim() - 1] or not bindings["keepdim"]:
        return Decline("other-dims", f"the statistic is over dimensions {bindings['dims']}, not the last with keepdim")
    if bindings.get("correction", 0) not in (0, False):
        return Decline(
            "unbiased-variance", "the variance divides by D - 1", unblock="use var(..., unbiased=False)", nearness=3
        )
    return None


def _several_dims(shape: Any) -> Decline:
    return Decline("several-dims", f"normalises over the last {len(shape)} dimensions {list(shape)}")


def _eps_outside(state: State) -> Decline:
    eps = state.bindings["eps"]
    return Decline("eps-outside-sqrt", f"eps={eps} is added to the root, not to the mean square", nearness=3)


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
RaiseLayer.examples = (
    Example("torch.nn.LayerNorm", _layer, (_X, _W, _W)),
    Example("in fp32 between casts", _wide_layer, (_X, _W, _W)),
    Example("written out with weight and bias", _written_out, (_X, _W, _W)),
    Example("written out with var", _with_var, (_X,)),
    Example("over two dimensions", _two_dims, (_X,), declines="several-dims"),
    Example("variance over D - 1", _unbiased, (_X,), declines="unbiased-variance"),
    Example("eps added to the root", _layer_eps_outside, (_X,), declines="eps-outside-sqrt"),
)


@dataclass(frozen=True)
class RaiseNorm(RulePass):
    """Name RMSNorm and LayerNorm, however they are written, as ``rms_norm`` and ``layer_norm``."""

    name: ClassVar[str] = "raise-norm"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    rules: ClassVar[tuple[Rule, ...]] = (RaiseLayer(), RaiseRms(), RaiseAtenRms())
