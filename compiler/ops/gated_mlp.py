"""The gated feed-forward block, down(act(gate(x)) * up(x)): "GLU Variants Improve Transformer" (arXiv 2002.05202)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .activation import ACTIVATIONS
from .registry import Call, declare, one_of, require


def gated_mlp(
    x: Tensor,
    gate_weight: Tensor,
    up_weight: Tensor | None,
    down_weight: Tensor,
    gate_bias: Tensor | None = None,
    up_bias: Tensor | None = None,
    down_bias: Tensor | None = None,
    *,
    activation: str = "silu",
) -> Tensor:
    """linear(act(linear(x, gate)) * linear(x, up), down) for x [..., D], gate and up [F, D], down [D', F]: [..., D'].

    With ``up_weight=None`` gate_weight is the fused matrix [2F, D], gate above up, and gate_bias [2F] likewise.
    Biases are [F], [F] and [D']. ``activation`` is one of ``ACTIVATIONS``. Dtypes are those of ``aten.linear``.

    Raises ``ValueError`` for an unknown activation, a weight that is not a matrix, or an up_bias beside a fused weight.
    """
    one_of("gated_mlp", "activation", activation, ACTIVATIONS)
    for argument, weight in (("gate_weight", gate_weight), ("up_weight", up_weight), ("down_weight", down_weight)):
        if weight is not None:
            require("gated_mlp", argument, weight.dim() == 2, "a matrix [out, in]", f"rank {weight.dim()}")
    if up_weight is None:
        require(
            "gated_mlp", "up_bias", up_bias is None, "None when gate_weight holds both (up_weight=None)", "a tensor"
        )
        gate, up = F.linear(x, gate_weight, gate_bias).chunk(2, dim=-1)
    else:
        gate, up = F.linear(x, gate_weight, gate_bias), F.linear(x, up_weight, up_bias)
    return F.linear(ACTIVATIONS[activation](gate) * up, down_weight, down_bias)


def _examples() -> list[Call]:
    generator = torch.Generator().manual_seed(0)
    x, gate, up, down, fused, bias = (
        torch.randn(shape, generator=generator) for shape in ((2, 3, 5), (7, 5), (7, 5), (5, 7), (14, 5), (7,))
    )
    return [
        ((x, gate, up, down), {}),
        ((x, gate, up, down, bias, bias, torch.ones(5)), {"activation": "gelu_tanh"}),
        ((x, fused, None, down, torch.ones(14)), {"activation": "identity"}),
    ]


GATED_MLP = declare(
    gated_mlp,
    "(Tensor x, Tensor gate_weight, Tensor? up_weight, Tensor down_weight, Tensor? gate_bias=None, "
    'Tensor? up_bias=None, Tensor? down_bias=None, *, str activation="silu") -> Tensor',
    _examples,
)
