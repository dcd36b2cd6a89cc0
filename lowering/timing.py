"""Time calls against each other: in turn, so that a drift of the machine falls on all alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

FLUSHED_BYTES = 256 << 20
"""Written before a call is timed on a GPU; more than the L2 cache of any."""
QUEUED_CYCLES = 2_000_000
"""About a millisecond of waiting, while the host queues a call."""


def in_turn(
    calls: Mapping[str, Callable[[], Any]],
    *,
    seconds: float,
    least: int = 5,
    most: int = 1 << 30,
    measure: Callable[[Callable[[], Any]], float] | None = None,
) -> dict[str, list[float]]:
    """Milliseconds of every call, round after round for about ``seconds``, at least ``least`` and at most ``most``.

    ``measure`` times one call: :func:`milliseconds`, unless another is given.
    """
    measure = measure or milliseconds
    times: dict[str, list[float]] = {name: [] for name in calls}
    end, rounds = time.perf_counter() + seconds, 0
    while calls and (rounds < least or (rounds < most and time.perf_counter() < end)):
        for name, call in calls.items():
            times[name].append(measure(call))
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


def device_milliseconds(call: Callable[[], Any]) -> float:
    """Time that a GPU spends on one call, between CUDA events, with nothing of it in the L2 cache.

    The GPU is kept waiting while the call is queued, so that what the host needs for it does not count, as long as that
    is less than :data:`QUEUED_CYCLES`. Without a GPU it is :func:`milliseconds`.
    """
    if not torch.cuda.is_available():
        return milliseconds(call)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.empty(FLUSHED_BYTES, dtype=torch.int8, device="cuda").zero_()
    torch.cuda._sleep(QUEUED_CYCLES)
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def distance(output: Any, expected: Any) -> float:
    """Largest relative l2 distance over the floating-point tensors of two outputs; infinite where there is a NaN."""
    pairs = [
        (a.detach().double(), b.detach().double())
        for a, b in zip(tree_leaves(output), tree_leaves(expected), strict=True)
        if isinstance(b, Tensor) and b.is_floating_point()
    ]
    found = [float((a - b).norm() / b.norm().clamp_min(1e-300)) for a, b in pairs]
    return max((math.inf if math.isnan(each) else each for each in found), default=0.0)
