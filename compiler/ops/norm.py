"""RMSNorm and LayerNorm over the last dimension, with the dtype of the statistic and the place of the cast spelled out.

RMSNorm is x / sqrt(mean(x^2) + eps) * weight (arXiv 1910.07467). Implementations differ in what a half-precision model
sees, so it is part of the meaning here:

- ``cast="late"`` (Llama): normalise in ``compute_dtype``, cast back to x's dtype, then multiply by the weight.
- ``cast="early"`` (Gemma): multiply by the weight in ``compute_dtype`` too, then cast back.

Gemma stores weight - 1: ``weight_offset=1.0``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .registry import Call, declare, one_of, require

CASTS = ("late", "early")


def rms_norm(
    x: Tensor,
    weight: Tensor | None = None,
    *,
    eps: float = 1e-6,
    cast: str = "late",
    weight_offset: float = 0.0,
    compute_dtype: torch.dtype | None = None,
) -> Tensor:
    """Root-mean-square normalisation of x [..., D] by its last dimension, times (weight_offset + weight) [D].

    ``compute_dtype`` is the dtype of the statistic, x's own by default. The result has x's dtype, except that a late
    weight of a wider dtype widens it, as ATen's promotion does.

    Raises ``ValueError`` for an unknown cast, a weight that is not a vector, or an offset without a weight.
    """
    one_of("rms_norm", "cast", cast, CASTS)
    _check_vector("rms_norm", "weight", weight)
    require("rms_norm", "weight_offset", weight is not None or not weight_offset, "0 without a weight", weight_offset)
    h = x if compute_dtype is None else x.to(compute_dtype)
    h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + eps)
    if weight is None:
        return h.to(x.dtype)
    if cast == "early":
        return (h * _offset(weight.to(h.dtype), weight_offset)).to(x.dtype)
    return _offset(weight, weight_offset) * h.to(x.dtype)


def layer_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    eps: float = 1e-5,
    compute_dtype: torch.dtype | None = None,
) -> Tensor:
    """Layer normalisation of x [..., D] by its last dimension, times weight [D], plus bias [D]: ``aten.layer_norm``.

    With ``compute_dtype`` all inputs are cast to it and the result back to x's dtype (arXiv 1607.06450).

    Raises ``ValueError`` for a weight or bias that is not a vector.
    """
    _check_vector("layer_norm", "weight", weight)
    _check_vector("layer_norm", "bias", bias)
    if compute_dtype is None:
        return F.layer_norm(x, x.shape[-1:], weight, bias, eps)
    weight = None if weight is None else weight.to(compute_dtype)
    bias = None if bias is None else bias.to(compute_dtype)
    return F.layer_norm(x.to(compute_dtype), x.shape[-1:], weight, bias, eps).to(x.dtype)


def _offset(weight: Tensor, offset: float) -> Tensor:
    return weight + offset if offset else weight


def _check_vector(name: str, argument: str, value: Tensor | None) -> None:
    if value is not None:
        require(name, argument, value.dim() == 1, "a vector over the last dimension", f"rank {value.dim()}")


def _rms_examples() -> list[Call]:
    x, weight = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0)), torch.linspace(0.5, 1.5, 7)
    return [
        ((x,), {}),
        ((x, weight), {"eps": 1e-5}),
        ((x, weight), {"cast": "early", "weight_offset": 1.0}),
        ((x.bfloat16(), weight), {"compute_dtype": torch.float32}),
    ]


def _layer_examples() -> list[Call]:
    x, weight = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0)), torch.linspace(0.5, 1.5, 7)
    bias = torch.ones(7)
    return [
        ((x,), {}),
        ((x, weight, bias), {"eps": 1e-6}),
        ((x.bfloat16(), weight, bias), {"compute_dtype": torch.float32}),
    ]


RMS_NORM = declare(
    rms_norm,
    '(Tensor x, Tensor? weight=None, *, float eps=1e-06, str cast="late", float weight_offset=0.0, '
    "ScalarType? compute_dtype=None) -> Tensor",
    _rms_examples,
)
LAYER_NORM = declare(
    layer_norm,
    "(Tensor x, Tensor? weight=None, Tensor? bias=None, *, float eps=1e-05, ScalarType? compute_dtype=None) -> Tensor",
    _layer_examples,
)
