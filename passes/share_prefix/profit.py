"""Whether splitting an attention pays: what it should take whole and in parts.

Whole, every row reads its own copy of all keys. In parts, each copy is read once, rows that share it are multiplied
with it as a matrix, and the parts are merged. On a CPU both are read off the table of measured attention
(:func:`regraft.kernels.attention.cost.attention_seconds`); where nothing was measured they are taken as (bytes /
bandwidth + work / rate), which tells the large gains from the losses, not neighbours from each other: hence the margin
that ``share-prefix`` asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ...kernels.attention.cost import attention_seconds
from ...lowering.targets import Target, target_of


@dataclass(frozen=True)
class Rates:
    """What a device attains in attention."""

    flops: float
    """Of products of matrices, per second."""
    bytes: float
    """From memory, per second."""
    call: float
    """Seconds that a part costs beside its work."""
    table: tuple[Target, torch.dtype] | None = None
    """The device and dtype whose measurements are asked before the rates are."""


CPU = Rates(45e9, 12e9, 1e-4)
"""One core with AVX-512 in fp32 (``python -m benchmarks shared_prefix``). More cores move both rates alike, so that the
ratio of whole to parts stays; a narrower CPU is slower at products, which the margin is for."""
GPU_CALL = 1e-5
MIN_ROWS = 3
"""Two rows cannot gain more than twofold, which a merge and a wrong estimate soon eat up."""
MEASURED_AS = {torch.float64: torch.float32, torch.float16: torch.bfloat16}
"""The measured dtype in whose place another stands: whole and parts change alike."""


@dataclass(frozen=True)
class Level:
    """Keys of one segment: how many positions, and how many copies of them."""

    length: int
    copies: int


@dataclass(frozen=True)
class Shape:
    """The sizes of one attention call."""

    rows: int
    heads: int
    kv_heads: int
    queries: int
    features: int
    """Of a key and a value together."""
    itemsize: int


def rates_of(device: torch.device, dtype: torch.dtype) -> Rates | None:
    """Rates of a device; ``None`` for one of which nothing is known."""
    target: Target = target_of(device)
    if target.kind == "cpu":
        return replace(CPU, table=(target, MEASURED_AS.get(dtype, dtype)))
    if not target.known:
        return None
    return Rates(target.matmul_rate(dtype), target.memory_rate, GPU_CALL)


def predicted_gain(shape: Shape, levels: Sequence[Level], rates: Rates) -> float:
    """Seconds of the whole over seconds of the parts; above one is a gain."""
    length = sum(level.length for level in levels)
    whole = _seconds(shape, Level(length, shape.rows), rates)
    parts = sum(_seconds(shape, level, rates) for level in levels)
    if len(levels) > 1:
        # Outputs in fp32 are read and written once more for each part.
        merged = 2 * (len(levels) + 1) * shape.rows * shape.heads * shape.queries * shape.features // 2 * 4
        parts += merged / rates.bytes + rates.call
    return whole / parts


def _seconds(shape: Shape, level: Level, rates: Rates) -> float:
    # Rows of queries that read one copy of one head's keys, and how often that is.
    rows = shape.rows // level.copies * (shape.heads // shape.kv_heads) * shape.queries
    stacks = level.copies * shape.kv_heads
    if rates.table is not None and level.length:
        target, dtype = rates.table
        measured = attention_seconds(stacks, max(rows, 1), level.length, shape.features // 2, dtype, target)
        if measured is not None:
            return measured + rates.call
    read = stacks * level.length * shape.features * shape.itemsize
    work = 2 * shape.rows * shape.heads * shape.queries * level.length * shape.features
    # One query a copy is a product of a matrix and a vector: its work hides behind the reading.
    busy = work / rates.flops if rows > 1 else 0.0
    return read / rates.bytes + busy + rates.call
