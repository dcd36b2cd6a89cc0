"""What a pass did or declined at each site, and why.

A :class:`Remark` is one verdict: a stable reason ``code``, one sentence, the numbers it rests on, and what would
unblock it. :class:`RemarkLog` keeps one verdict per pass and site: a rewrite beats a decline, and among declines the
nearest miss (the one that got furthest) is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["passed", "missed", "analysis", "failure"]

_RANK: dict[str, int] = {"passed": 3, "failure": 2, "missed": 1, "analysis": 0}


@dataclass(frozen=True)
class Remark:
    """One verdict about one site."""

    kind: Kind
    pass_name: str
    site: str
    """``model.layers.0.self_attn/attention#0``; empty when the remark is about the whole program."""
    code: str
    """Stable kebab-case reason, e.g. ``"mask-unknown"``."""
    message: str
    rule: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])
    """Predicted and measured figures, by name with unit, e.g. ``{"predicted_speedup": 2.1}``."""
    unblock: str = ""
    """What a user could change so that the rewrite fires."""
    line: str = ""
    """The user's source line."""
    nearness: int = 0
    """How far the attempt got; only used to choose among declines at one site."""

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for ``--json``, without the tie-break."""
        record = asdict(self)
        del record["nearness"]
        return record

    def __str__(self) -> str:
        """One line: ``pass-name site: passed code: message``."""
        where = f" {self.site}" if self.site else ""
        numbers = "".join(f" {name}={value:.4g}" for name, value in self.numbers.items())
        unblock = f" (to unblock: {self.unblock})" if self.unblock else ""
        return f"{self.pass_name}{where}: {self.kind} [{self.code}] {self.message}{numbers}{unblock}"


class RemarkLog:
    """All remarks of one pipeline run, in the order the sites were first spoken of."""

    def __init__(self) -> None:
        """Start empty."""
        self._remarks: dict[tuple[str, str, str], Remark] = {}

    def add(self, remark: Remark) -> None:
        """Record a verdict; at one site of one pass the strongest stays."""
        # An analysis is not a verdict: it stands beside one, keyed by its own code.
        slot = remark.code if remark.kind == "analysis" or not remark.site else ""
        key = (remark.pass_name, remark.site, slot)
        held = self._remarks.get(key)
        if held is None or (_RANK[remark.kind], remark.nearness) > (_RANK[held.kind], held.nearness):
            self._remarks[key] = remark

    def __iter__(self) -> Iterator[Remark]:
        """The remarks, oldest site first."""
        return iter(self._remarks.values())

    def __len__(self) -> int:
        """How many verdicts are held."""
        return len(self._remarks)

    def of(self, pass_name: str | None = None, kind: Kind | None = None) -> list[Remark]:
        """Remarks of one pass and/or one kind."""
        return [r for r in self if pass_name in (None, r.pass_name) and kind in (None, r.kind)]

    def counts(self, pass_name: str) -> dict[str, int]:
        """How many sites of a pass ended in each kind of verdict, e.g. ``{"passed": 28, "missed": 2}``."""
        return dict(Counter(r.kind for r in self.of(pass_name)))
