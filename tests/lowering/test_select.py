"""A kernel is chosen where it fits, at every size, and is predicted to win by the margin; the rest is a remark."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from regraft.compiler.rules import Decline
from regraft.kernels import candidates as builtin
from regraft.lowering.candidates import Candidate, Candidates, Estimate, call_with, candidate_registry
from regraft.lowering.costs import Measured, key_of, record
from regraft.lowering.select import ESTIMATED_MARGIN, MARGIN, decide
from regraft.lowering.targets import describe, target_for, target_of

LONG_CONV = torch.ops.regraft.long_conv.default
CPU, H200 = target_of("cpu"), target_for("sm_90")


@dataclass(frozen=True)
class Tile(Candidate):
    """Takes a thousandth of a second, by its own account."""

    name: ClassVar[str] = "long_conv.quick"
    proven: ClassVar[frozenset[str]] = frozenset({"sm_90"})

    def supports(self, call, target):
        return Decline("odd", "the length is odd", nearness=2) if call["u"].shape[-1] % 2 else None

    def estimate(self, call, target, config):
        return Estimate(1e-3, 1.0, 1.0, 1e-6) if target.known else None

    def run(self, call, config, *constants):
        return call.target(**call.arguments)


TILE = Candidates(candidate_registry({"long_conv.quick": f"{__name__}:Tile"}))


def convolution(length=10, dtype=torch.float32):
    return call_with(LONG_CONV, torch.ones(2, 3, length, dtype=dtype), torch.ones(3, 5))


def measured(target, candidates=TILE, **seconds):
    call = convolution()
    record({key_of(call, candidates.reference("long_conv"), target): {n: Measured(s) for n, s in seconds.items()}})
    return call


@pytest.mark.parametrize(("faster", "chosen"), [(MARGIN * 1.01, True), (MARGIN * 0.99, False)])
def test_a_measured_kernel_must_win_by_the_margin(faster, chosen):
    decision = decide(measured(CPU, quick=1e-3, inductor=faster * 1e-3), CPU, TILE)
    assert (decision.chosen is not None) == chosen
    assert (decision.best.seconds, decision.reference.seconds) == (1e-3, pytest.approx(faster * 1e-3, rel=1e-2))


@pytest.mark.parametrize(("faster", "chosen"), [(ESTIMATED_MARGIN * 1.01, True), (ESTIMATED_MARGIN * 0.99, False)])
def test_an_estimate_must_win_by_more(faster, chosen):
    decision = decide(measured(H200, inductor=faster * 1e-3), H200, TILE)
    assert (decision.chosen is not None) == chosen
    assert (decision.best.basis, decision.reference.basis) == ("estimated", "measured")


def test_an_estimate_does_not_count_where_the_kernel_was_never_checked():
    target = target_for("sm_80")
    decision = decide(measured(target, inductor=1.0), target, TILE)
    assert decision.chosen is None
    assert decision.refused.code == "unproven"
    assert decide(measured(target, inductor=1.0, quick=1e-3), target, TILE).chosen is not None


def test_without_any_number_the_reference_stays():
    decision = decide(convolution(), describe("cuda", "sm_75", "T4", multiprocessors=40), TILE)
    assert decision.chosen is None
    assert decision.refused.code == "unmeasured"


def test_what_was_rejected_when_tried_is_not_chosen():
    call = measured(H200, inductor=1.0)
    key = key_of(call, TILE.reference("long_conv"), H200)
    record({key: {"quick": Measured(0.0, {}, "a NaN")}})
    decision = decide(call, H200, TILE)
    assert decision.chosen is None
    assert decision.refused.code == "rejected"


def test_a_call_that_is_not_supported_is_declined_with_the_reason():
    assert decide(convolution(length=11), H200, TILE).refused.code == "odd"


def test_traffic_spared_in_the_neighbourhood_counts_for_the_kernel():
    call = measured(H200, quick=1e-3, inductor=1e-3)
    assert decide(call, H200, TILE).chosen is None
    assert decide(call, H200, TILE, spared={"long_conv.quick": int(H200.memory_rate * 5e-4)}).chosen is not None


@pytest.mark.parametrize("length", [256, 1024, 4096, 16384, 65536])
@pytest.mark.parametrize("rows", [(1, 64), (4, 64), (1, 768)])
def test_an_fft_as_matrix_products_is_never_chosen_on_a_cpu(length, rows):
    u, k = torch.empty(*rows, length, device="meta"), torch.empty(rows[1], length, device="meta")
    decision = decide(call_with(LONG_CONV, u, k), CPU, builtin)
    assert decision.chosen is None or decision.chosen.candidate.own_name != "monarch"
    assert decision.reference.basis.startswith("measured on")


@pytest.mark.parametrize(("taps", "chosen"), [(16, "direct"), (64, "direct"), (2048, None)])
def test_short_filters_are_applied_directly_on_a_cpu(taps, chosen):
    u, k = torch.empty(1, 256, 2048, device="meta"), torch.empty(256, taps, device="meta")
    found = decide(call_with(LONG_CONV, u, k), CPU, builtin).chosen
    assert (found and found.candidate.own_name) == chosen


def test_training_and_other_dtypes_are_not_decided_by_what_was_measured_without():
    from dataclasses import replace

    call = measured(CPU, quick=1e-3, inductor=1.0)
    assert decide(call, CPU, TILE).chosen is not None
    assert decide(replace(call, training=True), CPU, TILE).refused.code == "unmeasured"
    assert decide(convolution(dtype=torch.bfloat16), CPU, TILE).refused.code == "unmeasured"
