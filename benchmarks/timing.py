"""Interleaved timing: every variant in turn, so that a drift of the machine falls on all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from regraft.lowering.timing import distance, in_turn

from .results import Row


def compare(
    case: str,
    variants: Mapping[str, Callable[[], Any]],
    *,
    baseline: str,
    reference: str = "eager",
    expected: Any = None,
    seconds: float = 20.0,
    least: int = 5,
    most: int = 50,
    notes: Mapping[str, Mapping[str, float | str]] | None = None,
) -> list[Row]:
    """Time variants in turn for about ``seconds``; ratios are medians over pairs with ``baseline`` of the same round.

    The first call of each warms up (and compiles); its output is compared with ``expected``, or with that of the
    variant ``reference``.
    """
    outputs = {name: call() for name, call in variants.items()}
    for call in variants.values():
        call()
    times = in_turn(variants, seconds=seconds, least=least, most=most)
    expected = outputs[reference] if expected is None else expected
    return [
        Row(
            case,
            name,
            median(taken),
            min(taken),
            max(taken),
            len(taken),
            match=distance(outputs[name], expected),
            ratio=median(theirs / ours for theirs, ours in zip(times[baseline], taken, strict=True)),
            baseline=baseline,
            notes=dict((notes or {}).get(name, {})),
        )
        for name, taken in times.items()
    ]
