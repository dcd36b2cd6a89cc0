"""Gated long convolutions in bf16, and the Hyena operator beside causal flash attention.

Goals on an H200: at least 5x eager FFT and 3x eager with a cached spectrum for 1K to 4K at batch 64 and 768 channels,
2x at 8K to 32K, never slower at batch 1; the Hyena operator at 8K 1.5x faster than with torch.fft, and faster than
causal flash attention from 8K.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from regraft.compiler.ops.long_conv import long_conv, long_conv_spectrum, spectrum
from regraft.lowering.candidates import Call, call_with
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..results import Row
from .case import SECONDS, Case, backward, compiled, eager, edges, in_fp64, measure, nbytes, once, ours, ours_of

ATTENTION = "causal flash attention"
LENGTHS = tuple(1024 << n for n in range(6))
TOKENS = 1 << 16
"""Of one call of the Hyena operator and of attention, at every length."""


def run(device: str, quick: bool, seconds: float = SECONDS) -> list[Row]:
    """Time forward and backward at all lengths, then the operators, and tell from which length ours is the faster."""
    batch, channels = (2, 16) if quick else (64, 768)
    lengths = LENGTHS[:1] if quick else LENGTHS
    cases = [(f"long_conv {batch}x{channels}x{n}", partial(forward, batch, channels, n, device)) for n in lengths]
    cases.append((f"long_conv 1x{channels}", partial(forward, 1, channels, lengths[0] if quick else 4096, device)))
    cases += [(f"long_conv {batch}x{channels}x{n} backward", partial(gradients, batch, channels, n, device))
              for n in lengths if n in (1024, 4096)]  # fmt: skip
    tokens, width = (2048, 64) if quick else (TOKENS, 768)
    cases += [(f"operator {width} at {n}", partial(operator, tokens // n, width, n, device))
              for n in (lengths if quick else LENGTHS[1:])]  # fmt: skip
    return crossover(measure(cases, device, quick, seconds))


def forward(batch: int, channels: int, length: int, device: str) -> Case:
    """A causal convolution between two gates, with skip, at one length."""
    u, k, skip, pre, post = inputs(batch, channels, length, device)
    k_f = spectrum(k, lags="causal", fft_size=2 * length)
    folded = {"fft_size": 2 * length, "length": length}
    call, cached = calls((u, k, skip, pre, post))
    part = edges(1)
    return Case(
        f"long_conv {batch}x{channels}x{length}",
        {
            "eager": eager(long_conv, u, k, skip, None, pre, post),
            "eager, cached spectrum": eager(long_conv_spectrum, u, k_f, skip, pre, post, **folded),
            "torch.compile": compiled(long_conv, u, k, skip, None, pre, post),
        },
        {"ours": ours(call), "ours, cached spectrum": ours(cached)},
        expected=in_fp64(long_conv, part(u), k, skip, None, part(pre), part(post)),
        part=part,
        bytes=nbytes(u, pre, post, u, k),
    )


def gradients(batch: int, channels: int, length: int, device: str) -> Case:
    """The gradients of all five inputs; every sample is compared, for the filter's are sums over the batch."""
    given = inputs(batch, channels, length, device)
    wanted = [tensor.requires_grad_() for tensor in given]
    cotangent = torch.randn_like(given[0])
    call = replace(calls(given)[0], training=True)
    u, k, skip, pre, post = given

    def in_full() -> object:
        wide = [tensor.detach().double().requires_grad_() for tensor in given]
        out = long_conv(*wide[:3], None, *wide[3:])
        return torch.autograd.grad(out, wide, cotangent.double())

    arguments = (u, k, skip, None, pre, post)
    return Case(
        f"long_conv {batch}x{channels}x{length} backward",
        {
            "eager": backward(lambda: long_conv(*arguments), wanted, cotangent),
            "torch.compile": backward(lambda: torch.compile(long_conv, dynamic=False)(*arguments), wanted, cotangent),
        },
        {"ours": {label: once(backward(run, wanted, cotangent)) for label, run in ours(call).items()}},
        expected=in_full,
        bytes=nbytes(u, pre, post, cotangent, u, pre, post, k, k),
    )


def inputs(batch: int, channels: int, length: int, device: str) -> tuple[Tensor, ...]:
    """u, k, skip and both gates; the filter decays, as trained ones do."""
    torch.manual_seed(0)
    u, pre, post = (torch.randn(batch, channels, length, device=device, dtype=torch.bfloat16) for _ in range(3))
    decay = torch.exp(-torch.arange(length, device=device) * (8 / length))
    k = torch.randn(channels, length, device=device) * decay / math.sqrt(length)
    return u, k, torch.randn(channels, device=device), pre, post


def calls(given: tuple[Tensor, ...]) -> tuple[Call, Call]:
    """The convolution, and the same with its spectrum at hand."""
    u, k, skip, pre, post = given
    length = u.shape[-1]
    folded = {"fft_size": 2 * length, "length": length}
    k_f = spectrum(k.detach(), lags="causal", fft_size=2 * length)
    return (
        call_with(torch.ops.regraft.long_conv.default, u, k, skip, None, pre, post),
        call_with(torch.ops.regraft.long_conv_spectrum.default, u, k_f, skip, pre, post, **folded),
    )


def operator(batch: int, width: int, length: int, device: str) -> Case:
    """Projections, short convolution, gated long convolution, projection; attention in place of what is between."""
    torch.manual_seed(0)
    x = torch.randn(batch, length, width, device=device, dtype=torch.bfloat16)
    into, out = (torch.randn(n * width, width, device=device, dtype=torch.bfloat16) / math.sqrt(width) for n in (3, 1))
    short = torch.randn(3 * width, 1, 3, device=device, dtype=torch.bfloat16)
    _, k, skip, _, _ = inputs(1, width, length, device)

    def hyena(mix: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        streams = F.linear(x, into).mT
        streams = F.conv1d(streams, short, padding=2, groups=3 * width)[..., :length]
        return F.linear(mix(*streams.chunk(3, 1)).mT, out)

    def fft(v: Tensor, pre: Tensor, post: Tensor) -> Tensor:
        return long_conv(v, k, skip, None, pre, post)

    def attention() -> Tensor:
        q, key, v = F.linear(x, into).view(batch, length, 3, -1, 64).permute(2, 0, 3, 1, 4)
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            mixed = F.scaled_dot_product_attention(q, key, v, is_causal=True)
        return F.linear(mixed.transpose(1, 2).reshape(x.shape), out)

    def call(v: Tensor, pre: Tensor, post: Tensor) -> Call:
        return call_with(torch.ops.regraft.long_conv.default, v, k, skip, None, pre, post)

    example = torch.randn(batch, 3 * width, length, device=device, dtype=torch.bfloat16).chunk(3, 1)
    return Case(
        f"operator {width} at {length}, batch {batch}",
        {
            "eager": lambda: partial(hyena, fft),
            "torch.compile": lambda: partial(torch.compile(hyena, dynamic=False), fft),
            ATTENTION: lambda: attention,
        },
        {"ours": {label: partial(hyena, mix) for label, mix in ours_of(call, *example).items()}},
        # Attention is another function, and compared with nothing; the others are compared with torch.fft.
        expected=partial(hyena, fft),
        unlike=(ATTENTION,),
    )


def crossover(rows: list[Row]) -> list[Row]:
    """The rows, with a note in ours where it takes less time than attention."""
    attention = {row.case: row.median_ms for row in rows if row.variant == ATTENTION and row.runs}
    return [
        replace(row, notes={**row.notes, "vs attention": attention[row.case] / row.median_ms})
        if row.variant == "ours" and row.runs and row.case in attention
        else row
        for row in rows
    ]


def tunable(device: str) -> Iterator[Call]:
    """Calls for the cost table."""
    for length in LENGTHS:
        yield from calls(inputs(8, 768, length, device))
    for length in LENGTHS[:3]:
        yield from calls(inputs(1, 768, length, device))
