"""Interleaved timing: every variant in turn, so that a drift of the machine falls on all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from regraft.frontend.bench import distance, milliseconds

from .results import Row


def compare(
    case: str,
    variants: Mapping[str, Callable[[], Any]],
    *,
    baseline: str,
    reference: str = "eager",
    seconds: float = 20.0,
    least: int = 5,
    most: int = 50,
    notes: Mapping[str, Mapping[str, float | str]] | None = None,
) -> list[Row]:
    """Time variants in turn for about ``seconds``; ratios are medians over pairs with ``baseline`` of the same round.

    The first call of each warms up (and compiles); its output is compared with that of ``reference``.
    """
    outputs = {name: call() for name, call in variants.items()}
    for call in variants.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in variants}
    start, rounds = time.perf_counter(), 0
    while rounds < least or (rounds < most and time.perf_counter() - start < seconds):
        for name, call in variants.items():
            times[name].append(milliseconds(call))
        rounds += 1
    expected = outputs[reference]
    return [
        Row(
            case,
            name,
            median(taken),
            min(taken),
            max(taken),
            rounds,
            match=distance(outputs[name], expected),
            ratio=median(theirs / ours for theirs, ours in zip(times[baseline], taken, strict=True)),
            baseline=baseline,
            notes=dict((notes or {}).get(name, {})),
        )
        for name, taken in times.items()
    ]
