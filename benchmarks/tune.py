"""Measure this GPU's cost table: what ``select-kernels`` chooses by.

Every configuration of every kernel is validated and timed by :func:`regraft.lowering.tune.tune`, for calls of the
families in :mod:`.kernels`, first as eager execution runs them and then compiled, as long as ``minutes`` allow. With
``--out`` the table is ``OUT/<device>-costs.json``, whose entries may be copied into the one that comes with the
package; without, it is this machine's own.
"""

from __future__ import annotations

import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import torch
from regraft.kernels import candidates
from regraft.lowering.tune import tune

from .results import Row, describe, device_name

FAMILIES = ("long_conv", "matmul", "attention", "norm", "recurrence")


def run(device: str, quick: bool, out: Path | None = None, minutes: float = 9.0) -> list[Row]:
    """A row for every trial; the table is written after each call."""
    if device == "cpu":
        print("this writes the table of a GPU; that of CPUs is written by python -m benchmarks.long_conv")
        return []
    path = None if out is None else out / f"{device_name(device)}-costs.json"
    end = time.perf_counter() + 60 * (0.5 if quick else minutes)
    rows: list[Row] = []
    for compiled in (False, True):
        for family in FAMILIES:
            for call in import_module(f".kernels.{family}", __package__).tunable(device):
                if time.perf_counter() > end:
                    print(f"the time is up: {family} and what follows is left out, compiled={compiled}")
                    return rows
                case = f"{call.op} {' '.join('x'.join(map(str, tensor.shape)) for tensor in call.tensors)}"
                case += " compiled" if compiled else ""
                try:
                    trials = tune(
                        replace(call, compiled=compiled), candidates, seconds=0.5, path=path, where=describe(device)
                    )
                # One call that cannot be measured leaves the others.
                except Exception as failure:
                    rows.append(
                        Row(case, "all", 0.0, 0.0, 0.0, 0, notes={"error": f"{type(failure).__name__}: {failure}"})
                    )
                    continue
                for trial in trials:
                    taken, told = (
                        trial.milliseconds or 0.0,
                        {"config": str(dict(trial.config)), "rejected": trial.rejected},
                    )
                    runs = int(trial.milliseconds is not None)
                    rows.append(Row(case, trial.candidate, taken, taken, taken, runs, trial.error, notes=told))
                torch._dynamo.reset()
                torch.cuda.empty_cache()
    return rows
