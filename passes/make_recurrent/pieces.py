"""The operators that remember the past, run on a piece of a sequence: each takes its state and writes the next into it.

The arguments are those of the semantic operator with the same name, at C positions from ``position`` on; states are
written in place, so that a step moves no more memory than it must. Every function gives what the operator gives at
these positions of the whole sequence.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...compiler.ops.activation import ACTIVATIONS
from ...compiler.ops.ssm_scan_companion import companion_step
from .exact_decode import Tiling, convolve

ops = torch.ops.regraft


def short_conv(u: Tensor, k: Tensor, bias: Tensor | None, recent: Tensor, *, activation: str) -> Tensor:
    """``recent`` [..., C, K - 1] holds the last inputs."""
    given = torch.cat((recent, u), -1)
    if u.shape[-1] > 1:
        y = F.conv1d(given, k.unsqueeze(1), bias, groups=k.shape[0])
    else:
        y = (given * k).sum(-1, keepdim=True)
        y = y if bias is None else y + bias.unsqueeze(-1)
    recent.copy_(given.narrow(-1, u.shape[-1], recent.shape[-1]))
    return ACTIVATIONS[activation](y)


def delay(x: Tensor, recent: Tensor, *, dim: int) -> Tensor:
    """``recent`` holds the last n inputs along ``dim``, for a delay of n."""
    given = torch.cat((recent, x), dim)
    recent.copy_(given.narrow(dim, x.shape[dim], recent.shape[dim]))
    return given.narrow(dim, 0, x.shape[dim])


def cumsum(x: Tensor, total: Tensor, *, dim: int, dtype: torch.dtype | None) -> Tensor:
    """``total`` is the sum so far, with one position along ``dim``."""
    y = x.cumsum(dim, dtype=dtype) + total
    total.copy_(y.narrow(dim, x.shape[dim] - 1, 1))
    return y


def attention(
    q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor, position: int, **attributes: Any
) -> Tensor:
    """``keys`` and ``values`` [B, Hkv, max_length, D] hold those of all positions so far; a window reads its part."""
    count = q.shape[-2]
    keys.narrow(-2, position, count).copy_(k)
    values.narrow(-2, position, count).copy_(v)
    end = position + count
    start = max(0, position + 1 - attributes["window"]) if attributes["mask"] == "sliding" else 0
    k, v = keys.narrow(-2, start, end - start), values.narrow(-2, start, end - start)
    if count == 1:
        # The one query sees all keys that are left.
        return ops.attention(q, k, v, **{**attributes, "mask": "none", "window": 0, "offset": 0})
    return ops.attention(q, k, v, **{**attributes, "offset": position - start})


def ssm_scan(
    u: Tensor,
    log_radius: Tensor,
    angle: Tensor,
    residue_re: Tensor,
    residue_im: Tensor,
    skip: Tensor | None,
    pole: Tensor,
    state: Tensor,
    *,
    chunk: int,
) -> tuple[Tensor]:
    """``state`` [B, H, N, 2] is the state after the last position; ``pole`` is what :func:`poles` gives."""
    if u.shape[-1] > 1:
        y, after = ops.ssm_scan(u, log_radius, angle, residue_re, residue_im, skip, state, chunk=chunk)
        state.copy_(after)
        return (y,)
    re, im = state.unbind(-1)
    x = u.to(state.dtype)
    y = (re * residue_re - im * residue_im).sum(-1, keepdim=True)
    y = y if skip is None else y + x * skip.unsqueeze(-1)
    pole_re, pole_im = pole.to(state.dtype)
    state.copy_(torch.stack((re * pole_re - im * pole_im + x, re * pole_im + im * pole_re), -1))
    return (y.to(u.dtype),)


def poles(log_radius: Tensor, angle: Tensor) -> Tensor:
    """Real and imaginary parts [2, H, N] of the poles that these are the logarithms of."""
    radius, angle = log_radius.double().exp(), angle.double()
    return torch.stack((radius * angle.cos(), radius * angle.sin())).to(log_radius.dtype)


def ssm_scan_companion(
    u: Tensor,
    denominator: Tensor,
    numerator: Tensor,
    skip: Tensor | None,
    state: Tensor,
    *,
    chunk: int,
) -> tuple[Tensor]:
    """``state`` [B, H, d] is the state after the last position."""
    if u.shape[-1] > 1:
        y, after = ops.ssm_scan_companion(u, denominator, numerator, skip, state, chunk=chunk)
    else:
        y, after = companion_step(u.squeeze(-1).to(state.dtype), denominator, numerator, skip, state)
        y = y.unsqueeze(-1).to(u.dtype)
    state.copy_(after)
    return (y,)


def linear_attention(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor | None, state: Tensor, *, scale: float, chunk: int
) -> tuple[Tensor]:
    """``state`` [B, H, Dk, Dv] is the state after the last position."""
    y, after = ops.linear_attention(q, k, v, decay, state, scale=scale, chunk=min(chunk, q.shape[-2]))
    state.copy_(after)
    return (y,)


def long_conv(
    u: Tensor,
    taps: Tensor,
    skip: Tensor | None,
    pre_gate: Tensor | None,
    post_gate: Tensor | None,
    history: Tensor,
    pending: Tensor,
    position: int,
    *,
    index: int,
    tiling: Tiling,
) -> Tensor:
    """``history`` and ``pending`` are a bank's, in which this is convolution ``index``; so are ``taps``."""
    x = u if pre_gate is None else u * pre_gate
    h = x.to(history.dtype)
    y = convolve(h, taps[index], history[index], pending[index], position, tiling)
    if skip is not None:
        y = y + h * skip.to(h.dtype).unsqueeze(-1)
    y = y.to(x.dtype)
    return y if post_gate is None else y * post_gate
