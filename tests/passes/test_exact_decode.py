"""Long convolutions whose input arrives piece by piece."""

import pytest
import torch
from regraft.compiler.errors import UsageError
from regraft.passes.make_recurrent.exact_decode import METHODS, Tiling, close_blocks, convolve

LENGTH, CHANNELS = 203, 3


def given(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs [N, B, H, L] of two convolutions, taps [N, 1, H, L], and the outputs by definition in fp64."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, batch, CHANNELS, LENGTH, generator=generator)
    taps = torch.randn(2, 1, CHANNELS, LENGTH, generator=generator) * torch.arange(LENGTH).div(-60).exp()
    size = 2 * LENGTH
    y = torch.fft.irfft(torch.fft.rfft(x.double(), n=size) * torch.fft.rfft(taps.double(), n=size), n=size)
    return x, taps, y[..., :LENGTH]


def by_pieces(x: torch.Tensor, taps: torch.Tensor, tiling: Tiling, pieces: list[int]) -> torch.Tensor:
    history, pending = torch.zeros_like(x), x.new_zeros(*x.shape[:-1], tiling.ahead)
    outputs, spectra, at = [], {}, 0
    for count in pieces:
        piece = x[..., at : at + count]
        y = [convolve(piece[n], taps[n], history[n], pending[n], at, tiling) for n in range(2)]
        outputs.append(torch.stack(y))
        close_blocks(history, pending, taps, spectra, at, at + count, tiling)
        at += count
    return torch.cat(outputs, -1)


def tilings() -> list[Tiling]:
    return [Tiling.of(method, LENGTH) for method in METHODS] + [
        Tiling("relaxed", LENGTH, 1),
        Tiling("epoched", LENGTH, 7),
    ]


@pytest.mark.parametrize("tiling", tilings(), ids=str)
def test_samples_one_by_one_give_the_whole_convolution_at_every_position(tiling: Tiling) -> None:
    x, taps, y = given()
    stepped = by_pieces(x, taps, tiling, [1] * LENGTH)
    error = (stepped - y).abs().amax((0, 1, 2)) / y.abs().max()
    assert error.max() < 1e-6


@pytest.mark.parametrize("tiling", tilings(), ids=str)
@pytest.mark.parametrize("first", [1, 31, 32, 33, 127, 128, 202])
def test_a_prompt_of_any_length_leaves_the_state_that_its_samples_leave(tiling: Tiling, first: int) -> None:
    x, taps, y = given()
    continued = by_pieces(x, taps, tiling, [first] + [1] * (LENGTH - first))
    assert (continued - y).abs().max() / y.abs().max() < 1e-6


@pytest.mark.parametrize("tiling", tilings(), ids=str)
@pytest.mark.parametrize("size", [2, 5, 32, 50, 101])
def test_the_size_of_pieces_does_not_change_the_outputs(tiling: Tiling, size: int) -> None:
    x, taps, y = given()
    pieces = [size] * (LENGTH // size) + ([LENGTH % size] if LENGTH % size else [])
    assert (by_pieces(x, taps, tiling, pieces) - y).abs().max() / y.abs().max() < 1e-6


@pytest.mark.parametrize("length", [1, 2, 3, 31, 33, 64])
def test_short_filters_have_tilings_too(length: int) -> None:
    x, taps, y = (part[..., :length] for part in given())
    for method in METHODS:
        assert (by_pieces(x, taps, Tiling.of(method, length), [1] * length) - y).abs().max() < 1e-5


def test_pending_outputs_are_no_more_than_the_method_needs() -> None:
    assert [Tiling.of(method, 4096).ahead for method in METHODS] == [4096, 221, 0]


def test_an_unknown_method_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="relaxed"):
        Tiling.of("relaxd", 8)
