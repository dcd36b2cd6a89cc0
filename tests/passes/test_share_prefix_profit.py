"""What splitting an attention is predicted to gain, from measurements and from rates."""

import pytest
import torch
from regraft.frontend.testing import run_pass
from regraft.kernels.attention.cost import attention_seconds
from regraft.lowering.targets import target_for, target_of
from regraft.passes.share_prefix.profit import CPU, Level, Shape, predicted_gain, rates_of

DEVICE = torch.device("cpu")
MEASURED = rates_of(DEVICE, torch.float32)


def shape(rows: int) -> Shape:
    return Shape(rows, heads=8, kv_heads=8, queries=1, features=128, itemsize=4)


def test_a_cpu_is_asked_for_its_measurements():
    # One segment whole and in parts differs by what the table says of 64 times one row and of one time 64 rows.
    whole, shared = (attention_seconds(8 * stacks, 64 // stacks, 4096, 64, torch.float32, target_of(DEVICE))
                     for stacks in (64, 1))  # fmt: skip
    found = predicted_gain(shape(64), [Level(4096, 1)], MEASURED)
    assert found == pytest.approx((whole + CPU.call) / (shared + CPU.call))


@pytest.mark.parametrize(("dtype", "like"), [(torch.float64, torch.float32), (torch.float16, torch.bfloat16)])
def test_a_dtype_that_was_not_measured_gains_like_its_neighbour(dtype, like):
    levels = [Level(4096, 1), Level(64, 64)]
    found, expected = (predicted_gain(shape(64), levels, rates_of(DEVICE, each)) for each in (dtype, like))
    assert found == expected


@pytest.mark.parametrize("rates", [MEASURED, CPU], ids=["measured", "rates"])
def test_a_tree_that_reads_less_is_predicted_to_gain_more(rates):
    one = [Level(4096, 1), Level(1024 + 128, 128)]
    two = [Level(4096, 1), Level(1024, 8), Level(128, 128)]
    assert 1.2 < predicted_gain(shape(128), one, rates) < predicted_gain(shape(128), two, rates)


@pytest.mark.parametrize("rates", [MEASURED, CPU], ids=["measured", "rates"])
def test_few_rows_or_a_long_suffix_are_predicted_not_to_pay(rates):
    assert predicted_gain(shape(2), [Level(1024, 1), Level(64, 2)], rates) < 1.2
    assert predicted_gain(shape(64), [Level(128, 1), Level(1024, 64)], rates) < 1.2


def test_two_rows_are_left_as_they_are_however_long_the_prefix():
    def attend(q, prefix, own):
        keys = torch.cat([prefix.expand(q.shape[0], -1, -1, -1), own], 2)
        return torch.ops.regraft.attention(q, keys, keys)

    def decline(rows: int) -> list[str]:
        types = (f"f32[{rows}, 8, 1, 64]", "f32[1, 8, 16384, 64]", f"f32[{rows}, 8, 8, 64]")
        return [remark.code for remark in run_pass("share-prefix", attend, *types).remarks if remark.kind == "missed"]

    assert decline(2) == ["few-rows"]
    assert decline(16) == []


def test_a_gpu_has_no_measurements_and_is_estimated(monkeypatch):
    monkeypatch.setattr("regraft.passes.share_prefix.profit.target_of", lambda device: target_for("sm_90"))
    rates = rates_of(torch.device("cuda"), torch.bfloat16)
    assert rates.table is None
    assert predicted_gain(shape(1024), [Level(16384, 1), Level(128, 1024)], rates) > 10
