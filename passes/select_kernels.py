"""Choose how each operator is computed, and put the chosen kernels into the graph.

The last pass: what it leaves alone dissolves into plain ATen and goes to Inductor as before. The decision is
:mod:`regraft.lowering.select`'s; the kernels it chooses from are those of :mod:`regraft.kernels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.passes import Numerics, Pass, PassContext
from ..compiler.program import Program
from ..kernels import candidates
from ..lowering.select import MARGIN, select


@dataclass(frozen=True)
class SelectKernels(Pass):
    """Compute operators by kernels that are predicted to beat Inductor on the device at hand."""

    name: ClassVar[str] = "select-kernels"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    margin: float = MARGIN
    """How many times faster than Inductor a kernel must be by measurement to be chosen."""

    def run(self, program: Program, ctx: PassContext) -> None:
        """Decide for every operator that has a kernel."""
        select(program, ctx, candidates, margin=self.margin)
