"""The cases of the GPU benchmarks, made small and run without a GPU: times mean nothing here, results do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

import pytest
import torch
from regraft.benchmarks.kernels import case as cases
from regraft.benchmarks.results import Row
from regraft.kernels import candidates
from regraft.lowering.targets import target_for
from regraft.lowering.tune import TOLERANCE

# Here: cuDNN, and what is not installed.
ABSENT = {"sdpa cudnn", "sdpa flash", "flex_attention", "fla", "mamba_ssm"}


@pytest.fixture
def _as_on_a_gpu(monkeypatch):
    """Kernels planned for Hopper, executed by the reference interpreter, the only one here that is right in bf16."""
    hopper = target_for("sm_90")
    monkeypatch.setattr(cases, "target_of", lambda device: hopper)
    monkeypatch.setattr("regraft.kernels.support.interpreting", lambda: False)
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)


@pytest.mark.parametrize("family", ["long_conv", "matmul", "attention", "norm", "recurrence"])
@pytest.mark.usefixtures("_as_on_a_gpu")
def test_every_way_of_every_case_gives_the_result_of_the_reference(family, monkeypatch):
    module = import_module(f"regraft.benchmarks.kernels.{family}")

    def here(given: Iterable[tuple[str, Callable[[], cases.Case]]], *rest: object) -> list[Row]:
        allowed = cases.Budget(tuning=0.0, timing=0.0)
        return [row for _, make in given for row in cases.compare(make(), target_for("sm_90"), allowed)]

    monkeypatch.setattr(module, "measure", here)
    monkeypatch.setattr(module, "target_of", lambda device: target_for("sm_90"), raising=False)
    rows = module.run("cpu", True)
    ran = [row for row in rows if row.runs]
    failed = [(row.case, row.variant, row.notes) for row in rows if not row.runs and row.variant not in ABSENT]
    assert not [each for each in failed if "there is no kernel" not in str(each)]
    assert {row.variant.partition(",")[0] for row in ran} >= {"ours", "eager"}
    assert not [(row.case, row.variant, row.match) for row in ran if (row.match or 0) > TOLERANCE[torch.bfloat16]]


def test_a_case_that_fails_is_a_row_and_the_others_go_on(monkeypatch):
    def broken() -> cases.Case:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(cases, "target_of", lambda device: target_for("sm_90"))
    wrong = {"only": lambda: torch.full((3,), torch.nan)}
    fine = cases.Case("fine", {"eager": cases.eager(torch.ones, 3)}, {"ours": wrong}, expected=lambda: torch.ones(3))
    rows = cases.measure([("broken", broken), ("fine", lambda: fine)], "cuda", True)
    assert [(row.case, row.variant, row.runs > 0) for row in rows] == [
        ("broken", "all", False), ("fine", "ours", False), ("fine", "eager", True)
    ]  # fmt: skip
    assert "out of memory" in rows[0].notes["error"]
    assert "inf from fp64" in rows[1].notes["rejected only"]


def test_declines_a_cpu(capsys):
    assert cases.measure([("case", lambda: pytest.fail("made"))], "cpu", True) == []
    assert "need a GPU" in capsys.readouterr().out


@pytest.mark.parametrize("family", ["long_conv", "matmul", "attention", "norm", "recurrence"])
def test_a_family_names_calls_for_the_cost_table(family):
    for call in import_module(f"regraft.benchmarks.kernels.{family}").tunable("meta"):
        assert candidates.of(call.op, "cuda"), call.op
