"""Tables of a numeric check: what passed, what would have, and what was demanded."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from ...compiler.numerics import Comparison, NumericsRecord, NumericsReport
from ...compiler.passes import Numerics
from .render import Cell, say, table

_COLUMNS = ("pass", "verdict", "values>", "worst", "error before>", "after>", "would pass>", "demanded>")
_SPARE = ("NaN, Inf", "mean", "q99.9", "1 - cosine", "or rtol", "type", "max before", "max after", "l2")


def show_summary(report: NumericsReport) -> None:
    """One row a pass, with the value that used most of its tolerance."""
    if not report.records:
        say("numerics: nothing was rewritten, so there is nothing to compare")
        return
    say("numerics, against fp64 (largest absolute error)", style="bold")
    table(_COLUMNS, [_summary(record) for record in report.records], spare=("values", "error before", "after"))
    for text in dict.fromkeys(text for record in report.records for text in record.notes):
        say(f"note: {text}")


def show_details(report: NumericsReport, *, everything: bool, limit: int = 4) -> None:
    """A table for every pass: outputs, mutated inputs, gradients and sites, the worst first within each kind."""
    columns = (
        "value", "type", "verdict", "max before>", "max after>", "mean>", "q99.9>", "l2>", "1 - cosine>", "NaN, Inf>",
        "would pass>", "or rtol>", "demanded>",
    )  # fmt: skip
    for record in report.records:
        say(f"\n{record.pass_name} ({record.numerics.value})", style="bold")
        shown, hidden = _shown(record, everything, limit)
        table(columns, [_detail(record, comparison) for comparison in shown], spare=_SPARE)
        if hidden:
            say(f"and {hidden} more values, all closer to what is demanded of them (--all)", style="dim")


def _shown(record: NumericsRecord, everything: bool, limit: int) -> tuple[list[Comparison], int]:
    """All failures; of the others the worst of each kind, up to a limit."""
    shown: list[Comparison] = []
    for kind in ("output", "mutated", "site", "gradient"):
        found = sorted((c for c in record.comparisons if c.kind == kind), key=Comparison.excess, reverse=True)
        shown += [c for at, c in enumerate(found) if everything or at < limit or c in record.failures]
    return shown, len(record.comparisons) - len(shown)


def _summary(record: NumericsRecord) -> list[Cell]:
    worst = record.worst
    passes = record.pass_name.split(",")
    name = passes[0] if len(passes) == 1 else f"all {len(passes)} that rewrote"
    row: list[Cell] = [name, _verdict(record), len(record.comparisons)]
    if worst is None:
        return [*row, "", "", "", "", ""]
    if worst.problems:
        return [*row, f"{worst.name}: {'; '.join(worst.problems)}", "", "", "", ""]
    return [
        *row,
        worst.name,
        worst.before.max,
        worst.after.max,
        f"atol={worst.after.max:.3g}",
        _demanded(record, worst),
    ]


def _detail(record: NumericsRecord, comparison: Comparison) -> list[Cell]:
    c = comparison
    kind = f"{c.dtype}{list(c.shape)}"
    if c.problems:
        return [c.name, kind, Text("; ".join(c.problems), style="bold red"), *[""] * 10]
    failed = c in record.failures
    verdict = Text("exceeds " + ", ".join(c.exceeded) if failed else "ok", style="bold red" if failed else "green")
    before, after = c.before, c.after
    errors: Iterable[Cell] = (before.max, after.max, after.mean, after.quantile, after.l2, f"{1 - after.cosine:.1e}")
    return [
        c.name, kind, verdict, *errors, f"{after.nans}, {after.infs}",
        f"atol={after.max:.3g}", c.rtol, _demanded(record, c),
    ]  # fmt: skip


def _verdict(record: NumericsRecord) -> Text:
    if not record.ok:
        return Text(f"{len(record.failures)} of {len(record.comparisons)} fail", style="bold red")
    if record.numerics is not Numerics.EXACT and record.bound is None:
        return Text("no bound stated", style="yellow")
    return Text("ok", style="green")


def _demanded(record: NumericsRecord, comparison: Comparison) -> str:
    if record.numerics is Numerics.EXACT:
        return f"atol={comparison.allowed.max:.3g}"
    return "" if record.bound is None else f"l2={record.bound:.3g}"


__all__ = ["show_details", "show_summary"]
