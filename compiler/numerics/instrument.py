"""The numeric check as an instrument of a pipeline: after each pass, or once at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..errors import NumericsError
from ..passes import Numerics, Pass
from ..pipeline import PassRecord
from ..program import Program
from .check import check_program
from .report import NumericsRecord, NumericsReport

# From the strictest promise to the weakest.
_ORDER = (Numerics.EXACT, Numerics.BOUNDED, Numerics.FITTED, Numerics.TRAINED)


class NumericsInstrument:
    """Compares every program a pass leaves with the one it was given, on real inputs.

    With ``mode="end"`` one comparison, of the program the pipeline leaves with the one it began with, is made by
    :meth:`finish`. A pass that states an error bound has it as its attribute ``bound``: the largest relative l2 error
    of an output.
    """

    def __init__(
        self,
        inputs: Sequence[Any],
        weights: Mapping[str, Tensor] | None = None,
        *,
        mode: Literal["each", "end", "off"] = "each",
        gradients: bool = True,
        sites: bool = True,
        keep_going: bool = False,
    ) -> None:
        """``inputs`` are the leaves of the call; ``keep_going`` records failures instead of raising at the first."""
        self.inputs, self.weights, self.mode, self.keep_going = inputs, weights, mode, keep_going
        self.gradients, self.sites = gradients, sites
        self.records: list[NumericsRecord] = []
        self._held: Program | None = None
        self._changed: list[Pass] = []

    def before_pass(self, pass_: Pass, program: Program) -> None:
        """Keep the program as it is, unless the one kept is still that."""
        if self._held is None and self.mode != "off":
            self._held = program.copy()

    def after_pass(self, pass_: Pass, program: Program, record: PassRecord) -> None:
        """Check what the pass did; raises :class:`~.errors.NumericsError` when it broke its promise."""
        if not record.changed or self.mode == "off":
            return
        self._changed.append(pass_)
        if self.mode == "each":
            self._check(program, pass_.name, pass_.numerics, getattr(pass_, "bound", None))
            self._held = None

    def finish(self, program: Program) -> NumericsReport:
        """The report; with ``mode="end"``, after the one check there is."""
        if self.mode == "end" and self._changed:
            weakest = max((pass_.numerics for pass_ in self._changed), key=_ORDER.index)
            inexact = [pass_ for pass_ in self._changed if pass_.numerics is not Numerics.EXACT]
            # Bounds of several approximations do not add up to one of their composition.
            bound = getattr(inexact[0], "bound", None) if len(inexact) == 1 else None
            self._check(program, ",".join(pass_.name for pass_ in self._changed), weakest, bound)
        return NumericsReport(tuple(self.records), self.mode)

    def _check(self, program: Program, name: str, numerics: Numerics, bound: float | None) -> None:
        assert self._held is not None
        record = check_program(
            self._held,
            program,
            self.inputs,
            self.weights,
            pass_name=name,
            numerics=numerics,
            bound=bound,
            gradients=self.gradients,
            sites=self.sites,
        )
        self.records.append(record)
        if not record.ok and not self.keep_going:
            promise = "is exact" if numerics is Numerics.EXACT else f"states an error of at most {bound:.3g}"
            knob = "find the pass with check='each' (--check each)" if self.mode == "end" else f"--skip {name}"
            raise NumericsError(
                f"pass {name!r} {promise}, but {len(record.failures)} of {len(record.comparisons)} values are not:",
                where="\n        ".join(str(comparison) for comparison in record.failures[:5]),
                hint=f"{knob}; regraft bisect names the first rewrite that does it",
            )
