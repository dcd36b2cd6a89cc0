"""Convolutions through the Fourier transform: which are raised, at which lags and scale, and which are left alone.

The spellings of released code are the examples of the rules; here are the settings in between.
"""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from regraft.frontend.testing import assert_no_worse, run_pass
from torch.fft import fft, ifft, irfft, rfft

NORMS = (None, "ortho", "forward", "backward")


def raised(function, *types):
    """The rewritten program's only ``long_conv``, after its values and gradients were compared."""
    rewritten = run_pass("raise-long-conv", function, *types)
    assert not rewritten.unchanged, [str(remark) for remark in rewritten.remarks]
    assert rewritten.count("fft") == 0
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)
    (node,) = (n for n in rewritten.program.graph.nodes if "regraft.long_conv" in str(n.target))
    assert_close_to_fp64(rewritten)
    return node


def assert_close_to_fp64(rewritten):
    exact = [tensor.double() for tensor in rewritten.inputs]
    for reference, result in zip(
        rewritten.before.module(*exact), rewritten.program.module(*rewritten.inputs), strict=True
    ):
        assert (result - reference).norm() <= 1e-6 * reference.norm()


def declined(function, *types):
    rewritten = run_pass("raise-long-conv", function, *types)
    assert rewritten.unchanged
    return rewritten.remark.code


@pytest.mark.parametrize(("of_u", "of_k", "back"), list(product(NORMS, NORMS, NORMS)))
def test_any_norms_give_the_total_scale(of_u, of_k, back):
    def function(u, k):
        spectrum = rfft(u, n=18, norm=of_u) * (rfft(k, n=18, norm=of_k) / 7)
        return irfft(-spectrum * 3.0, n=18, norm=back)[..., :9]

    raised(function, "f32[2, 3, 9]", "f32[3, 9]")


def test_a_scale_of_one_leaves_the_filter_alone():
    node = raised(
        lambda u, k: irfft(rfft(u, n=18) * (rfft(k, n=18) / 18), n=18, norm="forward")[..., :9],
        "f32[2, 3, 9]",
        "f32[3, 9]",
    )
    assert node.args[1].op == "placeholder"


@pytest.mark.parametrize("n", [9, 10, 16, 17, 18, 27, 31, 64])
@pytest.mark.parametrize(("start", "end"), [(0, 9), (0, 5), (0, None), (3, 12), (4, 13)])
def test_sizes_and_slices_are_exact_and_linear_only_where_nothing_wraps(n, start, end):
    node = raised(
        lambda u, k: irfft(rfft(u, n=n) * rfft(k, n=n), n=n)[..., start:end].clone(), "f32[2, 3, 9]", "f32[3, 9]"
    )
    kept = len(range(n)[start:end])
    linear = n + start >= 17 and kept <= 9
    assert (node.kwargs.get("lags") != "circular") == linear
    assert node.kwargs.get("lag0", 0) == start


@pytest.mark.parametrize("taps", [1, 4, 9, 20])
def test_filters_shorter_and_longer_than_the_input(taps):
    raised(lambda u, k: irfft(rfft(u, n=40) * rfft(k, n=40), n=40)[..., :9], "f32[2, 3, 9]", f"f32[3, {taps}]")


@pytest.mark.parametrize("length", [1, 2, 3, 97])
def test_odd_prime_and_tiny_lengths(length):
    def function(u, k):
        return irfft(rfft(u, n=2 * length) * rfft(k, n=2 * length), n=2 * length)[..., :length]

    raised(function, f"f32[2, 3, {length}]", f"f32[3, {length}]")


def test_an_input_longer_than_the_transform_is_cut_as_the_transform_does():
    raised(lambda u, k: irfft(rfft(u, n=7) * rfft(k, n=7), n=7), "f32[2, 3, 9]", "f32[3, 4]")


@pytest.mark.parametrize("k", ["f32[9]", "f32[1, 3, 9]", "f32[2, 3, 9]", "f32[2, 1, 9]"])
def test_filters_per_batch_per_channel_and_for_all(k):
    raised(lambda u, k: irfft(rfft(u, n=18) * rfft(k, n=18), n=18)[..., :9], "f32[2, 3, 9]", k)


def test_the_filter_may_stand_first():
    node = raised(lambda u, k: irfft(rfft(k, n=18) * rfft(u, n=18), n=18)[..., :9], "f32[2, 3, 9]", "f32[3, 9]")
    assert node.args[0].name == "inputs_0"


def test_a_conjugated_filter_is_a_correlation():
    node = raised(lambda u, k: irfft(rfft(u, n=18) * rfft(k, n=18).conj(), n=18)[..., :9], "f32[2, 3, 9]", "f32[3, 9]")
    assert node.kwargs["lags"] == "anticausal"


def test_the_two_bidirectional_conventions_stay_apart():
    def shared(u, k, k_rev):
        return irfft(rfft(u, n=18) * (rfft(k, n=18) + rfft(k_rev, n=18).conj()), n=18)[..., :9]

    def offset(u, k, k_rev):
        both = F.pad(k_rev.flip(-1), (9, 0)) + F.pad(k, (0, 9))
        return irfft(rfft(u, n=18) * rfft(both, n=18), n=18)[..., :9]

    types = ("f32[2, 3, 9]", "f32[3, 9]", "f32[3, 9]")
    nodes = raised(shared, *types), raised(offset, *types)
    assert [node.kwargs["lags"] for node in nodes] == ["bidirectional_shared", "bidirectional_offset"]
    assert all([node.args[1].name, node.args[3].name] == ["inputs_1", "inputs_2"] for node in nodes)


def test_a_two_sided_filter_that_wraps_is_declined():
    def function(u, k, k_rev):
        return irfft(rfft(u, n=12) * (rfft(k, n=12) + rfft(k_rev, n=12).conj()), n=12)[..., :9]

    assert declined(function, "f32[2, 3, 9]", "f32[3, 9]", "f32[3, 9]") == "wraps-two-sided"


def test_a_flipped_filter_padded_to_one_tap_too_few_stays_circular():
    def function(u, k, k_rev):
        both = F.pad(k, (0, 8)) + F.pad(k_rev.flip(-1), (8, 0))
        return irfft(rfft(u, n=17) * rfft(both, n=17), n=17)[..., :9]

    node = raised(function, "f32[2, 3, 9]", "f32[3, 9]", "f32[3, 9]")
    assert node.kwargs == {"lags": "circular", "fft_size": 17}


def test_the_same_inputs_full_spectrum_stays_for_its_other_user():
    def function(u, k):
        spectrum = fft(u, n=18)
        return ifft(spectrum * fft(k, n=18), n=18).real[..., :9], spectrum

    rewritten = run_pass("raise-long-conv", function, "f32[2, 3, 9]", "f32[3, 9]")
    assert rewritten.result.rewrites == 1
    assert rewritten.count("fft_fft") == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_a_gate_read_elsewhere_stays_outside():
    def function(v, gate, k):
        u = v * gate
        return irfft(rfft(u, n=18) * rfft(k, n=18), n=18)[..., :9] + u.exp()

    node = raised(function, "f32[2, 3, 9]", "f32[2, 3, 9]", "f32[3, 9]")
    assert "mul" in node.args[0].name


def test_a_result_read_ungated_keeps_its_gate_outside():
    def function(u, gate, k):
        y = irfft(rfft(u, n=18) * rfft(k, n=18), n=18)[..., :9]
        return y * gate, y

    assert len(raised(function, "f32[2, 3, 9]", "f32[2, 3, 9]", "f32[3, 9]").args) == 2


def test_a_gate_in_higher_precision_than_the_input_stays_outside():
    def function(u, gate, k):
        y = irfft(rfft(u.float(), n=18) * rfft(k, n=18), n=18)[..., :9]
        return (y * gate).to(u.dtype)

    rewritten = run_pass("raise-long-conv", function, "bf16[2, 3, 9]", "f32[2, 3, 9]", "f32[3, 9]")
    assert rewritten.count("long_conv") == rewritten.count("mul") == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_a_skip_in_another_dtype_stays_outside():
    def function(u, k, skip):
        return irfft(rfft(u, n=18) * rfft(k, n=18), n=18)[..., :9] + u * skip[:, None]

    rewritten = run_pass("raise-long-conv", function, "f32[2, 3, 9]", "f32[3, 9]", "f64[3]")
    assert rewritten.count("long_conv") == rewritten.count("add") == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_a_gate_written_in_place_between_stays_outside():
    def function(u, gate, k):
        gate = gate.clone()
        x = u * gate
        gate.mul_(2)
        return irfft(rfft(x, n=18) * rfft(k, n=18), n=18)[..., :9] * gate

    rewritten = run_pass("raise-long-conv", function, "f32[2, 3, 9]", "f32[2, 3, 9]", "f32[3, 9]")
    assert [rewritten.count(name) for name in ("long_conv", "mul.Tensor", "mul_")] == [1, 2, 1]
    assert_close_to_fp64(rewritten)


def test_an_input_written_in_place_between_is_declined():
    def function(u, k):
        u = u.clone()
        spectrum = rfft(u, n=18)
        u.mul_(2)
        return irfft(spectrum * rfft(k, n=18), n=18)[..., :9] + u

    assert declined(function, "f32[2, 3, 9]", "f32[3, 9]") == "mutated-between"


def test_the_length_may_be_dynamic_and_then_another_one_is_right():
    def function(u, k):
        length = u.shape[-1]
        n = 2 * length
        return irfft(rfft(u, n=n) * rfft(k[:, :length], n=n) / n, n=n, norm="forward")[..., :length]

    rewritten = run_pass("raise-long-conv", function, "f32[2, 3, t=9]", "f32[3, 50]")
    assert "causal" in rewritten.remark.message
    for length in (5, 9, 23):
        inputs = [torch.randn(2, 3, length), torch.randn(3, 50)]
        assert_no_worse(rewritten.before, rewritten.program, inputs)


def test_a_hyena_model_of_dynamic_length_is_raised():
    from regraft.compiler.pipeline import Pipeline
    from regraft.frontend.capture import capture
    from regraft.passes import DEFAULT, registry

    from examples.models import hyena_lm

    model, inputs = hyena_lm.load(batch=1, length=16, dim=8, layers=1)
    length = torch.export.Dim("length", min=2, max=16)
    program = capture(model, inputs, dynamic_shapes={"ids": {1: length}})
    result = Pipeline.parse("canonicalise,raise-long-conv", registry, DEFAULT).run(program)
    assert [remark.kind for remark in result.remarks if "long_conv" in remark.site] == ["passed"]


def test_unrelated_dynamic_lengths_stay_circular():
    def function(u, k):
        n = 2 * u.shape[-1]
        return irfft(rfft(u, n=n) * rfft(k, n=n), n=n)[..., : u.shape[-1]]

    rewritten = run_pass("raise-long-conv", function, "f32[2, 3, t=9]", "f32[3, s=7]")
    assert "circular" in rewritten.remark.message
    for taps in (3, 9, 15, 30):
        assert_no_worse(rewritten.before, rewritten.program, [torch.randn(2, 3, 9), torch.randn(3, taps)])


def test_a_norm_over_a_dynamic_length_is_declined():
    def function(u, k):
        n = 2 * u.shape[-1]
        return irfft(rfft(u, n=n, norm="ortho") * rfft(k, n=n), n=n)[..., : u.shape[-1]]

    assert declined(function, "f32[2, 3, t=9]", "f32[3, 9]") == "length-dynamic"


def test_transforms_of_different_sizes_are_declined():
    assert declined(lambda u, k: irfft(rfft(u, n=20) * rfft(k, n=20), n=18), "f32[3, 9]", "f32[3, 9]") == "sizes-differ"


def test_a_transform_that_is_no_convolution_is_not_spoken_of():
    assert run_pass("raise-long-conv", lambda x: irfft(torch.view_as_complex(x)), "f32[3, 9, 2]").remarks == []


def test_long_depthwise_filters_are_raised_from_the_number_of_taps_asked_for():
    def function(u, w):
        return F.conv1d(u, w, padding=9, groups=3)[..., :30]

    types = ("f32[2, 3, 30]", "f32[3, 1, 10]")
    assert run_pass("raise-long-conv", function, *types).remarks == []
    rewritten = run_pass("raise-long-conv{min-taps=10}", function, *types)
    assert rewritten.count("long_conv") == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_a_filter_too_long_for_one_pass_and_too_short_for_the_other_is_a_miss():
    def conv(u, w):
        return F.conv1d(F.pad(u, (299, 0)), w, groups=2)

    remark = run_pass("raise-long-conv{min-taps=512}", conv, "f32[1, 2, 320]", "f32[2, 1, 300]").remark
    assert (remark.kind, remark.code) == ("missed", "short-filter")
