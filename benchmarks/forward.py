"""Forward of each real model: eager, ``torch.compile``, and regraft's two ways in. Goal: never below 0.98x of Inductor.

Batches and lengths are those people use on such a device; weights are pretrained where the model has any.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import regraft
import torch
from regraft.frontend.weights import WeightsUnavailable
from torch import nn

from .results import Row
from .timing import compare

Case = tuple[str, nn.Module, Any]


def cases(quick: bool) -> Iterator[Case]:
    """Name, model and inputs of every case whose weights are to be had; the others are named and left out."""
    from examples.models import dit, hyena_lm, minilm, smollm2, stories15m, terrain, whisper

    loaders: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
        "stories15m 1x256": partial(stories15m.load, 1, 256),
        "dit 4x192": dit.load,
        "hyena_lm 4x256, 1x1024": hyena_lm.load,
    }
    if not quick:
        loaders |= {
            "stories15m 16x256": partial(stories15m.load, 16, 256),
            "minilm": minilm.load,
            "whisper-tiny.en": whisper.load,
            "smollm2 1x128": partial(smollm2.load, 1, 128),
            "terrain U-Net": terrain.load,
        }
    for name, load in loaders.items():
        try:
            yield (name, *load())
        except WeightsUnavailable as reason:
            print(f"{name} is left out: {reason}")


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
