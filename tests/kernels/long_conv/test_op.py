"""The operator over the tile programs: what torch asks of it, its gradients, and what its error is relative to."""

import pytest
import torch
from regraft.compiler.ops.long_conv import long_conv, spectrum
from regraft.compiler.ops.spectrum_blocks import SpectrumBlocks
from regraft.kernels.long_conv.epilogue import long_conv_epilogue
from regraft.kernels.long_conv.op import blocks_text, tile_long_conv
from regraft.kernels.long_conv.tables import replaced, roots, spectrum_tiles
from regraft.lowering.tile.chain import chain
from regraft.tests.kernels.harness import operator_checks, relative_error, same_gradients

CPU = torch.device("cpu")
BLOCKS = SpectrumBlocks((32, 16), (32, 16))


def conv(u, k, skip=None, pre_gate=None, post_gate=None, *, blocks=BLOCKS, paired=True, turns=2):
    """``long_conv`` with a filter [H, K], [1, K] or [1, H, K]."""
    k_f = spectrum(k.float(), lags="causal", fft_size=blocks.size)
    tiles = spectrum_tiles(k_f, blocks).expand(*u.shape[:-2][1:], u.shape[-2], -1, -1, -1)
    tiles = tiles.reshape(u.shape[-2], *tiles.shape[-3:])
    operands = (u, tiles, *roots(blocks, u.dtype, CPU), skip, pre_gate, post_gate)
    return tile_long_conv(*operands, u.shape[-1], blocks_text(blocks), paired, turns, 4)


def case(batch, channels, length, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    u, pre, post = (torch.randn(batch, length, channels, generator=generator).to(dtype).mT for _ in range(3))
    k = torch.randn(channels, length, generator=generator) * torch.exp(-torch.arange(length) / 30)
    return u, k, torch.randn(channels, generator=generator), pre, post


@pytest.mark.parametrize("paired", [True, False])
def test_it_is_an_operator_as_torch_wants_them(paired):
    u, k, skip, pre, post = case(3, 2, 100)
    tiles = spectrum_tiles(spectrum(k, lags="causal", fft_size=512), BLOCKS)
    tables = roots(BLOCKS, u.dtype, CPU)
    args = (u, tiles, *tables, skip, pre, post[..., :80], 80, blocks_text(BLOCKS), paired, 2, 4)
    operator_checks(tile_long_conv, args)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("paired", [True, False])
def test_gradients_reach_input_filter_skip_and_gates(batch, dtype, paired):
    def formula(u, k, skip, pre, post):
        return long_conv(u, k, skip, pre_gate=pre, post_gate=post)

    same_gradients(lambda *args: conv(*args, paired=paired), formula, case(batch, 2, 250, dtype))


def test_a_filter_that_all_channels_share_gets_a_gradient_of_its_own_shape():
    u, k, *rest = case(3, 2, 200)
    same_gradients(conv, lambda u, k, *rest: long_conv(u, k, rest[0], None, *rest[1:]), (u, k[:1], *rest))


def test_two_runs_give_the_same_bits():
    u, k, *rest = case(5, 2, 200)
    found = []
    for _ in range(2):
        leaf = k.clone().requires_grad_()
        conv(u, leaf, *rest).square().sum().backward()
        found.append(leaf.grad)
    assert torch.equal(*found)


def test_an_empty_batch_has_empty_outputs_and_gradients_of_zero():
    u, k, *rest = case(0, 2, 100)
    found = conv(u.requires_grad_(), k.requires_grad_(), *rest)
    found.sum().backward()
    assert found.shape == u.grad.shape == u.shape
    assert torch.equal(k.grad, torch.zeros_like(k))


def test_one_sample_is_a_sequence():
    u, k, skip, pre, post = case(3, 2, 1)
    torch.testing.assert_close(conv(u, k, skip, pre, post), long_conv(u, k, skip, pre_gate=pre, post_gate=post))


@pytest.mark.parametrize("period", [100, 131, 300])
def test_a_circular_filter_of_any_period_is_placed_in_a_larger_transform(period):
    u, k, *_ = case(2, 2, 100, torch.float64)
    k_f = spectrum(k.double(), lags="circular", fft_size=period)
    expected = torch.fft.irfft(torch.fft.rfft(u, n=period) * k_f, n=period)[..., :90]
    moved = replaced(k_f, period, 256, 100, 90)
    torch.testing.assert_close(torch.fft.irfft(torch.fft.rfft(u, n=256) * moved, n=256)[..., :90], expected)


@pytest.mark.parametrize("factors", [(16, 16), (32, 32)])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
@pytest.mark.parametrize("shape", ["noise", "constant"])
def test_halves_neither_overflow_nor_vanish(factors, scale, shape):
    blocks = SpectrumBlocks(factors, factors)
    u, k, *_ = case(2, 2, blocks.size // 2)
    u = (scale * (u if shape == "noise" else torch.ones_like(u))).half()
    k = k / k.abs().sum(-1, keepdim=True)
    expected = long_conv(u.double(), k.double())
    # The last stage sums n1 halves, each of which may be off by half of the smallest step there is.
    least = 2**-25 * factors[0] ** 0.5 / expected.square().mean().sqrt().item()
    assert relative_error(conv(u, k, blocks=blocks), expected) < max(1e-3, least)


def leak(dtype, ratio):
    """The error of the first half of the outputs, relative to them, when later inputs are ``ratio`` times larger."""
    u, k, *_ = case(2, 2, 256)
    u = u * torch.where(torch.arange(256) < 128, 1.0, ratio)
    u = u.to(dtype)
    early = long_conv(u.double(), k.double())[..., :128]
    return relative_error(conv(u, k)[..., :128], early)


def test_in_fp32_louder_later_samples_do_not_drown_the_earlier_outputs():
    assert leak(torch.float32, 1e4) < 1e-2


def test_in_halves_the_error_is_relative_to_the_whole_sequence():
    assert leak(torch.float16, 1.0) < 1e-3
    assert 1e-2 < leak(torch.float16, 1e2) < 1e-1


def test_without_pairs_a_bad_sequence_stays_alone():
    u, k, *_ = case(2, 2, 100)
    u[1, :, -1] = torch.nan
    assert conv(u, k, paired=True).isnan().all()
    alone = conv(u, k, paired=False)
    assert alone[0].isfinite().all()
    assert alone[1].isnan().all()


def test_more_samples_than_points_are_refused():
    u, k, *_ = case(1, 2, 300)
    with pytest.raises(ValueError, match="u has 300 samples, more than the 256 of 16 x 16"):
        conv(u, k[:, :256], blocks=SpectrumBlocks((16, 16), (16, 16)))


WORK = "v = gelu(x) * full0; v, minimum(v, 0.5) + full1"


@pytest.mark.parametrize("factors", [(32, 16), (16, 16, 16)])
@pytest.mark.parametrize("paired", [True, False])
def test_work_behind_it_is_done_in_registers(factors, paired):
    u, k, skip, pre, post = case(3, 2, 100)
    blocks, extras = SpectrumBlocks(factors, factors), [torch.randn(3, 80, 2).mT, torch.randn(2, 1)]
    tiles, tables = (
        spectrum_tiles(spectrum(k, lags="causal", fft_size=blocks.size), blocks),
        roots(blocks, u.dtype, CPU),
    )
    options = (80, blocks_text(blocks), paired, 2, 4)

    def parts(u, tiles, roots, twiddle, skip, pre, post, extras, epilogue, outputs, *options):
        # In fp32, as the operator is: its own tests hold it to fp64.
        given = (t.float() for t in (u, tiles, roots, twiddle, skip, pre, post))
        y = tile_long_conv(*given, *options)
        return chain(epilogue).evaluate(y, dict(zip(chain(epilogue).extras, extras, strict=True)))

    args = (u, tiles, *tables, skip, pre, post[..., :80], extras, WORK, "f32 f32", *options)
    operator_checks(long_conv_epilogue, args, formula=parts)
    assert [made.dtype for made in long_conv_epilogue(*args[:9], "f16 bf16", *options)] == [torch.half, torch.bfloat16]
    none = (u[:0], tiles, *tables, skip, pre[:0], post[:0, :, :80], [extras[0][:0], extras[1]])
    assert long_conv_epilogue(*none, *args[8:])[1].shape == (0, 2, 80)
