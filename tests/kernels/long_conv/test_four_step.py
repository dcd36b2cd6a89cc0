"""Long convolutions by an outer stage and a transform of two: the programs in fp64, and the operator made of them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.ops.long_conv import long_conv, spectrum
from regraft.compiler.ops.spectrum_blocks import SpectrumBlocks
from regraft.kernels.long_conv.four_step import OuterTile, inner, inner_gradient, outer_forward, outer_inverse
from regraft.kernels.long_conv.fourier import ConvTile
from regraft.kernels.long_conv.op import blocks_text, tile_long_conv
from regraft.kernels.long_conv.tables import inner_blocks, roots, spectrum_tiles, steps
from regraft.tests.kernels.harness import operator_checks, prove, relative_error, same_gradients

CPU = torch.device("cpu")
BLOCKS = SpectrumBlocks((16, 16, 16), (16, 16, 16))
WIDTH = 256


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def complex_rows(x, blocks, paired=True):
    """z [pairs, H, n0, M] of x [B, H, L] in fp64, by its definition."""
    x = torch.nn.functional.pad(x, (0, blocks.size - x.shape[-1], 0, 0, 0, x.shape[0] % 2 if paired else 0))
    x = torch.complex(x[::2], x[1::2]) if paired else x.to(torch.complex128)
    n0 = blocks.factors[0]
    j, m = torch.arange(n0)[:, None], torch.arange(blocks.size // n0)
    angles = (j * m % blocks.size).double() * (-2 * math.pi / blocks.size)
    twiddle = torch.polar(torch.ones_like(angles), angles)
    return torch.fft.fft(x.unflatten(-1, (n0, -1)), dim=-2) * twiddle / n0**0.5


def parts(z):
    return torch.view_as_real(z).movedim(-1, -2).contiguous()


def tables(blocks, dtype=torch.float64):
    (outer, twiddle), (flat, inner_twiddle) = steps(blocks, *roots(blocks, dtype, CPU))
    return {"roots": outer, "twiddle": twiddle}, {"roots": flat, "twiddle": inner_twiddle, "outer_twiddle": twiddle}


def outer_tile(n0, rows, dtype, paired=True, turns=1):
    return OuterTile(n0, n0, WIDTH, rows, dtype, paired, turns)


def blocks_of(n0):
    return SpectrumBlocks((n0, 16, 16), (n0, 16, 16))


@settings(max_examples=6, deadline=None)
@given(
    batch=st.sampled_from((1, 2, 3)),
    length=st.sampled_from((1, 300, 2049, 4096)),
    gated=st.booleans(),
    dtype=st.sampled_from(("f32", "f16", "bf16")),
    paired=st.booleans(),
    turns=st.sampled_from((1, 2)),
)
def test_the_outer_stage_is_a_transform_along_the_rows(batch, length, gated, dtype, paired, turns):
    u, gate = normal(batch, length, 1).mT, normal(batch, 1, length, seed=1) + 2.0
    wanted = complex_rows(u * gate if gated else u, BLOCKS, paired)
    program = outer_forward(outer_tile(16, 16, dtype, paired, turns), pre_gate=gated)
    given = {"u": u, **tables(BLOCKS)[0], **({"pre_gate": gate} if gated else {})}
    prove(program, given, expected={"z": parts(wanted)})


@pytest.mark.parametrize("paired", [True, False])
def test_more_rows_and_frequencies_than_a_tile_has_are_summed_in_blocks(paired):
    blocks = blocks_of(128)
    u = normal(1, 1, 70 * WIDTH + 5)
    z = complex_rows(u, blocks, paired)
    tile = outer_tile(128, 64, "f32", paired)
    prove(outer_forward(tile, pre_gate=False, many=True), {"u": u, **tables(blocks)[0]}, expected={"z": parts(z)})
    # Back, without the convolution: conj(T0) is all that is missing.
    again = z * complex_rows(torch.ones(1, 1, WIDTH, dtype=torch.float64), blocks, paired=False)[0].conj()
    inverse = outer_inverse(tile, pre_gate=False, post_gate=False, skip=False)
    prove(inverse, {"z": parts(again), "roots": tables(blocks)[0]["roots"]}, expected={"y": u})


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
@pytest.mark.parametrize(("conjugate", "turns"), [(False, 2), (True, 1)])
def test_a_row_is_convolved_by_its_slice_of_the_spectrum(dtype, conjugate, turns):
    z = torch.complex(normal(3, 1, 16, WIDTH), normal(3, 1, 16, WIDTH, seed=1))
    k_f = spectrum(normal(1, 2000) * torch.exp(-torch.arange(2000) / 40), lags="causal", fft_size=4096)
    # The row of digit j has the frequencies j + 16 m.
    whole = torch.cat([k_f, k_f[..., 1:-1].flip(-1).conj()], -1).unflatten(-1, (WIDTH, 16)).mT
    whole = whole.conj() if conjugate else whole
    unit = complex_rows(torch.ones(1, 1, WIDTH, dtype=torch.float64), BLOCKS, paired=False)[0].conj()
    wanted = torch.fft.ifft(torch.fft.fft(z) * whole) * unit
    program = inner(ConvTile(16, 16, 16, 16, 16, dtype, turns=turns), 16, conjugate=conjugate)
    given = {"z": parts(z), "spectrum": spectrum_tiles(k_f, BLOCKS), **tables(BLOCKS)[1]}
    prove(program, given, expected={"out": parts(wanted)})


def test_the_gradient_of_the_spectrum_is_a_sum_over_pairs():
    z, g = (torch.complex(normal(3, 1, 16, WIDTH, seed=s), normal(3, 1, 16, WIDTH, seed=s + 1)) for s in (0, 2))
    each = (torch.fft.fft(z).conj() * torch.fft.fft(g)).unflatten(-1, (16, 16)).mT / 16
    wanted = torch.stack([each[:2].sum(0), each[2]])
    given = {"z": parts(z), "zg": parts(g), **tables(BLOCKS)[1]}
    del given["outer_twiddle"]
    program = inner_gradient(ConvTile(16, 16, 16, 16, 16, "f32", turns=2), 16)
    expected = {"dspectrum": torch.view_as_real(wanted).movedim(-1, -3).contiguous()}
    prove(program, given, expected=expected)


def conv(u, k, skip=None, pre_gate=None, post_gate=None, *, blocks=BLOCKS, paired=True, length=None):
    k_f = spectrum(k.float(), lags="causal", fft_size=blocks.size)
    operands = (u, spectrum_tiles(k_f, blocks), *roots(blocks, u.dtype, CPU), skip, pre_gate, post_gate)
    return tile_long_conv(*operands, length or u.shape[-1], blocks_text(blocks), paired, 2, 4)


def case(batch, channels, length, dtype=torch.float32):
    u, pre, post = (normal(batch, length, channels, seed=s).to(dtype).mT for s in range(3))
    k = normal(channels, length, seed=3) * torch.exp(-torch.arange(length) / 30)
    return u, k.float(), normal(channels, seed=4).float(), pre, post


@pytest.mark.parametrize(("dtype", "batch", "paired"), [(torch.float32, 3, True), (torch.float16, 1, False)])
def test_gradients_reach_input_filter_skip_and_gates(dtype, batch, paired):
    def formula(u, k, skip, pre, post):
        return long_conv(u, k, skip, pre_gate=pre, post_gate=post)

    same_gradients(lambda *args: conv(*args, paired=paired), formula, case(batch, 2, 1997, dtype))


def test_it_is_an_operator_as_torch_wants_them():
    u, k, skip, pre, post = case(2, 1, 300)
    tiles = spectrum_tiles(spectrum(k, lags="causal", fft_size=4096), BLOCKS)
    args = (u, tiles, *roots(BLOCKS, u.dtype, CPU), skip, pre, post[..., :280], 280, blocks_text(BLOCKS), True, 1, 4)
    operator_checks(tile_long_conv, args)


def test_outputs_may_end_before_or_after_the_input_does():
    u, k, skip, *_ = case(2, 2, 900)
    longer = torch.nn.functional.pad(u, (0, 400))
    expected = long_conv(longer.double(), k.double(), skip.double())
    for length in (333, 1300):
        assert relative_error(conv(u, k, skip, length=length), expected[..., :length]) < 1e-6


def test_8192_points_in_halves():
    given = case(1, 1, 4001, torch.float16)
    u, k, skip, pre, post = (tensor.double() for tensor in given)
    expected = long_conv(u, k, skip, pre_gate=pre, post_gate=post)
    assert relative_error(conv(*given, blocks=SpectrumBlocks((16, 32, 16), (16, 32, 16))), expected) < 1e-3


@pytest.mark.parametrize("kept", [(16, 16, 5), (7, 16, 16), (32, 3, 9)], ids=str)
def test_blocks_that_are_zero_are_left_out(kept):
    blocks = SpectrumBlocks((32, 16, 16), kept)
    u, k, skip, *_ = case(1, 1, 4000)
    tiles = spectrum_tiles(spectrum(k, lags="causal", fft_size=8192), blocks)
    assert tiles.numel() == 2 * math.prod(max(16, count) for count in kept)
    expected = torch.ops.regraft.long_conv_spectrum(
        u, spectrum(k, lags="causal", fft_size=8192), skip, fft_size=8192, length=4000,
        factors=list(blocks.factors), kept=list(kept),
    )  # fmt: skip
    assert relative_error(conv(u, k, skip, blocks=blocks), expected) < 1e-6


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_halves_neither_overflow_nor_vanish(scale):
    u, k, *_ = case(1, 1, 2048)
    k = k / k.abs().sum(-1, keepdim=True)
    expected = long_conv(torch.full_like(u, scale).double(), k.double())
    # The last stage sums 16 halves, each of which may be off by half of the smallest step there is.
    least = 2**-25 * 4 / expected.square().mean().sqrt().item()
    assert relative_error(conv(torch.full_like(u, scale).half(), k), expected) < max(1e-3, least)


def test_the_inner_tables_are_those_of_its_own_size():
    _, (flat, twiddle) = steps(BLOCKS, *roots(BLOCKS, torch.float32, CPU))
    for found, wanted in zip((flat, twiddle), roots(inner_blocks(BLOCKS), torch.float32, CPU), strict=True):
        assert torch.equal(found, wanted)
