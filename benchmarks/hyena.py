"""Hyena forward in eval: filters folded. Goal: at least 2x Inductor at batch 1.

The convolution with its implicit filter is shown beside whole models of published shapes: the recall task of the paper
(Poli et al., arXiv 2302.10866, section 4.1) and HyenaDNA (Nguyen et al., arXiv 2306.15794), one sequence at a time, and
the model of the examples. What a whole model gains depends on how much of its time the filters take.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .forward import compare_ways, move
from .results import Row

PUBLISHED: dict[str, tuple[dict[str, int], tuple[int, ...]]] = {
    "recall 2x64": ({"layers": 2, "dim": 64, "vocab": 30}, (1024, 8192)),
    "hyenadna-tiny 2x128": ({"layers": 2, "dim": 128, "vocab": 16}, (1024, 16384)),
    "hyenadna-small 4x256": ({"layers": 4, "dim": 256, "vocab": 16}, (32768,)),
}
"""Sizes, and the lengths the models are published for."""


class GatedConvolution(nn.Module):
    """What a Hyena operator does between its projections: ``conv(v * x1, filter) * x0``, the filter implicit."""

    def __init__(self, operator: Any) -> None:
        super().__init__()
        self.filter_fn = operator.filter_fn

    def forward(self, v: Tensor, x1: Tensor, x0: Tensor) -> Tensor:
        """Streams ``[B, D, L]``."""
        from examples.hyena import long_conv

        taps = self.filter_fn.filter(v.shape[-1])[0]
        return long_conv(v * x1, taps, self.filter_fn.bias) * x0


def run(device: str, quick: bool) -> list[Row]:
    """Time the convolution and whole models at several batch sizes and lengths."""
    from examples.models import hyena_lm

    seconds = 2 if quick else 6
    rows: list[Row] = []
    for batch, length in [(1, 256)] if quick else [(1, 1024), (1, 4096), (8, 1024)]:
        model, inputs = hyena_lm.load(batch=batch, length=length, dim=256, layers=4)
        model = model.to(device)
        convolution = GatedConvolution(model.layers[0].mixer).eval()
        streams = tuple(torch.randn(3, batch, 256, length, device=device).unbind())
        rows += compare_ways(f"gated convolution of 256, {batch}x{length}", convolution, streams, seconds)
        rows += compare_ways(f"hyena 4x256, {batch}x{length}", model, move(inputs, device), seconds)
        torch._dynamo.reset()
    for name, (sizes, lengths) in PUBLISHED.items():
        for length in lengths[:1] if quick else lengths:
            model, inputs = hyena_lm.load(length=length, **sizes)
            rows += compare_ways(f"{name}, 1x{length}", model.to(device), move(inputs, device), seconds)
            torch._dynamo.reset()
    return rows
