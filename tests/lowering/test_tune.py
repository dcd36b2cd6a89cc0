"""The tuner validates before it times, puts back what was written, and lives through whatever a candidate does."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from regraft.lowering import tune as module
from regraft.lowering.candidates import Candidate, Candidates, call_with, candidate_registry
from regraft.lowering.costs import key_of, look_up
from regraft.lowering.targets import target_for, target_of
from regraft.lowering.tune import tune


@dataclass(frozen=True)
class Several(Candidate):
    name: ClassVar[str] = "short_conv.several"
    features: ClassVar[frozenset[str]] = frozenset({"several-dots"})

    def supports(self, call, target):
        return None

    def configs(self, call, target):
        return [{"does": what} for what in ("right", "wrong", "nan", "raise", "write")] + [BAD]

    def run(self, call, config, *constants):
        y = call.target(**call.arguments)
        match config["does"]:
            case "wrong":
                return y * 1.001
            case "nan":
                return y * float("nan")
            case "raise":
                raise RuntimeError("out of shared memory")
            case "write":
                call["u"].zero_()
        return y


BAD = {"does": "right", "block_k": 32, "num_warps": 4}
TABLE = Candidates(candidate_registry({"short_conv.several": f"{__name__}:Several"}))


@pytest.fixture
def call():
    torch.manual_seed(0)
    return call_with(torch.ops.regraft.short_conv.default, torch.randn(2, 3, 9), torch.randn(3, 4))


@pytest.fixture(autouse=True)
def _no_time(monkeypatch):
    """Timing is not what is tested: every call takes as many milliseconds as its place."""
    monkeypatch.setattr(module, "in_turn", lambda calls, seconds, measure: {name: [1.0 + int(name)] for name in calls})


def tried(call, target="cpu"):
    before = [tensor.clone() for tensor in call.tensors]
    trials = tune(call, TABLE, target=target_of("cpu") if target == "cpu" else target_for(target), seconds=0)
    assert all(torch.equal(a, b) for a, b in zip(call.tensors, before, strict=True))
    return trials


def test_only_right_results_are_timed(call):
    trials = tried(call)
    assert [t.config.get("does") for t in trials if t.milliseconds is not None] == [None, "right", "right"]


@pytest.mark.parametrize(
    ("does", "reason"),
    [("wrong", "from fp64"), ("nan", "from fp64"), ("raise", "out of shared memory"), ("write", "its argument u")],
)
def test_a_bad_configuration_is_rejected_with_the_reason_and_its_writes_undone(call, does, reason):
    (trial,) = (trial for trial in tried(call) if trial.config.get("does") == does)
    assert trial.milliseconds is None
    assert reason in trial.rejected


def test_a_configuration_known_to_be_bad_is_not_even_run(call, monkeypatch):
    monkeypatch.setattr("regraft.lowering.costs._version", lambda package: "3.7.1")
    (trial,) = (trial for trial in tried(call, "sm_90") if trial.config == BAD)
    assert "triton#11366" in trial.rejected
    assert trial.error is None


def test_the_best_of_each_candidate_is_recorded(call):
    tried(call)
    key = key_of(call, TABLE.reference("short_conv"), target_of("cpu"))
    found = look_up(key, on_cpu=True).measured
    assert {name: one.config for name, one in found.items()} == {"inductor": {}, "several": {"does": "right"}}
