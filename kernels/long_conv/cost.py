"""What a long convolution by matrix products costs, and how its transform is best factored (FlashFFTConv, section 3.2).

A transform of N = N_1 N_2 ... N_p points is p stages, each a product with a DFT matrix of N_i and a twiddle. One
convolution, forward and back, over B sequences of H channels takes

    C = B H sum_i ( 16 N N_i / gamma(N_i) + 4 N / omega_i )

with gamma the rate of the matrix units where N_i is wide enough for them (16), else that of the general ones, and
omega_i the bandwidth of shared memory for the stages whose sequence fits there, else that of device memory. Bytes are
counted for halves, 4 a complex sample; operands in fp32 take twice as many and are multiplied on the general units.

:func:`plan` gives the cheapest factorisation that fits a target's shared memory: outer stages through device memory
until the rest of the sequence fits into one block, as in FlashFFTConv's kernels for long sequences.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ...compiler.rules import Decline
from ...lowering.targets import Target

NARROWEST, WIDEST = 16, 128
"""Sides of a DFT matrix that the matrix units multiply in one tile."""
ORDERS = (2, 3, 4)
_TILES = 4
"""Complex tiles of its whole sequence that a block is taken to hold. Of the 64 KB planned for 4096 points in bf16
Triton 3.7 takes 32 for sm_80 and 48 for sm_90; of the 256 for 8192 points in fp32 it takes all for sm_90."""


@dataclass(frozen=True)
class Plan:
    """A factorisation and where its stages run."""

    factors: tuple[int, ...]
    """Outermost first; their product is the size of the transform."""
    outer: int
    """How many of them are stages of their own, through device memory; the others share a block."""
    shared_bytes: int
    """What a block needs at most."""
    seconds: float
    """Predicted for the convolution of one row, without its inputs and outputs."""

    @property
    def order(self) -> int:
        """Number of factors."""
        return len(self.factors)


def fft_conv_seconds(
    batch: int,
    channels: int,
    factors: Sequence[int],
    target: Target,
    dtype: torch.dtype = torch.bfloat16,
    *,
    outer: int,
) -> float:
    """The cost model's seconds for ``batch`` x ``channels`` sequences; ``ValueError`` for a target without peaks."""
    size, width = math.prod(factors), dtype.itemsize
    seconds = 0.0
    for at, factor in enumerate(factors):
        rate = target.matmul_rate(dtype) if factor >= NARROWEST else target.general_rate
        bandwidth = target.memory_rate if at < outer else target.sram_rate
        seconds += 16 * size * factor / rate + 2 * width * size / bandwidth
    return batch * channels * seconds


def shared_bytes(points: int, dtype: torch.dtype) -> int:
    """What one block needs at most for a sequence of this many complex points."""
    return _TILES * 2 * dtype.itemsize * points


def plan(
    size: int,
    target: Target,
    dtype: torch.dtype = torch.bfloat16,
    *,
    one_block: bool = False,
    narrowest: int = NARROWEST,
) -> Plan | Decline:
    """The cheapest way to transform ``size`` points, a power of two, on a target with published peaks.

    ``one_block`` takes no outer stages. Factors below ``narrowest`` are left out: the model prices smaller ones on the
    general units, but a tile kernel has no product for them.
    """
    if not target.known:
        return Decline("device", f"no published peaks are known for {target.name}")
    factored = list(factorisations(size, narrowest))
    if not factored:
        return Decline("size", f"{size} points are no product of 2 to 4 powers of two from {narrowest} to {WIDEST}")
    plans = [found for factors in factored if (found := _placed(factors, target, dtype, one_block)) is not None]
    if plans:
        return min(plans, key=lambda each: (each.seconds, each.order))
    needed, where = shared_bytes(size, dtype), "in one block " if one_block else ""
    message = f"{size} points in {dtype} {where}need {needed} bytes of shared memory, {target.name} has"
    numbers = {"bytes": needed, "limit": target.shared_bytes}
    return Decline("shared-memory", f"{message} {target.shared_bytes}", numbers)


def factorisations(size: int, narrowest: int = NARROWEST) -> Iterator[tuple[int, ...]]:
    """The ways to write a size as 2 to 4 powers of two from ``narrowest`` to :data:`WIDEST`, the largest first."""
    for order in ORDERS:
        yield from _split(size, order, narrowest, WIDEST)


def _split(size: int, order: int, narrowest: int, widest: int) -> Iterator[tuple[int, ...]]:
    if order == 1:
        if narrowest <= size <= widest and size & (size - 1) == 0:
            yield (size,)
        return
    factor = widest
    while factor >= narrowest:
        if size % factor == 0:
            yield from ((factor, *rest) for rest in _split(size // factor, order - 1, narrowest, factor))
        factor //= 2


def _placed(factors: tuple[int, ...], target: Target, dtype: torch.dtype, one_block: bool) -> Plan | None:
    """The plan with the fewest outer stages that fits; at least two stages share a block."""
    for outer in range(1 if one_block else len(factors) - 1):
        needed = shared_bytes(math.prod(factors[outer:]), dtype)
        if needed <= target.shared_bytes:
            return Plan(factors, outer, needed, fft_conv_seconds(1, 1, factors, target, dtype, outer=outer))
    return None
