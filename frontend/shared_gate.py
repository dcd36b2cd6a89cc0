"""Whether sharing a prefix pays for a batch, level by level: the gate of the pass ``share-prefix``, for eager models.

A level that does not pay is copied to the level below it, or to the rows, whose decoding is then that of the model
without sharing. Nothing is decided before the first tokens after the prefix are there, since they bring the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from ..compiler.remarks import Remark

EAGER_CALL = 2e-4
"""Seconds that a part costs a CPU beside its work where nothing is compiled (two parts and their merge took 4e-4)."""


@dataclass(frozen=True)
class Gate:
    """What sharing must be predicted to gain, for attention with so many query heads."""

    heads: int
    min_gain: float | None = None
    """That of the pass if ``None``; 0 shares every level."""

    def decide(
        self, levels: Sequence[tuple[int, int]], keys: Tensor, values: Tensor, fixed: Sequence[int] = ()
    ) -> Decision:
        """For levels of (positions, nodes) and the first own keys and values [B, Hkv, S, D]; ``fixed`` cannot join."""
        from ..passes.share_prefix import SharePrefix
        from ..passes.share_prefix.merging import best
        from ..passes.share_prefix.profit import MIN_ROWS, Level, Shape, rates_of

        limits = SharePrefix()
        min_gain = limits.min_gain if self.min_gain is None else self.min_gain
        rows, kv_heads, own, width = keys.shape
        prefix = sum(length for length, nodes in levels if nodes < rows)
        shape = Shape(rows, self.heads, kv_heads, 1, width + values.shape[3], keys.element_size())
        rates = rates_of(keys.device, keys.dtype)
        keep, gain = (True,) * len(levels), 0.0
        if min_gain and prefix < limits.min_prefix:
            message = f"{prefix} shared positions are fewer than {limits.min_prefix}"
            return self._declined(len(levels), "short-prefix", message, {"prefix": prefix})
        if min_gain and rows < MIN_ROWS:
            message = f"{rows} rows share too little for the parts to be worth their merge"
            return self._declined(len(levels), "few-rows", message, {"rows": rows, "min_rows": MIN_ROWS})
        if min_gain and rates is not None:
            if keys.device.type == "cpu":
                rates = replace(rates, call=EAGER_CALL)
            below = [Level(*level) for level in levels] + [Level(own, rows)]
            chosen, gain = best(shape, below, rates, fixed)
            numbers = {"predicted_gain": gain, "min_gain": min_gain, "prefix": prefix, "rows": rows}
            if gain < min_gain:
                message = f"attention in parts is predicted to be {gain:.2f}x as fast"
                return self._declined(len(levels), "no-gain", message, numbers)
            keep = chosen[:-1]
        shared = " + ".join(f"{n} x {nodes}" for (n, nodes), kept in zip(levels, keep, strict=True) if kept)
        message = f"{rows} rows share {shared} (positions x copies)"
        numbers = {"predicted_gain": gain} if gain else {}
        return Decision(keep, Remark("passed", limits.name, "", "rewritten", message, numbers=numbers))

    @staticmethod
    def _declined(levels: int, code: str, message: str, numbers: dict[str, float]) -> Decision:
        unblock = "share_prefix(..., min_gain=0)"
        remark = Remark("missed", "share-prefix", "", code, message, numbers=numbers, unblock=unblock)
        return Decision((False,) * levels, remark)


@dataclass(frozen=True)
class Decision:
    """Which levels are attended apart, and why."""

    keep: tuple[bool, ...]
    remark: Remark
