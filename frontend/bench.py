"""Time programs against each other: in turn, so that a drift of the machine falls on all alike, each with its match."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from ..compiler.errors import RegraftError
from ..compiler.execute import flat_arguments
from ..compiler.program import Program
from ..lowering.dissolve import dissolve
from ..lowering.timing import distance, in_turn


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one variant over all rounds."""

    name: str
    median_ms: float
    low_ms: float
    """The first quartile."""
    high_ms: float
    """The third quartile."""
    first_s: float
    """Seconds of the first call, compilation included."""
    match: float
    """Largest relative l2 distance of an output from that of the reference."""
    ratio: float
    """How many times faster than its baseline, as the median over rounds."""
    rounds: int


def runner(program: Program, user: list[Any], *, compiled: bool) -> Callable[[], Any]:
    """A call of the program on a copy of the inputs, eager or compiled with Inductor; weights are prepared once."""
    module = program.module if compiled else dissolve(program)
    with torch.no_grad():
        arguments = flat_arguments(program, copy.deepcopy(user))
    call: Any = torch.compile(module, dynamic=bool(program.ranges)) if compiled else module

    def run() -> Any:
        with torch.set_grad_enabled(program.training):
            return call(*arguments)

    return run


def compare_speed(
    variants: Mapping[str, Callable[[], Any]],
    baselines: Mapping[str, str],
    *,
    seconds: float,
    least: int = 5,
    reference: Any = None,
) -> list[Timing]:
    """Time variants in turn for about ``seconds`` and at least ``least`` rounds.

    Outputs are held against ``reference``, or else against that of the first variant.
    """
    outputs, firsts = {}, {}
    for name, call in variants.items():
        start = time.perf_counter()
        try:
            outputs[name] = call()
        except RegraftError:
            raise
        except Exception as error:
            raise RegraftError(
                f"{name} cannot be run: {type(error).__name__}: {str(error).splitlines()[0]}",
                hint="regraft doctor looks at compilers; --eager times without Inductor",
            ) from error
        firsts[name] = time.perf_counter() - start
    times = in_turn(variants, seconds=seconds, least=least)
    reference = next(iter(outputs.values())) if reference is None else reference
    found: list[Timing] = []
    for name, taken in times.items():
        ordered = sorted(taken)
        ratios = [theirs / ours for theirs, ours in zip(times[baselines.get(name, name)], taken, strict=True)]
        low, high = ordered[len(ordered) // 4], ordered[-1 - len(ordered) // 4]
        match = distance(outputs[name], reference)
        found.append(Timing(name, median(taken), low, high, firsts[name], match, median(ratios), len(taken)))
    return found
