"""A long convolution tap by tap, as a grouped ``aten.conv1d``: for short filters it beats any transform on a CPU.

y = post_gate * (conv + skip * x), x = pre_gate * u, exactly as ``long_conv`` defines them; u [..., H, L], k [H, K] or
with leading dimensions of size 1. Every lag map but circular is one filter over adjacent lags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...compiler.ops.registry import accumulation_dtype

LAGS = ("causal", "anticausal", "taps", "bidirectional_shared", "bidirectional_offset")
"""The lag maps it takes."""


def direct_conv(call: Mapping[str, Any]) -> Tensor:
    """``long_conv`` of these arguments, by schema name."""
    u, k, k_rev, pre_gate, post_gate, skip = (call[n] for n in ("u", "k", "k_rev", "pre_gate", "post_gate", "skip"))
    x = u if pre_gate is None else u * pre_gate
    dtype = call["compute_dtype"] or accumulation_dtype([x.dtype, k.dtype])
    weight, behind, ahead = _filter(k.to(dtype), None if k_rev is None else k_rev.to(dtype), call["lags"], call["lag0"])
    h, channels = x.to(dtype), x.shape[-2]
    padded = F.pad(h.reshape(-1, channels, h.shape[-1]), (behind, ahead))
    rows = weight.reshape(-1, 1, weight.shape[-1]).expand(channels, -1, -1)
    y = F.conv1d(padded, rows, groups=channels).reshape(h.shape)
    if skip is not None:
        y = y + h * skip.to(dtype).unsqueeze(-1)
    y = y.to(x.dtype)
    return y if post_gate is None else y * post_gate


def taps_of(call: Mapping[str, Any]) -> int:
    """How many lags the filter covers."""
    taps = call["k"].shape[-1]
    rev = 0 if call["k_rev"] is None else call["k_rev"].shape[-1]
    return taps + rev - (call["lags"] == "bidirectional_shared")


def _filter(k: Tensor, k_rev: Tensor | None, lags: str, lag0: int) -> tuple[Tensor, int, int]:
    """The filter with its latest lag first, and how far it reaches behind and ahead."""
    taps = k.shape[-1]
    if lags == "causal":
        return k.flip(-1), taps - 1, 0
    if lags == "anticausal":
        return k, 0, taps - 1
    if lags == "taps":
        return k.flip(-1), taps - 1 - lag0, lag0
    assert k_rev is not None
    if lags == "bidirectional_offset":
        return torch.cat([k.flip(-1), k_rev], -1), taps - 1, k_rev.shape[-1]
    shared = F.pad(k.flip(-1), (0, k_rev.shape[-1] - 1)) + F.pad(k_rev, (taps - 1, 0))
    return shared, taps - 1, k_rev.shape[-1] - 1
