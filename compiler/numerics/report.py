"""What a numeric check found: one record for two programs, one report for a pipeline."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, cast

from ..passes import Numerics
from .compare import QUANTILE, Comparison


@dataclass(frozen=True)
class NumericsRecord:
    """How the values of a program fared under one pass (or one pipeline)."""

    pass_name: str
    numerics: Numerics
    comparisons: tuple[Comparison, ...]
    bound: float | None = None
    """Relative l2 error an approximation states for its outputs, if it states one."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def failures(self) -> tuple[Comparison, ...]:
        """The comparisons outside of what the pass promises; an approximation without a bound promises nothing."""
        if self.numerics is Numerics.EXACT:
            return tuple(comparison for comparison in self.comparisons if not comparison.ok)
        if self.bound is None:
            return ()
        outputs = (comparison for comparison in self.comparisons if comparison.kind in ("output", "mutated"))
        return tuple(comparison for comparison in outputs if not comparison.within(self.bound))

    @property
    def ok(self) -> bool:
        """Whether the pass kept its promise."""
        return not self.failures

    @property
    def worst(self) -> Comparison | None:
        """The comparison that used most of the tolerance of an exact pass, or went furthest beyond it."""
        return max(self.comparisons, key=Comparison.excess, default=None)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary; NaN and infinities, which JSON lacks, are texts."""
        return {
            "pass": self.pass_name,
            "numerics": self.numerics.value,
            "ok": self.ok,
            "bound": self.bound,
            "notes": list(self.notes),
            "seconds": self.seconds,
            "comparisons": [_comparison_json(comparison) for comparison in self.comparisons],
        }

    def __str__(self) -> str:
        """A line for the pass and its worst value, then one for every failure and note."""
        verdict = "ok" if self.ok else f"{len(self.failures)} of {len(self.comparisons)} values fail"
        if self.ok and self.numerics is not Numerics.EXACT and self.bound is None:
            verdict = "no bound stated"
        lines = [f"{self.pass_name} ({self.numerics.value}): {verdict}, {len(self.comparisons)} values compared"]
        if self.ok and self.worst is not None:
            lines.append(f"  worst: {self.worst}")
        lines += [f"  {comparison}" for comparison in self.failures]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


@dataclass(frozen=True)
class NumericsReport:
    """The records of a pipeline, in order; passes that changed nothing have none."""

    records: tuple[NumericsRecord, ...]
    mode: str = "each"

    @property
    def ok(self) -> bool:
        """Whether every pass kept its promise."""
        return all(record.ok for record in self.records)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for ``--json``."""
        records = [record.to_json() for record in self.records]
        return {"ok": self.ok, "mode": self.mode, "quantile": QUANTILE, "records": records}

    def __str__(self) -> str:
        """The records one after another."""
        return "\n".join(map(str, self.records)) if self.records else "nothing was rewritten, so nothing to compare"


def _comparison_json(comparison: Comparison) -> dict[str, Any]:
    record = asdict(comparison)
    record["shape"], record["problems"] = list(comparison.shape), list(comparison.problems)
    record |= {"ok": comparison.ok, "exceeded": list(comparison.exceeded), "allowed": asdict(comparison.allowed)}
    return _plain(record)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in cast("dict[str, Any]", value).items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
