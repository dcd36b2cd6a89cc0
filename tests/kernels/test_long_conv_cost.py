"""The cost model factors transforms as FlashFFTConv does, within the shared memory there is."""

import pytest
import torch
from regraft.compiler.rules import Decline
from regraft.kernels.long_conv.cost import plan, shared_bytes
from regraft.lowering.targets import KB, describe, target_for


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize(
    ("order", "sizes"),
    [(2, (256, 512, 1024, 2048)), (3, (4096, 8192, 16384, 32768)), (4, (65536, 131072))],
)
def test_the_cheapest_order_is_two_to_2048_points_three_to_32768_and_four_beyond(arch, order, sizes):
    # Narrower factors than a tile kernel can multiply are priced as well, so that the order is the model's choice.
    assert [plan(size, target_for(arch), narrowest=2).order for size in sizes] == [order] * len(sizes)


@pytest.mark.parametrize("arch", ["sm_80", "sm_86", "sm_90"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("size", [256, 4096, 8192, 32768, 262144])
def test_every_plan_multiplies_to_its_size_and_fits(arch, dtype, size):
    found = plan(size, target_for(arch), dtype)
    assert torch.tensor(found.factors).prod() == size
    assert found.shared_bytes <= target_for(arch).shared_bytes
    assert min(found.factors) >= 16


@pytest.mark.parametrize(("arch", "largest"), [("sm_86", 4096), ("sm_80", 8192), ("sm_90", 8192)])
def test_one_block_holds_as_much_as_its_shared_memory(arch, largest):
    target = target_for(arch)
    assert plan(largest, target, one_block=True).outer == 0
    assert plan(2 * largest, target, one_block=True).code == "shared-memory"


def test_8192_points_in_fp32_are_refused_before_a_launch_even_on_hopper():
    found = plan(8192, target_for("sm_90"), torch.float32, one_block=True)
    assert isinstance(found, Decline)
    assert found.numbers == {"bytes": 256 * KB, "limit": 227 * KB}


def test_long_sequences_get_outer_stages_through_device_memory():
    found = plan(1 << 20, target_for("sm_90"))
    assert found.outer >= 1
    assert shared_bytes(found.factors[-1] * found.factors[-2], torch.bfloat16) <= 227 * KB


@pytest.mark.parametrize("size", [1000, 128, 1 << 30])
def test_other_sizes_are_declined(size):
    assert plan(size, target_for("sm_90")).code == "size"


def test_an_unknown_gpu_gets_no_plan():
    assert plan(1024, describe("cuda", "sm_75", "T4", multiprocessors=40)).code == "device"
