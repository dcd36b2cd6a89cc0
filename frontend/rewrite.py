"""Run a pipeline over a captured program, check it, and report: what all three doors share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from ..compiler.analysis.cost import ProgramCost, cost
from ..compiler.passes import Pass
from ..compiler.pipeline import Instrument, Pipeline, Selection
from ..compiler.program import Program, value_of
from .report import Report

# Arithmetic rate over memory bandwidth, in FLOPs per byte: a few cores of a CPU in fp32, a data-centre GPU in bf16.
_BALANCE = {"cpu": 8.0, "cuda": 200.0}

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
    compiled: bool = False,
) -> Report:
    """Rewrite ``program`` in place and report.

    ``inputs`` are the leaves of the call, needed for a numeric check, which works on copies of them. ``gradients``
    says whether it compares those too; by default it does so for a program in training mode. ``compiled`` tells the
    passes that Inductor will compile the result.
    Raises :class:`~regraft.compiler.errors.NumericsError` when a pass is outside what its class allows.
    """
    checker = None
    if check != "off":
        from ..compiler.numerics import NumericsInstrument

        checker = NumericsInstrument(inputs, mode=check, gradients=program.training if gradients is None else gradients)
    before = cost(program)
    watching = [*instruments, *([checker] if checker else [])]
    result = pipeline.run(program, selection=selection, instruments=watching, device=device, compiled=compiled)
    program.recompile()
    report = Report.of(str(pipeline), result)
    report.predicted_gain = _predicted_gain(before, cost(program), program, device)
    if checker is not None:
        report.numerics = checker.finish(program)
    return report


def _predicted_gain(before: ProgramCost, after: ProgramCost, program: Program, device: torch.device | None) -> float:
    """Roofline time before over after, both unfused, at the sizes the program was traced with."""
    balance = _BALANCE.get(device.type if device else "cpu", _BALANCE["cpu"])
    sizes = {
        str(size): size.node.hint
        for node in program.placeholders()
        for size in getattr(value_of(node), "shape", ())
        if isinstance(size, torch.SymInt) and size.node.hint is not None
    }
    return before.floor(balance, sizes) / max(after.floor(balance, sizes), 1.0)
