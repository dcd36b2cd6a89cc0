"""Long convolutions of one tile program, held to the operator's definition in fp64, in three executions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.ops.long_conv import long_conv, spectrum
from regraft.compiler.ops.spectrum_blocks import SpectrumBlocks
from regraft.kernels.long_conv.fourier import ConvTile
from regraft.kernels.long_conv.program import Options, backward, forward
from regraft.kernels.long_conv.tables import roots, spectrum_tiles, tile_side, tile_sides
from regraft.tests.kernels.harness import prove

CPU = torch.device("cpu")
NAMES = ("pre_gate", "post_gate", "skip")
FACTORS = ((16, 16), (32, 16), (32, 32))


def conv_tile(blocks, length, dtype, *, paired=True, turns=1):
    rows = tile_side(-(-length // blocks.factors[1]))
    return ConvTile(*blocks.factors, rows, *tile_sides(blocks), dtype, paired, turns)


def problem(batch, channels, length, given=NAMES):
    """u, k and what is given of gates and skip, fp64; u with time outside of channels in memory."""
    generator = torch.Generator().manual_seed(batch * 1000 + length)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    u, *gates = (normal(batch, length, channels).mT + 0.5 for _ in range(3))
    k = normal(channels, length) * torch.exp(-torch.arange(length) / 40)
    # At lag 0 everything has one sign: a short sequence has no other lags, and its error would be that of a difference.
    k[:, 0] = k[:, 0].abs()
    extras = dict(zip(NAMES, (*gates, normal(channels).abs()), strict=True))
    return u, k, {name: extras[name] if name in given else None for name in NAMES}


def operands(u, k, extras, blocks):
    flat, twiddle = roots(blocks, torch.float64, CPU)
    tiles = spectrum_tiles(spectrum(k, lags="causal", fft_size=blocks.size), blocks)
    given = {name: tensor for name, tensor in extras.items() if tensor is not None}
    return {"u": u, "spectrum": tiles, "roots": flat, "twiddle": twiddle, **given}


def options(extras):
    return Options(**{name: tensor is not None for name, tensor in extras.items()})


@settings(max_examples=15, deadline=None)
@given(
    batch=st.sampled_from((1, 2, 3)),
    factors=st.sampled_from(FACTORS),
    fill=st.sampled_from((0.0, 0.07, 0.3, 0.5, 1.0)),
    extras=st.sets(st.sampled_from(NAMES)),
    dtype=st.sampled_from(("f32", "f16", "bf16")),
    paired=st.booleans(),
    turns=st.sampled_from((1, 2)),
)
def test_any_length_and_batch_is_convolved(batch, factors, fill, extras, dtype, paired, turns):
    blocks = SpectrumBlocks(factors, factors)
    # The gates of halves are for the mean over many roundings; a single sample shows the sum of its own nine.
    length = max(1 if dtype == "f32" else 17, int(fill * blocks.size / 2) - 3)
    u, k, given = problem(batch, 2, length, extras)
    program = forward(conv_tile(blocks, length, dtype, paired=paired, turns=turns), options(given))
    prove(program, operands(u, k, given, blocks), expected={"y": long_conv(u, k, **given)})


def test_outputs_may_end_before_the_input_does():
    blocks = SpectrumBlocks((16, 16), (16, 16))
    u, k, given = problem(3, 2, 100)
    given["post_gate"] = given["post_gate"][..., :37]
    expected = long_conv(u, k, given["skip"], pre_gate=given["pre_gate"])[..., :37] * given["post_gate"]
    program = forward(conv_tile(blocks, 100, "f32"), options(given))
    prove(program, operands(u, k, given, blocks), expected={"y": expected})


def test_a_long_transform_fits_one_program():
    blocks = SpectrumBlocks((64, 64), (64, 64))
    u, k, given = problem(2, 1, 1997)
    for dtype in ("f32", "f16"):
        program = forward(conv_tile(blocks, 1997, dtype), options(given))
        prove(program, operands(u, k, given, blocks), expected={"y": long_conv(u, k, **given)})


@pytest.mark.parametrize("kept", [(16, 16), (32, 5), (7, 32)], ids=str)
def test_blocks_that_are_zero_are_left_out_of_the_products(kept):
    blocks = SpectrumBlocks((32, 32), kept)
    u, k, given = problem(3, 2, 500)
    k_f = spectrum(k, lags="causal", fft_size=1024)
    expected = torch.ops.regraft.long_conv_spectrum(
        u, k_f, given["skip"], given["pre_gate"], given["post_gate"],
        fft_size=1024, length=500, factors=list(blocks.factors), kept=list(kept),
    )  # fmt: skip
    tile = conv_tile(blocks, 500, "f32")
    assert tile.k1 * tile.k2 < 1024
    prove(forward(tile, options(given)), operands(u, k, given, blocks), expected={"y": expected})


@settings(max_examples=8, deadline=None)
@given(
    batch=st.sampled_from((1, 3)),
    extras=st.sets(st.sampled_from(NAMES)),
    dtype=st.sampled_from(("f32", "f16", "bf16")),
    paired=st.booleans(),
    turns=st.sampled_from((1, 2)),
)
def test_gradients_are_those_of_the_formula(batch, extras, dtype, paired, turns):
    blocks, length = SpectrumBlocks((32, 16), (32, 16)), 253
    u, k, given = problem(batch, 2, length, extras)
    dy = torch.randn(u.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    leaves = {name: t.clone().requires_grad_() for name, t in {"u": u, **given}.items() if t is not None}
    tiles = operands(u, k, given, blocks)["spectrum"]
    wanted = dict(zip(leaves, torch.autograd.grad(long_conv(k=k, **leaves), list(leaves.values()), dy), strict=True))
    tile = conv_tile(blocks, length, dtype, paired=paired, turns=turns)
    groups = -(-((batch + 1) // 2 if paired else batch) // turns)
    skip = {"dskip": torch.empty(groups, 2)} if "skip" in extras else {}
    prove(
        backward(tile, options(given)),
        {**operands(u, k, given, blocks), "dy": dy, "dspectrum": torch.empty(groups, *tiles.shape), **skip},
        expected={f"d{name}": gradient for name, gradient in wanted.items() if name != "skip"},
    )
