"""How ``attention_lse`` is computed where: what the table of CPUs says, and what PyTorch's GPU kernels take."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from regraft.kernels import candidates
from regraft.kernels.attention.cost import FEATURES, ROWS, attention_seconds, bucket, keys_of, stacks_of
from regraft.kernels.attention.sdpa import AttentionLseSdpa
from regraft.lowering.candidates import Call, call_with
from regraft.lowering.select import decide
from regraft.lowering.targets import target_for
from torch import Tensor

CPU, H200 = target_for("cpu"), target_for("sm_90")
BF16 = torch.bfloat16


def call(
    q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...] = (), dtype: torch.dtype = BF16, **options: Any
) -> Call:
    training = options.pop("training", False)
    tensors = (torch.empty(shape, dtype=dtype, device="meta") for shape in (q, k, v or k))
    return call_with(torch.ops.regraft.attention_lse.default, *tensors, training=training, **options)


def meta(*shape: int, dtype: torch.dtype = BF16) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


@pytest.mark.parametrize("dtype", [torch.float32, BF16], ids=str)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_prefix_that_a_batch_shares_goes_to_the_flash_kernel(dtype: torch.dtype, compiled: bool) -> None:
    shared = replace(call((64, 8, 1, 64), (1, 4, 4096, 64), dtype=dtype), compiled=compiled)
    chosen = decide(shared, CPU, candidates).chosen
    assert chosen is not None
    assert chosen.candidate.name == "attention_lse.flash"
    assert chosen.measured


def test_what_nobody_measured_stays_as_it_is() -> None:
    assert decide(call((64, 8, 1, 64), (1, 4, 4096, 64), dtype=torch.float64), CPU, candidates).chosen is None


@pytest.mark.parametrize("dtype", [torch.float32, BF16], ids=str)
def test_every_bucket_is_in_the_table(dtype: torch.dtype) -> None:
    for rows in ROWS:
        for keys in keys_of(rows):
            for features in FEATURES:
                assert attention_seconds(1, rows, keys, features, dtype, CPU), bucket(rows, keys, features)
                assert stacks_of(rows, keys, features) >= 1


def test_time_is_proportional_to_stacks_and_between_its_neighbours() -> None:
    def seconds(stacks: int, rows: int, keys: int) -> float:
        return attention_seconds(stacks, rows, keys, 64, torch.float32, CPU, "flash") or 0.0

    assert seconds(12, 64, 1024) == pytest.approx(12 * seconds(1, 64, 1024))
    assert seconds(1, 64, 1024) < seconds(1, 64, 2000) < seconds(1, 64, 4096)
    assert seconds(1, 4, 1024) < seconds(1, 7, 1024) < seconds(1, 16, 1024)
    assert seconds(1, 64, 65536) == pytest.approx(4 * seconds(1, 64, 16384))


def test_reading_a_long_prefix_once_is_predicted_to_pay_and_a_short_one_is_not() -> None:
    def gain(batch: int, prefix: int, suffix: int) -> float:
        def seconds(stacks: int, rows: int, keys: int) -> float:
            return attention_seconds(stacks, rows, keys, 64, torch.float32, CPU) or 0.0

        split = seconds(8, batch, prefix) + seconds(8 * batch, 1, suffix)
        return seconds(8 * batch, 1, prefix + suffix) / split

    assert gain(64, 4096, 64) > 4
    assert gain(1, 1024, 64) < 1.2
    assert gain(64, 64, 1024) < 1.2


def test_nothing_is_predicted_where_nothing_was_measured() -> None:
    assert attention_seconds(1, 1, 64, 64, torch.float16, CPU) is None
    assert attention_seconds(1, 1, 64, 64, BF16, H200) is None


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (call((1, 2, 3, 64), (1, 2, 9, 64), dtype=torch.float32), "dtype"),
        (call((1, 2, 3, 320), (1, 2, 9, 320)), "head-dim"),
        (call((1, 2, 3, 64), (1, 2, 9, 64), (1, 2, 9, 32)), "head-dim"),
        (call((1, 2, 3, 64), (1, 2, 0, 64)), "empty"),
        (call((1, 2, 3, 64), (1, 2, 9, 64), training=True), "gradient"),
        (call((1, 2, 3, 64), (1, 2, 9, 64), softcap=3.0), "softcap"),
    ],
)
def test_what_the_gpu_kernels_of_pytorch_do_not_take_is_declined(asked: Call, code: str) -> None:
    decline = AttentionLseSdpa().supports(asked, H200)
    assert decline is not None
    assert decline.code == code


def test_nothing_is_chosen_on_a_gpu_before_it_was_checked_there() -> None:
    decision = decide(call((64, 8, 1, 64), (1, 8, 4096, 64)), H200, candidates)
    assert decision.chosen is None
    assert decision.refused is not None
    assert decision.refused.code == "unproven"


@pytest.mark.parametrize("keys", [5, 40])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mask": "causal"},
        {"mask": "causal", "offset": 2},
        {"key_lengths": meta(3, dtype=torch.int64)},
        {"bias": meta(4, 5, 1)},
        {"bias": meta(3, 1, 1, 1, dtype=torch.bool)},
    ],
)
def test_shapes_on_a_gpu_are_those_of_the_operator(keys: int, batch: int, options: dict[str, Any]) -> None:
    asked = call((3, 4, 5, 36), (batch, 2, keys, 36), **options)
    assert AttentionLseSdpa().supports(asked, H200) is None
    out, lse = AttentionLseSdpa().run(asked, {})
    assert (out.shape, out.dtype) == ((3, 4, 5, 36), BF16)
    assert (lse.shape, lse.dtype) == ((3, 4, 5), torch.float32)
    assert lse.is_contiguous()
