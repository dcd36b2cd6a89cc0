"""Frequency-sparse convolutions: the blocks that are named are those that are zero, within the stated bounds."""

import pytest
import torch
from regraft.compiler.calls import bind
from regraft.compiler.errors import UsageError
from regraft.compiler.execute import execute
from regraft.compiler.ops.spectrum_blocks import SpectrumBlocks
from regraft.compiler.pipeline import Pipeline
from regraft.compiler.text import parse_program, print_program
from regraft.frontend.capture import capture
from regraft.frontend.testing import run_pass
from regraft.passes import registry
from regraft.passes.fold_filters import FoldFilters
from regraft.passes.sparsify_spectrum import SparsifySpectrum, balanced
from torch import nn
from torch.fft import irfft, rfft

long_conv = torch.ops.regraft.long_conv


class Filtered(nn.Module):
    """A causal convolution with stored taps, gated and with a skip term."""

    def __init__(self, length=20, fft_size=40, channels=3, dtype=torch.float64, lags="causal"):
        super().__init__()
        self.k = nn.Parameter(torch.randn(channels, length, dtype=dtype))
        self.skip = nn.Parameter(torch.randn(channels, dtype=dtype))
        self.fft_size, self.lags = fft_size, lags

    def forward(self, u):
        gates = (None, torch.sin(u), torch.cos(u))
        return long_conv(u, self.k, self.skip, *gates, lags=self.lags, fft_size=self.fft_size)


def sparsified(model, length=20, **options):
    u = torch.randn(2, 3, length, dtype=model.k.dtype)
    program = capture(model.eval(), (u,))
    before = program.copy()
    result = Pipeline((FoldFilters(), SparsifySpectrum(**options))).run(program)
    program.recompile()
    return before, program, u, list(result.remarks)[-1]


def blocks_of(program):
    (node,) = (node for node in program.graph.nodes if "long_conv_spectrum" in str(node.target))
    call = bind(node)
    return SpectrumBlocks(tuple(call["factors"]), tuple(call["kept"]))


@pytest.mark.parametrize(
    ("options", "factors", "kept"),
    [
        ({"keep": 0.5}, (5, 8), (5, 4)),
        ({"rows": 3}, (5, 8), (3, 8)),
        ({"columns": 2}, (5, 8), (5, 2)),
        ({"rows": 3, "columns": 4}, (5, 8), (3, 4)),
        ({"rows": 1, "columns": 2, "order": 3}, (2, 4, 5), (1, 4, 2)),
        ({"rows": 99, "columns": 4}, (5, 8), (5, 4)),
    ],
)
def test_the_site_is_the_dense_convolution_with_the_masked_spectrum(options, factors, kept):
    model = Filtered()
    _, program, u, remark = sparsified(model, **options)
    blocks = blocks_of(program)
    assert (blocks.factors, blocks.kept) == (factors, kept)
    x = u * torch.sin(u)
    y = irfft(rfft(x, n=40) * rfft(model.k, n=40) * blocks.mask(), n=40)[..., :20]
    expected = (y + model.skip[:, None] * x) * torch.cos(u)
    torch.testing.assert_close(execute(program, [u])[0], expected, rtol=0, atol=1e-13)
    assert remark.numbers["saved"] == 1 - blocks.multiply_adds / blocks.dense.multiply_adds > 0


@pytest.mark.parametrize("options", [{"keep": 0.5}, {"rows": 3, "columns": 2}])
def test_the_bounds_hold_and_that_of_a_sample_is_attained(options):
    model = Filtered(channels=1)
    before, program, u, remark = sparsified(model, **options)
    numbers = remark.numbers
    k_f = rfft(model.k.detach(), n=40)
    removed = k_f * ~blocks_of(program).mask()
    for seed in range(20):
        torch.manual_seed(seed)
        x = torch.randn(1, 40, dtype=torch.float64) ** 3
        change = irfft(rfft(x) * removed, n=40)
        assert change.norm() <= numbers["gain"] * x.norm()
        assert change.abs().max() <= numbers["peak"] * x.abs().max()
    (was,), (now,) = execute(before, [u]), execute(program, [u])
    assert (was - now).norm() <= numbers["gain"] * (u * torch.sin(u)).norm()
    worst = irfft(removed, n=40)[0].flip(-1).roll(1).sign()
    assert irfft(rfft(worst) * removed, n=40)[0, 0].item() == pytest.approx(numbers["peak"], rel=1e-12)
    loudest = removed.abs().argmax()
    wave = torch.cos(2 * torch.pi * loudest * torch.arange(40, dtype=torch.float64) / 40)
    louder = irfft(rfft(wave) * removed, n=40).norm() / wave.norm()
    assert louder.item() == pytest.approx(numbers["gain"], rel=1e-12)
    assert numbers["bound"] == pytest.approx(numbers["gain"] / k_f.abs().max().item())


def test_what_a_causal_filter_comes_to_see_of_its_future_is_told():
    model = Filtered(channels=1)
    before, program, _, remark = sparsified(model, keep=0.5)
    u = torch.randn(1, 1, 20, dtype=torch.float64, requires_grad=True)
    for each, sees in ((before, False), (program, True)):
        early = execute(each, [u])[0][..., 3].sum()
        (gradient,) = torch.autograd.grad(early, u)
        assert (gradient[..., 4:].abs().max() > 1e-9) == sees
    k_f = rfft(model.k.detach(), n=40)
    ahead = irfft(k_f * blocks_of(program).mask(), n=40)[:, 21:].abs().sum() / model.k.abs().sum()
    assert remark.numbers["ahead"] == pytest.approx(ahead.item(), rel=1e-9)


def test_circular_filters_have_no_future_to_tell_of():
    _, _, _, remark = sparsified(Filtered(fft_size=20, lags="circular"), keep=0.5)
    assert remark.code == "sparsified"
    assert "ahead" not in remark.numbers


def test_a_fraction_is_rounded_up_to_whole_tiles_of_a_large_transform():
    model = Filtered(length=1024, fft_size=2048)
    _, program, _, _ = sparsified(model, length=1024, keep=0.3)
    assert blocks_of(program) == SpectrumBlocks((32, 64), (32, 32))


def test_blocks_survive_as_text():
    _, program, _, _ = sparsified(Filtered(), keep=0.5)
    text = print_program(program)
    assert "factors=[5, 8], kept=[5, 4]" in text
    assert print_program(parse_program(text)) == text


def test_sizes_are_split_evenly():
    assert balanced(2048, 2) == (32, 64)
    assert balanced(4096, 3) == (16, 16, 16)
    assert balanced(1994, 2) == (2, 997)
    assert balanced(13, 2) == (1, 13)


def codes(model, *types, passes="fold-filters,sparsify-spectrum{keep=0.5}"):
    return [remark.code for remark in run_pass(passes, model, *types).remarks if remark.pass_name != "fold-filters"]


def test_what_cannot_be_sparsified_is_declined_with_its_reason():
    def model(**options):
        return Filtered(dtype=torch.float32, **options).eval()

    assert codes(model(), "f32[2, 3, 20]", passes="sparsify-spectrum{keep=0.5}") == ["not-folded"]
    assert codes(model(fft_size=41), "f32[2, 3, 20]") == ["size-prime"]
    assert codes(model(), "f32[2, 3, 20]", passes="fold-filters,sparsify-spectrum{keep=1}") == ["nothing-to-drop"]
    broken = model()
    with torch.no_grad():
        broken.k[1, 7] = float("inf")
    assert codes(broken, "f32[2, 3, 20]") == ["filter-not-finite"]
    spectrum = torch.ops.regraft.long_conv_spectrum
    given = run_pass(
        "sparsify-spectrum{keep=0.5}",
        lambda u, k: spectrum(u, rfft(k, n=24), fft_size=24, length=12),
        "f32[2, 3, 12]",
        "f32[3, 12]",
    )
    assert given.remark.code == "filter-from-input"
    assert codes(nn.Linear(3, 3).eval(), "f32[2, 3]") == ["no-sites"]


def test_blocks_that_are_sparse_already_stay_as_they_are():
    _, program, _, _ = sparsified(Filtered(), keep=0.5)
    (remark,) = Pipeline((SparsifySpectrum(rows=2),)).run(program).remarks
    assert remark.code == "already-sparse"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either keep"),
        ({"keep": "0.5", "rows": "4"}, "either keep"),
        ({"keep": "0"}, "above 0"),
        ({"keep": "nan"}, "above 0"),
        ({"rows": "0"}, "at least 1"),
        ({"columns": "-3"}, "at least 1"),
        ({"keep": "0.5", "order": "4"}, "2 or 3"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        registry.get("sparsify-spectrum").from_options(options)
