"""Run a pipeline over a captured program, check it, and report: what all three doors share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from ..compiler.passes import Pass
from ..compiler.pipeline import Instrument, Pipeline, Selection
from ..compiler.program import Program
from .report import Report

Check = Literal["each", "end", "off"]
"""When to compare numbers: after each pass, at the end of the pipeline, or not at all."""


def parse_pipeline(passes: str | Sequence[str | Pass]) -> Pipeline:
    """A pipeline over the built-in passes and those of other packages."""
    from ..passes import DEFAULT, registry

    return Pipeline.parse(passes, registry, DEFAULT)


def rewrite(
    program: Program,
    pipeline: Pipeline,
    inputs: Sequence[Any] = (),
    *,
    check: Check = "off",
    gradients: bool | None = None,
    selection: Selection | None = None,
    instruments: Sequence[Instrument] = (),
    device: torch.device | None = None,
) -> Report:
    """Rewrite ``program`` in place and report.

    ``inputs`` are the leaves of the call, needed for a numeric check, which works on copies of them. ``gradients``
    says whether it compares those too; by default it does so for a program in training mode.
    Raises :class:`~regraft.compiler.errors.NumericsError` when a pass is outside what its class allows.
    """
    checker = None
    if check != "off":
        from ..compiler.numerics import NumericsInstrument

        checker = NumericsInstrument(inputs, mode=check, gradients=program.training if gradients is None else gradients)
    watching = [*instruments, *([checker] if checker else [])]
    result = pipeline.run(program, selection=selection, instruments=watching, device=device)
    program.recompile()
    report = Report.of(str(pipeline), result)
    if checker is not None:
        report.numerics = checker.finish(program)
    return report
