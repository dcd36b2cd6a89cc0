"""What is known of a device: published peaks, limits, and honest ignorance of the rest."""

import pytest
import torch
from regraft.compiler.errors import UsageError
from regraft.lowering.targets import ARCHES, KB, describe, target_for, target_of


@pytest.mark.parametrize(("arch", "kilobytes"), [("sm_80", 163), ("sm_86", 99), ("sm_89", 99), ("sm_90", 227)])
def test_a_block_has_as_much_shared_memory_as_the_architecture_gives(arch, kilobytes):
    assert target_for(arch).shared_bytes == kilobytes * KB


@pytest.mark.parametrize("arch", ARCHES)
def test_every_target_states_where_its_peaks_come_from(arch):
    assert target_for(arch).peaks.source


def test_an_a100_attains_what_flashfftconv_measured():
    target = target_for("sm_80")
    rates = (target.matmul_rate(torch.bfloat16), target.general_rate, target.memory_rate, target.sram_rate)
    assert rates == pytest.approx((234e12, 17.6e12, 1.35e12, 9.5e12), rel=1e-2)


def test_products_in_fp32_are_not_priced_as_tf32_unless_asked():
    target = target_for("sm_90")
    assert target.matmul_rate(torch.float32) == target.general_rate
    assert target.matmul_rate(torch.float32, tf32=True) > 5 * target.general_rate


def test_a_cpu_has_no_peaks_and_says_how_many_threads_it_runs():
    target = target_of("cpu")
    assert target.kind == "cpu"
    assert not target.known
    assert target.name.endswith(f"{torch.get_num_threads()} threads")
    with pytest.raises(ValueError, match="no published peaks"):
        _ = target.memory_rate


def test_a_gpu_in_no_table_has_the_limits_of_the_nearest_older_one_and_no_peaks():
    target = describe("cuda", "sm_87", "Somebody's GPU", multiprocessors=16)
    assert (target.shared_bytes, target.known) == (99 * KB, False)


def test_what_the_driver_says_goes_before_the_table():
    target = describe("cuda", "sm_90", "NVIDIA H200", multiprocessors=66, shared_bytes=100 * KB)
    assert (target.shared_bytes, target.multiprocessors, target.known) == (100 * KB, 66, True)


def test_a_gpu_that_is_not_there_is_an_unknown_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    target = target_of(torch.device("cuda", 97))
    assert (target.kind, target.known) == ("cuda", False)


def test_an_unknown_architecture_names_the_nearest():
    with pytest.raises(UsageError, match="sm_90"):
        target_for("sm_91")
