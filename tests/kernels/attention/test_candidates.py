"""When attention is computed by tiles: what is declined, what an estimate says, and what fits."""

from typing import Any

import pytest
import torch
from regraft.kernels import candidates
from regraft.kernels.attention.candidates import AttentionTiles, visited
from regraft.kernels.attention.program import AttentionTile, Form
from regraft.kernels.attention.tiles import backward_tiles, forward_tiles
from regraft.lowering.candidates import Call, call_with
from regraft.lowering.known_bad import known_bad
from regraft.lowering.select import ESTIMATED_MARGIN, decide
from regraft.lowering.targets import ARCHES, target_for
from torch import Tensor

H200 = target_for("sm_90")


def empty(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def call(queries: int = 4096, features: int = 128, dtype: torch.dtype = torch.bfloat16, **options: Any) -> Call:
    training = options.pop("training", False)
    q, kv = empty(2, 32, queries, features, dtype=dtype), empty(2, 8, 4096, features, dtype=dtype)
    return call_with(torch.ops.regraft.attention.default, q, kv, kv, training=training, **options)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"dtype": torch.float64}, "dtype"),
        ({"features": 300}, "head-dim"),
        ({"dropout": 0.1}, "dropout"),
        ({"scale": -1.0}, "scale"),
        ({"bias": empty(4096, 4096), "training": True}, "bias-gradient"),
    ],
)
def test_what_the_kernel_does_not_take_is_declined(options: dict[str, Any], code: str) -> None:
    decline = AttentionTiles().supports(call(**options), H200)
    assert decline is not None
    assert decline.code == code


def test_a_cpu_is_declined() -> None:
    decline = AttentionTiles().supports(call(), target_for("cpu"))
    assert decline is not None
    assert decline.code == "device"


def test_a_boolean_mask_has_no_gradient_to_miss() -> None:
    assert AttentionTiles().supports(call(bias=empty(4096, 4096, dtype=torch.bool), training=True), H200) is None


@pytest.mark.parametrize("options", [{"mask": "sliding", "window": 512}, {"mask": "causal", "softcap": 30.0}])
def test_masks_without_a_fast_kernel_go_to_tiles(options: dict[str, Any]) -> None:
    tiles, asked = AttentionTiles(), call(**options)
    ours = tiles.estimate(asked, H200, tiles.configs(asked, H200)[0])
    theirs = candidates.reference("attention").estimate(asked, H200, {})
    assert ours is not None
    assert theirs is not None
    assert ours.seconds * ESTIMATED_MARGIN < theirs.seconds
    # Until the kernel has been checked on the architecture that is not enough.
    refused = decide(asked, H200, candidates).refused
    assert refused is not None
    assert refused.code == "unproven"


@pytest.mark.parametrize("options", [{}, {"mask": "causal"}])
def test_nothing_is_estimated_where_sdpa_is_fast(options: dict[str, Any]) -> None:
    assert AttentionTiles().estimate(call(**options), H200, AttentionTiles().configs(call(**options), H200)[0]) is None


def test_only_visited_tiles_are_counted() -> None:
    tile = AttentionTile(128, 64)
    assert visited(call(), tile) == 4096 * 4096
    causal = visited(call(mask="causal"), tile)
    assert causal == sum(128 * (start + 128) for start in range(0, 4096, 128))
    assert visited(call(mask="sliding", window=128), tile) < causal / 8


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("features", [16, 64, 80, 128, 256])
def test_the_first_choice_fits_and_is_not_known_to_be_bad(arch: str, features: int) -> None:
    target = target_for(arch)
    for queries in (1, 8, 4096):
        config = AttentionTiles().configs(call(queries, features), target)[0]
        assert known_bad(AttentionTiles(), config, target, "3.7.1") is None
    for dtype in ("bf16", "f32"):
        form = Form(dtype, features, features)
        assert forward_tiles(form, target, 4096)
        assert backward_tiles(form, target)
