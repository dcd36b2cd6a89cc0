"""Hyena forward in eval: filters folded. Goal: at least 2x Inductor at batch 1."""

from __future__ import annotations

from .forward import compare_ways, move
from .results import Row


def run(device: str, quick: bool) -> list[Row]:
    """Time a Hyena language model at several batch sizes and lengths."""
    import torch

    from examples.models import hyena_lm

    sizes = [(1, 256)] if quick else [(1, 1024), (1, 4096), (8, 1024)]
    rows: list[Row] = []
    for batch, length in sizes:
        model, inputs = hyena_lm.load(batch=batch, length=length, dim=256, layers=4)
        rows += compare_ways(
            f"hyena 4x256, {batch}x{length}", model.to(device), move(inputs, device), 2 if quick else 20
        )
        torch._dynamo.reset()
    return rows
