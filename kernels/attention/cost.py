"""What attention takes on a CPU, from measurements: the shape buckets of the cost table, and what lies between them.

A *stack* is the rows of queries that read the keys and values of one head, of one batch element or of a whole batch
that shares them. Time is proportional to the number of stacks; over rows and keys it goes from a stream of keys and
values, at one row, to matrix products, and no formula for that holds from machine to machine.
:func:`attention_seconds` reads it off the table, and abstains where nothing was measured.
"""

from __future__ import annotations

import math
from bisect import bisect_right

import torch

from ...compiler.values import dtype_text
from ...lowering.costs import Key, look_up
from ...lowering.targets import Target

ROWS = (1, 4, 16, 64, 256, 1024, 4096)
KEYS = (16, 64, 256, 1024, 4096, 16384)
FEATURES = (64, 128)
MOST_PAIRS = 2**24
"""Of a row and a key in a measured call."""


def bucket(rows: int, keys: int, features: int) -> str:
    """``"rows 64, keys 1024, features 64"``: the least measured size that is not below; the last stands for all."""
    rows = _least(ROWS, rows)
    return f"rows {rows}, keys {_least(keys_of(rows), keys)}, features {_least(FEATURES, features)}"


def keys_of(rows: int) -> tuple[int, ...]:
    """The numbers of keys that are measured with so many rows."""
    # With one row every lowering is a stream, and over more keys fp32 sums are further than the tuner's 1e-6 from fp64.
    return tuple(keys for keys in KEYS if keys * rows <= (4096 if rows == 1 else MOST_PAIRS))


def stacks_of(rows: int, keys: int, features: int) -> int:
    """How many stacks the measured call of a bucket has: enough that keys and values come from memory."""
    return max(1, min(2**23 // (keys * features), MOST_PAIRS // (rows * keys), 512))


def attention_seconds(
    stacks: int, rows: int, keys: int, features: int, dtype: torch.dtype, target: Target, lowering: str = ""
) -> float | None:
    """Predicted seconds of unmasked attention of ``rows`` queries over ``keys`` keys, ``stacks`` times, eagerly.

    By the named lowering of ``attention_lse``, or the one that was measured to be fastest. Between measured sizes the
    logarithm is interpolated over those of rows and keys; beyond the largest, time is proportional. ``None`` for a
    device that is no CPU, and for what the table lacks.
    """
    if target.kind != "cpu":
        return None
    width, found = _least(FEATURES, features), 0.0
    for row, row_share in _neighbours(ROWS, rows):
        for key, key_share in _neighbours(keys_of(row), keys):
            measured = _measured(row, key, width, dtype, target, lowering)
            if measured is None:
                return None
            # Beyond the last measured number of keys for these rows, in proportion.
            found += row_share * key_share * math.log(measured * max(1.0, keys / keys_of(row)[-1]))
    return stacks * math.exp(found) * max(1.0, rows / ROWS[-1]) * max(1.0, features / FEATURES[-1])


def _measured(rows: int, keys: int, features: int, dtype: torch.dtype, target: Target, lowering: str) -> float | None:
    """Seconds of one stack in the measured call of a bucket."""
    named = bucket(rows, keys, features)
    key = Key(target.name, "-", torch.__version__, "attention_lse", dtype_text(dtype), "eager", named)
    found = look_up(key, on_cpu=True).measured
    times = [each.seconds for name, each in found.items() if not each.rejected and lowering in ("", name)]
    return min(times) / stacks_of(rows, keys, features) if times else None


def _neighbours(sizes: tuple[int, ...], size: int) -> list[tuple[int, float]]:
    """The measured sizes around one, with their shares on a logarithmic scale."""
    above = bisect_right(sizes, size)
    if above == 0 or above == len(sizes):
        return [(sizes[min(above, len(sizes) - 1)], 1.0)]
    low, high = sizes[above - 1], sizes[above]
    share = math.log(size / low) / math.log(high / low)
    return [(low, 1 - share), (high, share)] if share else [(low, 1.0)]


def _least(sizes: tuple[int, ...], size: int) -> int:
    return next((known for known in sizes if known >= size), sizes[-1])
