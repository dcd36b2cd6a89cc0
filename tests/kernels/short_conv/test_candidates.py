"""When the tile kernel takes a short convolution, and in which layout."""

import pytest
import torch
from regraft.kernels import candidates
from regraft.kernels.short_conv.candidates import ShortConvReference, ShortConvTile
from regraft.lowering.candidates import call_with
from regraft.lowering.select import ESTIMATED_MARGIN
from regraft.lowering.targets import target_for
from torch import Tensor

TARGET = target_for("sm_90")
OPERATOR = torch.ops.regraft.short_conv.default


def call(u: Tensor, taps: int = 4, **options):
    return call_with(OPERATOR, u, torch.randn(u.shape[-2], taps, dtype=u.dtype), **options)


@pytest.mark.parametrize("shape", [(2, 5, 33), (5, 33)])
@pytest.mark.parametrize("activation", ["identity", "silu"])
def test_it_computes_the_operator(shape: tuple[int, ...], activation: str) -> None:
    asked = call(torch.randn(shape), activation=activation, bias=torch.randn(5))
    candidate = ShortConvTile()
    made = candidate.run(asked, candidate.configs(asked, TARGET)[0])
    torch.testing.assert_close(made, OPERATOR(**asked.arguments))


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (lambda: call(torch.randn(1, 3, 8, dtype=torch.float64)), "dtype"),
        (lambda: call(torch.randn(1, 3, 8), taps=9), "many-taps"),
    ],
)
def test_what_it_cannot_do_is_declined(asked, code: str) -> None:
    assert ShortConvTile().supports(asked(), TARGET).code == code


def test_a_cpu_is_declined() -> None:
    assert ShortConvTile().supports(call(torch.randn(1, 3, 8)), target_for("cpu")).code == "device"


def test_tiles_are_long_where_memory_is() -> None:
    together = {
        name: ShortConvTile().configs(call(u), TARGET)[0]
        for name, u in {"time": torch.randn(2, 8, 9), "channels": torch.randn(2, 9, 8).mT}.items()
    }
    assert together["time"]["times"] > together["time"]["channels"]
    assert together["channels"]["channels"] > together["channels"]["times"]


def test_it_is_predicted_to_beat_the_library_and_not_to_beat_one_pass() -> None:
    asked = call(torch.empty(8, 2048, 4096, dtype=torch.bfloat16, device="meta"))
    reference = candidates.reference("short_conv")
    assert isinstance(reference, ShortConvReference)
    library = reference.estimate(asked, TARGET, {})
    for config in ShortConvTile().configs(asked, TARGET):
        estimate = ShortConvTile().estimate(asked, TARGET, config)
        assert estimate.floor_seconds <= estimate.seconds < library.seconds / ESTIMATED_MARGIN
