"""The account of what a pipeline did to a model: passes, verdicts by site, numerics, gain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ..compiler.ops import is_semantic, op_name
from ..compiler.pipeline import PassRecord, PipelineResult
from ..compiler.remarks import Remark


@dataclass
class Gain:
    """Measured time of one call, before and after, interleaved in one run."""

    before_ms: float
    after_ms: float
    runs: int

    @property
    def speedup(self) -> float:
        """Before over after; above one is faster."""
        return self.before_ms / self.after_ms


@dataclass
class Report:
    """What a pipeline did. ``print(report)`` shows it; the fields hold all of it."""

    pipeline: str
    records: list[PassRecord] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    dialect: dict[str, int] = field(default_factory=dict)
    """How many semantic operators of each name the rewritten graph has."""
    numerics: Any = None
    """The numeric check, or ``None`` when it was off."""
    predicted_gain: float | None = None
    """Memory traffic and arithmetic of the graph before, over those after (both unfused), by the cost analysis."""
    measured_gain: Gain | None = None
    failure: str = ""
    """What went wrong inside, when the untouched model was used instead."""

    @classmethod
    def of(cls, pipeline: str, result: PipelineResult) -> Report:
        """A report of a finished run."""
        graphs = (module.graph for _, module in result.program.graphs())
        found = Counter(op_name(n.target) for graph in graphs for n in graph.nodes if is_semantic(n.target))
        return cls(pipeline, result.records, list(result.remarks), dict(found))

    @property
    def sites(self) -> dict[str, list[Remark]]:
        """Verdicts by site, in graph order."""
        found: dict[str, list[Remark]] = {}
        for remark in self.remarks:
            if remark.site:
                found.setdefault(remark.site, []).append(remark)
        return found

    @property
    def rewrites(self) -> int:
        """Rewrites of all passes."""
        return sum(record.rewrites for record in self.records)

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "pipeline": self.pipeline,
            "passes": [
                {
                    "name": record.pass_name,
                    "text": record.text,
                    "numerics": record.numerics.value,
                    "rewrites": record.rewrites,
                    "nodes": [record.nodes_before, record.nodes_after],
                    "seconds": record.seconds,
                    "skipped": record.skipped,
                }
                for record in self.records
            ],
            "dialect": self.dialect,
            "remarks": [remark.to_json() for remark in self.remarks],
            "numerics": None if self.numerics is None else self.numerics.to_json(),
            "predicted_gain": self.predicted_gain,
            "measured_gain": None if self.measured_gain is None else self.measured_gain.__dict__,
            "failure": self.failure,
        }

    def __str__(self) -> str:
        """One line a pass with its verdict counts, then the reasons of those that declined."""
        lines = [f"pipeline: {self.pipeline}"]
        for record in self.records:
            verdicts = Counter(r.kind for r in self.remarks if r.pass_name == record.pass_name and r.site)
            tried = verdicts["passed"] + verdicts["missed"]
            note = record.skipped or (f"{verdicts['passed']} of {tried} sites" if tried else "no sites")
            lines.append(f"  {record.pass_name:22} {record.numerics.value:8} {record.rewrites:5} rewrites  {note}")
        reasons = Counter((r.pass_name, r.code, r.message) for r in self.remarks if r.kind in ("missed", "failure"))
        lines += [f"  {name}: {count} x [{code}] {message}" for (name, code, message), count in reasons.items()]
        if self.numerics is not None:
            lines.append(f"numerics: {self.numerics}")
        if self.predicted_gain is not None:
            lines.append(f"predicted gain: {self.predicted_gain:.2f}x")
        if self.measured_gain is not None:
            gain = self.measured_gain
            lines.append(f"measured: {gain.before_ms:.2f} ms -> {gain.after_ms:.2f} ms ({gain.speedup:.2f}x)")
        if self.failure:
            lines.append(f"failure: {self.failure}")
        return "\n".join(lines)


def measure(before: Callable[[], Any], after: Callable[[], Any], runs: int = 5) -> Gain:
    """Median wall time of both, called in turn after one warm-up each; CUDA work is waited for."""
    from ..lowering.timing import milliseconds

    times: dict[str, list[float]] = {"before": [], "after": []}
    for run in range(runs + 1):
        for name, call in (("before", before), ("after", after)):
            taken = milliseconds(call)
            if run:
                times[name].append(taken)
    return Gain(median(times["before"]), median(times["after"]), runs)
