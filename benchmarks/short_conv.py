"""A short causal convolution with a gate, compiled for a CPU: mkldnn's call against shifted products.

This is the measurement behind ``lower-short-conv``.
"""

from __future__ import annotations

import regraft
import torch
from torch import nn

from .forward import caller
from .results import Row
from .timing import compare


class GatedConv(nn.Module):
    """``gate * conv(u)`` over ``[B, L, C]``, as Hyena's projections run it."""

    def __init__(self, channels: int, taps: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, taps, padding=taps - 1, groups=channels)

    def forward(self, u: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """``u`` and ``gate`` ``[B, L, C]``."""
        return self.conv(u.transpose(1, 2))[..., : u.shape[1]].transpose(1, 2) * gate


def run(device: str, quick: bool) -> list[Row]:
    """Time 3 taps at several sizes."""
    rows: list[Row] = []
    for batch, channels, length in [(1, 64, 128)] if quick else [(1, 192, 1024), (1, 768, 4096), (8, 768, 1024)]:
        torch.manual_seed(0)
        model = GatedConv(channels, 3).eval()
        inputs = tuple(torch.randn(2, batch, length, channels).unbind())
        ways = {"eager": model, "inductor": torch.compile(model, dynamic=False)}
        ways["products"] = regraft.optimize(model, inputs, check="off", compile=True, timing_runs=0)
        calls = {name: caller(module, inputs) for name, module in ways.items()}
        case = f"{batch}x{length}x{channels}, 3 taps"
        rows += compare(case, calls, baseline="inductor", seconds=1 if quick else 5, most=400)
        torch._dynamo.reset()
    return rows
