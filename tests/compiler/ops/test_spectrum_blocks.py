"""Block-skipping convolutions: equal to the dense one with the masked spectrum, real, and with fewer products."""

import pytest
import regraft.compiler.ops  # noqa: F401
import torch
from hypothesis import given
from hypothesis import strategies as st
from regraft.compiler.ops.spectrum_blocks import SpectrumBlocks, block_conv, forward, gather, inverse
from torch.fft import fft, irfft, rfft
from torch.utils.flop_counter import FlopCounterMode


@st.composite
def patterns(draw):
    factors = draw(st.lists(st.integers(2, 7), min_size=2, max_size=3))
    return SpectrumBlocks(tuple(factors), tuple(draw(st.integers(1, radix)) for radix in factors))


PATTERNS = [((4, 6), (4, 2)), ((5, 7), (3, 7)), ((8, 8), (5, 4)), ((3, 5), (1, 1)), ((2, 3, 5), (2, 3, 2))]


def signals(blocks, length):
    x = torch.randn(2, 3, length, dtype=torch.float64)
    return x, rfft(torch.randn(3, blocks.size, dtype=torch.float64))


@given(patterns())
def test_a_frequency_is_kept_with_its_partner_or_not_at_all(blocks):
    n, mask = blocks.size, blocks.mask()
    kept = {int(k) for k in blocks.frequencies().flatten()}
    expected = [k in kept and (n - k) % n in kept for k in range(n // 2 + 1)]
    assert mask.tolist() == expected


@given(patterns(), st.integers(0, 5))
def test_it_is_the_dense_convolution_with_the_masked_spectrum(blocks, missing):
    x, k_f = signals(blocks, max(blocks.size - missing, 1))
    dense = irfft(rfft(x, n=blocks.size) * k_f * blocks.mask(), n=blocks.size)
    torch.testing.assert_close(block_conv(x, k_f, blocks), dense, rtol=0, atol=1e-12)


@given(patterns())
def test_the_output_is_real_to_rounding(blocks):
    x, k_f = signals(blocks, blocks.size)
    y = inverse(forward(x, blocks) * gather(k_f, blocks), blocks) / blocks.size
    assert y.imag.abs().max() < 1e-13 * (1 + y.real.abs().max()) * blocks.size


@given(patterns())
def test_the_forward_products_give_the_frequencies_they_name(blocks):
    x, _ = signals(blocks, blocks.size)
    torch.testing.assert_close(forward(x, blocks), fft(x)[..., blocks.frequencies()], rtol=0, atol=1e-11)


@pytest.mark.parametrize(("factors", "kept"), PATTERNS)
def test_the_products_that_are_run_are_those_that_are_counted(factors, kept):
    blocks = SpectrumBlocks(factors, kept)
    x, k_f = signals(blocks, blocks.size)
    with FlopCounterMode(display=False) as counter:
        block_conv(x, k_f, blocks)
    assert counter.get_total_flops() == 2 * x[..., 0].numel() * blocks.multiply_adds
    assert blocks.multiply_adds < blocks.dense.multiply_adds


def test_an_even_window_of_columns_is_a_low_pass_that_wastes_nothing():
    kept = SpectrumBlocks((8, 16), (8, 4)).mask().nonzero().flatten().tolist()
    assert kept == list(range(16))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dialect_counts_what_is_outside_of_the_blocks_as_zero(dtype):
    blocks = SpectrumBlocks((4, 6), (3, 2))
    x, k_f = (value.to(kind) for value, kind in zip(signals(blocks, 12), (dtype, dtype.to_complex()), strict=True))
    got = torch.ops.regraft.long_conv_spectrum(x, k_f, fft_size=24, length=9, factors=[4, 6], kept=[3, 2])
    expected = torch.ops.regraft.long_conv_spectrum(x, k_f * blocks.mask(), fft_size=24, length=9)
    assert torch.equal(got, expected)
    torch.testing.assert_close(got, block_conv(x, k_f, blocks)[..., :9])


@pytest.mark.parametrize(
    ("factors", "kept"), [((8,), (4,)), ((4, 4), (4,)), ((4, 4), (0, 4)), ((4, 4), (4, 5)), ((1, 4), (1, 4))]
)
def test_what_is_no_pattern_is_refused(factors, kept):
    with pytest.raises(ValueError, match="factors"):
        SpectrumBlocks(factors, kept)


def test_blocks_of_another_size_than_the_transform_are_refused():
    u, k_f = torch.randn(3, 9), rfft(torch.randn(3, 18))
    with pytest.raises(ValueError, match="fft_size = 18"):
        torch.ops.regraft.long_conv_spectrum(u, k_f, fft_size=18, length=9, factors=[4, 4], kept=[4, 2])
