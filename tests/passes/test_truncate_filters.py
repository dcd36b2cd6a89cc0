"""Partial convolutions: equal to the direct one with the taps that are left, in blocks or not, within their bound."""

import pytest
import regraft
import torch
from regraft.compiler.errors import NumericsError, UsageError
from regraft.compiler.execute import execute
from regraft.compiler.pipeline import Pipeline
from regraft.frontend.capture import capture
from regraft.frontend.testing import run_pass
from regraft.passes import registry
from regraft.passes.truncate_filters import TruncateFilters
from regraft.passes.truncate_filters.tails import tails, window
from torch import nn

LINEAR = ("causal", "anticausal", "taps", "bidirectional_shared", "bidirectional_offset")


class Filtered(nn.Module):
    """A convolution with stored taps that fade, in fp64, with everything round it that ``long_conv`` takes."""

    def __init__(self, taps=20, lags="causal", lag0=0, channels=3, gates=False, lead=(), dtype=torch.float64):
        super().__init__()
        fade = torch.linspace(0, -6, taps, dtype=torch.float64).exp()
        self.k = nn.Parameter((torch.randn(*lead, channels, taps, dtype=torch.float64) * fade).to(dtype))
        self.k_rev = nn.Parameter((torch.randn(channels, taps, dtype=torch.float64) * fade).to(dtype))
        self.skip = nn.Parameter(torch.randn(*lead, channels, dtype=dtype))
        self.lags, self.lag0, self.gates = lags, lag0, gates

    def forward(self, u):
        k_rev = self.k_rev if self.lags.startswith("bidirectional") else None
        extras = (self.skip, k_rev, torch.sin(u), torch.cos(u)) if self.gates else (None, k_rev, None, None)
        return torch.ops.regraft.long_conv(u, self.k, *extras, lags=self.lags, lag0=self.lag0)


def direct(model, u, taps):
    """The convolution with the filter's kept taps, sum by sum."""
    if model.lags == "taps":
        start = window(taps, model.k.shape[-1], model.lag0)
        placed = [(m - model.lag0, model.k[..., m]) for m in range(start, start + taps)]
    else:
        placed = [(-m if model.lags == "anticausal" else m, model.k[..., m]) for m in range(taps)]
    if model.lags.startswith("bidirectional"):
        first = 1 if model.lags == "bidirectional_offset" else 0
        placed += [(-(m + first), model.k_rev[..., m]) for m in range(taps)]
    x = u * torch.sin(u) if model.gates else u
    y, length = torch.zeros_like(x), x.shape[-1]
    for lag, tap in placed:
        for t in range(max(lag, 0), min(length, length + lag)):
            y[..., t] += tap * x[..., t - lag]
    return (y + model.skip[..., None] * x) * torch.cos(u) if model.gates else y


def rewritten(model, length, batch=2, channels=3, dynamic=False, **options):
    u = torch.randn(batch, channels, length, dtype=torch.float64)
    shapes = ({2: torch.export.Dim.DYNAMIC},) if dynamic else None
    program = capture(model.eval(), (u,), dynamic_shapes=shapes)
    before = program.copy()
    result = Pipeline((TruncateFilters(**options),)).run(program)
    program.recompile()
    return before, program, u, [remark for remark in result.remarks if remark.kind != "analysis"]


@pytest.mark.parametrize("lags", LINEAR)
@pytest.mark.parametrize(("length", "block"), [(20, None), (31, None), (97, 24), (1, 24), (3, 24), (23, 29)])
def test_what_is_left_is_the_direct_convolution_with_the_kept_taps(lags, length, block):
    model = Filtered(lags=lags, lag0=4 if lags == "taps" else 0, gates=True)
    _, program, u, (remark,) = rewritten(model, length, taps=5, block=block)
    if length <= 5 and lags != "taps":
        assert remark.code == "nothing-to-drop"
        return
    assert remark.numbers["taps"] == 5
    torch.testing.assert_close(execute(program, [u])[0], direct(model, u, 5), rtol=0, atol=1e-13)


@pytest.mark.parametrize("lag0", [-3, 0, 2, 10, 19, 25])
@pytest.mark.parametrize("block", [None, 64])
def test_of_a_filter_with_taps_on_both_sides_those_near_lag_zero_stay(lag0, block):
    model = Filtered(lags="taps", lag0=lag0)
    _, program, u, _ = rewritten(model, 75, taps=4, block=block)
    torch.testing.assert_close(execute(program, [u])[0], direct(model, u, 4), rtol=0, atol=1e-13)


@pytest.mark.parametrize("lags", LINEAR)
def test_one_program_serves_every_length_beyond_that_of_the_filter_too(lags):
    model = Filtered(taps=20, lags=lags, gates=True)
    _, program, _, (remark,) = rewritten(model, 11, dynamic=True, taps=5)
    assert "in blocks of" in remark.message
    for length in (2, 3, 19, 20, 21, 200):
        u = torch.randn(2, 3, length, dtype=torch.float64)
        torch.testing.assert_close(execute(program, [u])[0], direct(model, u, 5), rtol=0, atol=1e-13)


def test_a_long_sequence_goes_block_by_block_and_a_short_one_does_not():
    for length, blocks in ((40, 0), (400, 1)):
        _, program, _, _ = rewritten(Filtered(taps=30), length, taps=8)
        assert sum("unfold" in str(node.target) for node in program.graph.nodes) == blocks


def test_filters_with_leading_dimensions_meet_every_block():
    model = Filtered(lead=(2,), gates=True)
    _, program, u, _ = rewritten(model, 61, taps=5, block=24)
    torch.testing.assert_close(execute(program, [u])[0], direct(model, u, 5), rtol=0, atol=1e-13)


@pytest.mark.parametrize("lags", LINEAR)
def test_the_gain_bounds_the_error_and_is_attained(lags):
    model = Filtered(taps=20, lags=lags, lag0=9 if lags == "taps" else 0, channels=1)
    before, program, u, (remark,) = rewritten(model, 81, taps=6, channels=1, batch=1)
    gain = remark.numbers["gain"]

    def error(x):
        return (execute(program, [x])[0] - execute(before, [x])[0]).detach()

    for seed in range(20):
        torch.manual_seed(seed)
        x = torch.randn_like(u) ** 3
        assert error(x).abs().max() <= gain * x.abs().max()
    # What an impulse in the middle leaves is the dropped tail; its signs reversed in time meet it all at once.
    impulse = torch.zeros_like(u)
    impulse[..., 40] = 1
    worst = error(error(impulse).flip(-1).sign()).abs().max()
    torch.testing.assert_close(worst, torch.tensor(gain, dtype=torch.float64), rtol=1e-12, atol=0)


@pytest.mark.parametrize("lags", LINEAR)
@pytest.mark.parametrize("tol", [0.5, 0.1, 1e-3])
def test_a_tolerance_takes_the_fewest_taps_that_keep_it(lags, tol):
    model = Filtered(taps=40, lags=lags, lag0=15 if lags == "taps" else 0)
    _, _, _, (remark,) = rewritten(model, 50, tol=tol)
    filters = [model.k.detach(), *([model.k_rev.detach()] if lags.startswith("bidirectional") else [])]
    _, bounds = tails(filters, model.lag0 if lags == "taps" else None)
    taps = int(remark.numbers["taps"])
    assert remark.numbers["bound"] == float(bounds[taps]) <= tol < float(bounds[taps - 1])


def test_taps_that_no_output_sees_do_not_count_as_dropped():
    model = Filtered(taps=60)
    _, _, _, (remark,) = rewritten(model, 20, taps=10)
    tail = model.k.detach()[:, 10:20].abs().sum(-1)
    assert remark.numbers["of"] == 20
    assert remark.numbers["gain"] == pytest.approx(float(tail.max()), rel=1e-14)


def test_a_channel_of_zeros_asks_for_nothing():
    model = Filtered(taps=9)
    with torch.no_grad():
        model.k.zero_()
    _, program, u, (remark,) = rewritten(model, 9, tol=0.1)
    assert remark.numbers["taps"] == 1
    assert remark.numbers["bound"] == 0
    assert not execute(program, [u])[0].any()


@pytest.mark.parametrize("length", [16, 300])
def test_the_spectrum_of_a_truncated_filter_folds_for_every_length(length):
    model = Filtered(taps=30, gates=True, dtype=torch.float32).eval()
    result = run_pass("truncate-filters{taps=8},fold-filters", model, f"f32[2, 3, {length}]")
    assert [remark.code for remark in result.remarks] == ["truncated", "folded"]
    dynamic = run_pass("truncate-filters{taps=8},fold-filters", model, "f32[2, 3, t=9]")
    assert [remark.code for remark in dynamic.remarks] == ["truncated", "folded"]
    expected = direct(model, result.inputs[0], 8)
    for each in (result, dynamic):
        torch.testing.assert_close(execute(each.program, result.inputs)[0], expected, rtol=1e-5, atol=1e-5)


def test_gradients_reach_the_kept_taps_and_no_others():
    model = Filtered(taps=20)
    _, program, u, _ = rewritten(model, 90, taps=5)
    (execute(program, [u], dict(model.named_parameters()))[0]).square().sum().backward()
    got = model.k.grad.clone()
    model.zero_grad()
    direct(model, u, 5).square().sum().backward()
    torch.testing.assert_close(got, model.k.grad, rtol=1e-12, atol=1e-12)
    assert not got[:, 5:].any()


def code(model, *types, passes="truncate-filters{taps=4}"):
    (found,) = {remark.code for remark in run_pass(passes, model, *types).remarks}
    return found


def test_what_cannot_be_truncated_is_declined_with_its_reason():
    single = {"dtype": torch.float32}
    assert code(Filtered(taps=4, **single), "f32[2, 3, 9]") == "nothing-to-drop"
    assert code(Filtered(lags="circular", **single), "f32[2, 3, 20]") == "circular"
    assert code(lambda u, k: torch.ops.regraft.long_conv(u, k), "f32[2, 3, 9]", "f32[3, 9]") == "filter-from-input"
    assert code(Filtered(**single), "f32[2, 3, 99]", passes="truncate-filters{taps=9,block=12}") == "block-too-small"

    class Prefix(Filtered):
        def forward(self, u):
            return torch.ops.regraft.long_conv(u, self.k[:, : u.shape[-1]])

    assert code(Prefix(**single), "f32[2, 3, t=9]") == "length-dynamic"
    broken = Filtered(**single)
    with torch.no_grad():
        broken.k[1, 7] = float("nan")
    assert code(broken, "f32[2, 3, 20]") == "filter-not-finite"


def test_a_folded_filter_says_which_order_would_do():
    remarks = run_pass("fold-filters,truncate-filters{taps=4}", Filtered(dtype=torch.float32).eval(), "f32[2, 3, 9]")
    assert remarks.remarks[-1].unblock == "raise-long-conv,truncate-filters{taps=4},default"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either taps or tol"),
        ({"taps": "4", "tol": "0.1"}, "either taps or tol"),
        ({"taps": "0"}, "at least 1"),
        ({"taps": "many"}, "takes int"),
        ({"tol": "2"}, "between 0 and 1"),
        ({"tol": "nan"}, "between 0 and 1"),
        ({"taps": "4", "block": "0"}, "at least 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        registry.get("truncate-filters").from_options(options)


def test_an_error_beyond_what_was_allowed_is_refused():
    model, u = Filtered(dtype=torch.float32).eval(), torch.randn(2, 3, 20)
    kept = regraft.optimize(model, (u,), "truncate-filters{taps=12,bound=0.5}", timing_runs=0)
    torch.testing.assert_close(kept(u), direct(model, u, 12), rtol=1e-4, atol=1e-5)
    with pytest.raises(NumericsError, match="at most 1e-06"):
        regraft.optimize(model, (u,), "truncate-filters{taps=2,bound=1e-6}", timing_runs=0)


def test_a_graph_without_weights_is_declined():
    program = capture(Filtered().eval(), (torch.randn(2, 3, 20, dtype=torch.float64),))
    program.weights = None
    (remark,) = Pipeline((TruncateFilters(taps=4),)).run(program).remarks
    assert remark.code == "weights-not-at-hand"
