"""The kernel operator of the short causal depthwise convolution, with its gradient; formulas are those of
:mod:`.program`.

u [B, H, T], k [H, K] and bias [H] in one of fp32, fp16 and bf16, of any strides, so that a transposed [B, T, H] is read
in place; y has the layout of u. ``channels`` and ``times`` are the sides of a tile.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...lowering.tile.ir import DTYPE_NAMES
from ..support import execute
from .program import TURNS, ShortConv, backward, forward

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@torch.library.custom_op("regraft_tile::short_conv", mutates_args=())
def short_conv(u: Tensor, k: Tensor, bias: Tensor | None, activation: str, channels: int, times: int) -> Tensor:
    """act(bias[h] + sum_j k[h, K-1-j] u[b, h, t-j])."""
    y = torch.empty_like(u)
    execute(forward(_kind(u, k, bias, activation, channels, times)), _present(u=u, k=k, bias=bias, y=y))
    return y


@torch.library.custom_op("regraft_tile::short_conv_backward", mutates_args=())
def short_conv_backward(
    dy: Tensor, u: Tensor, k: Tensor, bias: Tensor | None, activation: str, channels: int, times: int
) -> tuple[Tensor, Tensor]:
    """du, and the partial sums [taps and bias, B, pieces, H] of the gradients of k and bias."""
    du, partials = _backward_fake(dy, u, k, bias, activation, channels, times)
    given = _present(dy=dy, u=u, k=k, bias=bias, du=du, partials=partials)
    execute(backward(_kind(u, k, bias, activation, channels, times)), given)
    return du, partials


@short_conv.register_fake
def _forward_fake(u: Tensor, *rest: Any) -> Tensor:
    return torch.empty_like(u)


@short_conv_backward.register_fake
def _backward_fake(
    dy: Tensor, u: Tensor, k: Tensor, bias: Tensor | None, activation: str, channels: int, times: int
) -> tuple[Tensor, Tensor]:
    batches, heads, time = u.shape
    piece = times * TURNS
    sums = (k.shape[1] + (bias is not None), batches, (time + piece - 1) // piece, heads)
    return torch.empty_like(u), u.new_empty(sums, dtype=torch.float32)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    u, k, bias, *options = inputs
    ctx.save_for_backward(u, k, bias)
    ctx.options = options


def _backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    u, k, bias = ctx.saved_tensors
    du, partials = short_conv_backward(dy, u, k, bias, *ctx.options)
    sums = partials.sum((1, 2))
    taps = k.shape[1]
    return du, sums[:taps].T.to(k.dtype), None if bias is None else sums[taps].to(bias.dtype), None, None, None


short_conv.register_autograd(_backward, setup_context=_setup)


def _kind(u: Tensor, k: Tensor, bias: Tensor | None, activation: str, channels: int, times: int) -> ShortConv:
    return ShortConv(int(k.shape[1]), DTYPE_NAMES[u.dtype], bias is not None, activation, channels, times)


def _present(**tensors: Tensor | None) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}
