"""Time calls against each other: in turn, so that a drift of the machine falls on all alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves


def in_turn(
    calls: Mapping[str, Callable[[], Any]], *, seconds: float, least: int = 5, most: int = 1 << 30
) -> dict[str, list[float]]:
    """Milliseconds of every call, round after round for about ``seconds``, at least ``least`` and at most ``most``."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    end, rounds = time.perf_counter() + seconds, 0
    while calls and (rounds < least or (rounds < most and time.perf_counter() < end)):
        for name, call in calls.items():
            times[name].append(milliseconds(call))
        rounds += 1
    return times


def milliseconds(call: Callable[[], Any]) -> float:
    """Wall time of one call; CUDA work is waited for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


def distance(output: Any, expected: Any) -> float:
    """Largest relative l2 distance over the floating-point tensors of two outputs; infinite where there is a NaN."""
    pairs = [
        (a.detach().double(), b.detach().double())
        for a, b in zip(tree_leaves(output), tree_leaves(expected), strict=True)
        if isinstance(b, Tensor) and b.is_floating_point()
    ]
    found = [float((a - b).norm() / b.norm().clamp_min(1e-300)) for a, b in pairs]
    return max((math.inf if math.isnan(each) else each for each in found), default=0.0)
