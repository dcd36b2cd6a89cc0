"""The short causal depthwise convolution of Hyena, H3, Mamba and M2, with its activation.

Taps are in conv1d's order: the last tap, k[:, K-1], is lag 0. (Long convolutions have k[:, 0] at lag 0.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .activation import ACTIVATIONS
from .registry import Call, declare, one_of, require


def short_conv(u: Tensor, k: Tensor, bias: Tensor | None = None, *, activation: str = "identity") -> Tensor:
    """act(y) with y[b, c, t] = bias[c] + sum_m k[c, K-1-m] u[b, c, t-m], for u [B, C, L] or [C, L], k [C, K], bias [C].

    Samples before the first are 0; the result has u's shape. It is ``aten.conv1d`` with padding K - 1 and C groups, cut
    to length L. Dtypes are those of conv1d.

    Raises ``ValueError`` for an unknown activation or a wrong rank.
    """
    one_of("short_conv", "activation", activation, ACTIVATIONS)
    require("short_conv", "u", u.dim() in (2, 3), "[batch, channels, time] or [channels, time]", f"rank {u.dim()}")
    require("short_conv", "k", k.dim() == 2, "[channels, taps]", f"rank {k.dim()}")
    y = F.conv1d(u, k.unsqueeze(1), bias, padding=k.shape[1] - 1, groups=k.shape[0])
    return ACTIVATIONS[activation](y[..., : u.shape[-1]])


def _examples() -> list[Call]:
    u, k = torch.linspace(-2, 3, 2 * 3 * 7).reshape(2, 3, 7), torch.linspace(-1, 1, 12).reshape(3, 4)
    return [((u, k), {}), ((u, k, torch.ones(3)), {"activation": "silu"}), ((u[0], k[:, :1]), {})]


SHORT_CONV = declare(
    short_conv, '(Tensor u, Tensor k, Tensor? bias=None, *, str activation="identity") -> Tensor', _examples
)
