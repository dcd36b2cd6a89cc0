"""Linear attention with decay and the diagonal state-space scan in bf16, chunk by chunk.

The goal on an H200 is at least the speed of flash-linear-attention (``fla``, its simple gated linear attention) and of
Mamba-2's SSD (``mamba_ssm``); whichever is not installed is named and left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from regraft.compiler.ops.linear_attention import linear_attention
from regraft.compiler.ops.ssm_scan import ssm_scan
from regraft.lowering.candidates import Call, call_with
from torch import Tensor

from ..results import Row
from .case import SECONDS, Case, Run, compiled, eager, edges, in_fp64, measure, nbytes, ours

CHUNK = 64
MODES = 16


def run(device: str, quick: bool, seconds: float = SECONDS) -> list[Row]:
    """Time both at both widths of heads."""
    batch, heads, length = (2, 2, 128) if quick else (8, 32, 4096)
    cases = []
    for width in (64,) if quick else (64, 128):
        shape = (batch, heads, length, width)
        cases.append((f"linear attention {width}", partial(attention, shape, device)))
        cases.append((f"ssm_scan {heads * width}", partial(scan, (batch, heads * width, length), device)))
    return measure(cases, device, quick, seconds)


def attention(shape: tuple[int, ...], device: str) -> Case:
    """A decay for every step of every head, as in Mamba-2."""
    q, k, v, decay = inputs(shape, device)
    batch, heads, length, width = shape
    part = edges(1)
    return Case(
        f"linear attention {'x'.join(map(str, shape))}",
        {
            "eager": eager(linear_attention, q, k, v, decay),
            "torch.compile": compiled(linear_attention, q, k, v, decay),
            "fla": partial(by_fla, q, k, v, decay),
            "mamba_ssm": partial(by_mamba, q, k, v, decay),
        },
        {"ours": ours(call_with(LINEAR_ATTENTION, q, k, v, decay), _out)},
        expected=in_fp64(_outputs_of(linear_attention), part(q), part(k), part(v), part(decay)),
        part=lambda result: part(_out(result)),
        bytes=nbytes(q, k, v, v, decay),
        # In a chunk half of the pairs, twice; then into the state and out of it.
        flops=2.0 * batch * heads * length * width * (CHUNK + 2 * width),
    )


def scan(shape: tuple[int, int, int], device: str) -> Case:
    """Channels of 16 complex modes each."""
    torch.manual_seed(0)
    u = torch.randn(shape, device=device, dtype=torch.bfloat16)
    radius = -torch.rand(shape[1], MODES, device=device) * 0.1
    angle, *residues = (torch.randn(shape[1], MODES, device=device) for _ in range(3))
    skip, part = torch.randn(shape[1], device=device), edges(1)
    given = (radius, angle, *residues, skip)
    return Case(
        f"ssm_scan {'x'.join(map(str, shape))}, {MODES} modes",
        {"eager": eager(ssm_scan, u, *given), "torch.compile": compiled(ssm_scan, u, *given)},
        {"ours": ours(call_with(torch.ops.regraft.ssm_scan.default, u, *given), _out)},
        expected=in_fp64(_outputs_of(ssm_scan), part(u), *given),
        part=lambda result: part(_out(result)),
        bytes=nbytes(u, u, given),
    )


def by_fla(q: Tensor, k: Tensor, v: Tensor, decay: Tensor) -> Run:
    """flash-linear-attention, on its own layout [B, T, H, D]."""
    from fla.ops.simple_gla import chunk_simple_gla

    q, k, v, gate = (tensor.transpose(1, 2).contiguous() for tensor in (q, k, v, decay))

    def run() -> Tensor:
        return chunk_simple_gla(q, k, v, g=gate, scale=1.0)[0].transpose(1, 2)

    return run


def by_mamba(q: Tensor, k: Tensor, v: Tensor, decay: Tensor) -> Run:
    """Mamba-2's SSD, on its own layout: with A = -1 a step is -decay long, and multiplies its input."""
    from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined

    step = -decay.transpose(1, 2).contiguous()
    c, b, x = (tensor.transpose(1, 2).contiguous() for tensor in (q, k, v))
    x = (x / step.unsqueeze(-1)).to(v.dtype)
    rate = -torch.ones(x.shape[2], device=x.device)

    def run() -> Tensor:
        return mamba_chunk_scan_combined(x, step, rate, b, c, CHUNK).transpose(1, 2)

    return run


def inputs(shape: tuple[int, ...], device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """q, k, v, and the logarithm of what is kept at each step."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(shape, device=device, dtype=torch.bfloat16) for _ in range(3))
    return q / shape[-1] ** 0.5, k, v, -torch.rand(shape[:3], device=device) * 0.1 - 0.01


def tunable(device: str) -> Iterator[Call]:
    """Calls for the cost table."""
    for width in (64, 128):
        for length in (1024, 4096):
            yield call_with(LINEAR_ATTENTION, *inputs((2, 16, length, width), device))


def _out(result: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    return result if isinstance(result, Tensor) else result[0]


def _outputs_of(operator):
    return lambda *given: operator(*given)[0]


LINEAR_ATTENTION = torch.ops.regraft.linear_attention.default
