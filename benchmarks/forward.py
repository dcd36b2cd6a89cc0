"""Forward of each real model: eager, ``torch.compile``, and regraft's two ways in. Goal: never below 0.98x of Inductor.

Batches and lengths are those people use on such a device; weights are pretrained where the model has any.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import regraft
import torch
from torch import nn

from .results import Row
from .timing import compare

Case = tuple[str, nn.Module, Any]


def cases(quick: bool) -> Iterator[Case]:
    """Name, model and inputs of every case."""
    from examples.models import dit, hyena_lm, minilm, smollm2, stories15m, terrain, whisper

    def language(name: str, module: Any, shapes: list[tuple[int, int]]) -> Iterator[Case]:
        model, inputs = module.load()
        row = inputs["input_ids"].flatten()
        for batch, length in shapes:
            ids = row.repeat(batch * length // len(row) + 1)[: batch * length].view(batch, length)
            yield f"{name} {batch}x{length}", model, {"input_ids": ids, "use_cache": False}

    yield from language("stories15m", stories15m, [(1, 64)] if quick else [(1, 256), (16, 256)])
    yield ("dit 4x192", *dit.load())
    yield ("hyena_lm 4x256, 1x1024", *hyena_lm.load())
    if quick:
        return
    yield ("minilm", *minilm.load())
    yield ("whisper-tiny.en", *whisper.load())
    yield ("terrain U-Net", *terrain.load())
    yield from language("smollm2", smollm2, [(1, 128), (4, 256)])


def run(device: str, quick: bool) -> list[Row]:
    """Time all cases."""
    rows: list[Row] = []
    for name, model, inputs in cases(quick):
        moved = move(inputs, device)
        rows += compare_ways(name, model.to(device), moved, seconds=2 if quick else 10, optimized=False)
        torch._dynamo.reset()
    return rows


def compare_ways(name: str, model: nn.Module, inputs: Any, seconds: float, *, optimized: bool = True) -> list[Row]:
    """Eager, Inductor, the regraft backend and, if ``optimized``, ``regraft.optimize(compile=True)`` on one model."""
    variants = {
        "eager": model,
        "inductor": torch.compile(copy.copy(model), dynamic=False),
        "backend=regraft": torch.compile(copy.copy(model), backend="regraft", dynamic=False),
    }
    if optimized:
        variants["optimize(compile)"] = regraft.optimize(model, inputs, check="off", compile=True, timing_runs=0)
    calls = {variant: caller(module, inputs) for variant, module in variants.items()}
    return compare(name, calls, baseline="inductor", seconds=seconds)


def caller(module: Any, inputs: Any) -> Callable[[], Any]:
    """A call of the module on its inputs without gradients."""

    @torch.no_grad()
    def call() -> Any:
        return module(**inputs) if isinstance(inputs, dict) else module(*inputs)

    return call


def move(inputs: Any, device: str) -> Any:
    """Inputs on a device."""
    return torch.utils._pytree.tree_map_only(torch.Tensor, lambda tensor: tensor.to(device), inputs)
