"""The pass: what it puts in place of a convolution computes the fitted filter, follows the weights, or is declined."""

import copy
import pickle

import pytest
import regraft
import torch
from regraft.compiler.analysis.constants import weight_values
from regraft.compiler.errors import NumericsError, RegraftError, UsageError
from regraft.compiler.execute import execute
from regraft.compiler.program import InputKind
from regraft.frontend.testing import run_pass
from regraft.passes import registry
from regraft.passes.distill_ssm import Settings, fit, op
from regraft.passes.distill_ssm.modal import filter_taps
from torch import nn

REGRAFT = torch.ops.regraft


@pytest.fixture(autouse=True)
def _nothing_remembered():
    op._fits.clear()


class Filtered(nn.Module):
    """A long convolution with stored taps, and everything round it that ``long_conv`` takes."""

    def __init__(self, k, skip=None, gates=False, **options):
        super().__init__()
        self.k = nn.Parameter(k.clone())
        self.skip = None if skip is None else nn.Parameter(skip.clone())
        self.gates, self.options = gates, options

    def forward(self, u):
        gates = (torch.sin(u), torch.cos(u)) if self.gates else (None, None)
        return REGRAFT.long_conv(u, self.k, self.skip, None, *gates, **self.options)


class Implicit(nn.Module):
    """A filter an MLP makes of positions, applied as Hyena does, in plain torch."""

    def __init__(self, length=96, channels=3):
        super().__init__()
        self.register_buffer("t", torch.linspace(0, 1, length)[:, None])
        self.mlp = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, channels))
        self.skip = nn.Parameter(torch.randn(channels))

    def forward(self, u):
        k = (self.mlp(self.t) * torch.exp(-5 * self.t)).T
        size = 2 * u.shape[-1]
        y = torch.fft.irfft(torch.fft.rfft(u, n=size) * torch.fft.rfft(k, n=size), n=size)[..., : u.shape[-1]]
        return y + u * self.skip[:, None]


def remarks(result):
    return [remark for remark in result.remarks if remark.kind != "analysis"]


def code(model, *types, passes="distill-ssm"):
    (found,) = {remark.code for remark in remarks(run_pass(passes, model, *types))}
    return found


def replaced(model, u, settings):
    """The module's convolution with the filters that :func:`fit` gives, in fp64, lag 0 and skip as they are."""
    k = model.k.detach().double()
    rows = torch.nn.functional.pad(k, (0, max(u.shape[-1] - k.shape[-1], 0)))[..., : u.shape[-1]].flatten(0, -2)
    found = fit(rows, settings, dtype=torch.float32 if u.dtype != torch.float64 else None)
    taps = filter_taps(found.log_radius, found.angle, found.residue_re, found.residue_im, u.shape[-1] - 1)
    rows = torch.cat((rows[:, :1], taps), -1)
    fitted = copy.deepcopy(model).double()
    fitted.k = nn.Parameter(rows.reshape(*k.shape[:-1], -1))
    return fitted(u.double())


@pytest.mark.parametrize("length", [1, 2, 63, 200, 1000])
@pytest.mark.parametrize("gates", [False, True])
def test_the_graph_computes_the_convolution_with_the_fitted_filter(filters, length, gates):
    model = Filtered(filters.hyena(3, length) if length > 2 else torch.randn(3, length), torch.randn(3), gates)
    result = run_pass("distill-ssm{order=8,tol=1e-3}", model, f"f32[2, 3, {length}]")
    (u,) = result.inputs
    assert result.count("long_conv") == 0
    assert result.count("ssm_scan") == 1
    expected = replaced(model, u, Settings(8, 1e-3))
    got = execute(result.program, [u])[0]
    assert got.dtype == torch.float32
    # fp32 sums over chunks of 64, states of a few times the output.
    assert (got - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize(
    ("taps", "skip", "u"),
    [
        ((4, 1, 50), (4, 1), (2, 4, 3, 50)),  # a filter for each head, tied over its channels
        ((3, 50), None, (5, 2, 3, 50)),
        ((1, 3, 50), (3,), (2, 3, 50)),
        ((1, 50), (3,), (2, 3, 50)),
        ((50,), None, (2, 3, 50)),
        ((2, 3, 50), (3,), (2, 3, 50)),
        ((3, 80), None, (1, 3, 50)),
        ((3, 30), (3,), (1, 3, 50)),
    ],
)
def test_filters_broadcast_and_end_as_they_do_in_the_convolution(taps, skip, u):
    t = torch.arange(taps[-1])
    # The shorter filter has faded where it ends.
    k = torch.randn(*taps[:-1], 1) * 0.5**t * torch.cos(t * torch.rand(*taps[:-1], 1))
    model = Filtered(k.double(), None if skip is None else torch.randn(skip).double(), gates=True)
    x = torch.randn(u, dtype=torch.float64)
    result = run_pass("distill-ssm{tol=1e-6}", model, x)
    (remark,) = remarks(result)
    assert remark.code == "distilled"
    expected = model(x)
    assert (execute(result.program, [x])[0] - expected).norm() <= 3e-6 * expected.norm()


def test_a_batch_of_any_size_is_served(filters):
    model = Filtered(filters.modal(3, 40, modes=2).float(), torch.randn(3), gates=True)
    result = run_pass("distill-ssm", model, "f32[b=2, 3, 40]")
    for batch in (1, 2, 7):
        u = torch.randn(batch, 3, 40)
        torch.testing.assert_close(execute(result.program, [u])[0], model(u), rtol=1e-2, atol=1e-2)


def test_parameters_are_fp32_logarithms_in_a_bf16_model(filters):
    """Poles in bf16 would be off by more than 1 - |lambda|: by more than half of the output here."""
    model = Filtered(filters.hyena(2, 2048), torch.randn(2)).bfloat16()
    u = torch.randn(1, 2, 2048).bfloat16()
    result = run_pass("distill-ssm{tol=1e-2}", model, u)
    (remark,) = remarks(result)
    assert remark.code == "distilled"
    program = result.program
    values = weight_values(program).items()
    derived = [value for node, value in values if program.input_of(node).kind is InputKind.DERIVED]
    assert len(derived) == 5
    assert {value.dtype for value in derived} == {torch.float32}
    got = execute(program, [u])[0]
    assert got.dtype == torch.bfloat16
    expected = replaced(model, u, Settings())
    assert (got - expected).norm() <= 2 * torch.finfo(torch.bfloat16).eps * expected.norm()


def test_a_cast_after_the_fact_never_meets_the_parameters(filters):
    model = Filtered(filters.hyena(2, 300), torch.randn(2)).eval()
    u = torch.randn(1, 2, 300)
    fast = regraft.optimize(model, (u,), "distill-ssm", timing_runs=0)
    assert set(fast.state_dict()) == {"k", "skip"}
    fast.bfloat16()
    with pytest.warns(UserWarning, match="changed its type"):
        y = fast(u.bfloat16())
    torch.testing.assert_close(y, type(fast).forward(fast, u.bfloat16()), rtol=0, atol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.warns(UserWarning, match="autocast"):
        fast.float()(u)


@pytest.mark.parametrize("family", ["fading_noise", "delays"])
def test_a_refused_site_stays_and_says_what_the_spectrum_says(filters, family):
    model = Filtered(getattr(filters, family)(3, 512))
    result = run_pass("distill-ssm", model, "f32[1, 3, 512]")
    (remark,) = remarks(result)
    assert result.unchanged
    assert remark.code == "not-distillable"
    assert "Hankel singular value" in remark.message
    assert remark.numbers["sigma_64"] > 0.05
    assert remark.numbers["rel_l2"] > 1e-2
    assert "tol" in remark.unblock


def test_sites_that_can_be_distilled_are_beside_one_that_cannot(filters):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.good, self.bad = Filtered(filters.hyena(2, 256)), Filtered(filters.fading_noise(2, 256))

        def forward(self, u):
            return self.bad(self.good(u))

    result = run_pass("distill-ssm", Two(), "f32[1, 2, 256]")
    assert {remark.site: remark.code for remark in remarks(result)} == {
        "good/long_conv#0": "distilled",
        "bad/long_conv#0": "not-distillable",
    }


def test_the_numbers_of_a_remark_are_those_of_the_fit(filters):
    k = filters.hyena(3, 256)
    (remark,) = remarks(run_pass("distill-ssm{order=4,tol=1e-4,max-order=32}", Filtered(k), "f32[1, 3, 256]"))
    found = fit(k, Settings(4, 1e-4, 32))
    assert dict(remark.numbers) == found.numbers()
    assert set(remark.numbers) == {"order", "modes", "rel_l2", "gain", "l_inf", "h_inf", "radius", "residue"}


def test_implicit_filters_leave_the_graph_and_follow_their_weights():
    model = Implicit().eval()
    u = torch.randn(2, 3, 96)
    fast = regraft.optimize(model, (u,), "raise-long-conv,distill-ssm{tol=1e-4},default", check="off", timing_runs=0)
    plain = type(model).forward
    with torch.no_grad():
        for change in (lambda: None, lambda: model.mlp[0].bias.add_(0.1), lambda: model.skip.mul_(2)):
            change()
            expected = plain(model, u)
            assert (fast(u) - expected).norm() <= 1e-3 * expected.norm()


def test_weights_that_no_longer_fit_are_an_error_and_not_a_bad_answer(filters):
    model = Filtered(filters.hyena(2, 256)).eval()
    u = torch.randn(1, 2, 256)
    fast = regraft.optimize(model, (u,), "distill-ssm", timing_runs=0)
    with torch.no_grad():
        fast(u)
        model.k.normal_()
        with pytest.raises(NumericsError, match="weights have changed"):
            fast(u)


def test_a_checked_run_fits_once(filters, monkeypatch):
    fits = []
    monkeypatch.setattr(op, "fit", lambda *args, **kwargs: fits.append(1) or fit(*args, **kwargs))
    model = Filtered(filters.hyena(2, 128)).eval()
    fast = regraft.optimize(model, (torch.randn(1, 2, 128),), "distill-ssm", check="each", timing_runs=0)
    fast(torch.randn(1, 2, 128))
    assert len(fits) == 1


def test_gradients_reach_inputs_skip_and_lag_zero_but_not_the_fit(filters):
    model = Filtered(filters.modal(2, 60, modes=1), torch.randn(2).double())
    u = torch.randn(1, 2, 60, dtype=torch.float64, requires_grad=True)
    result = run_pass("distill-ssm{tol=1e-8}", model, u)
    execute(result.program, [u], dict(model.named_parameters()))[0].square().sum().backward()
    got = (u.grad.clone(), model.skip.grad.clone(), model.k.grad.clone())
    u.grad = None
    model.zero_grad()
    model(u).square().sum().backward()
    torch.testing.assert_close(got[0], u.grad, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(got[1], model.skip.grad, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(got[2][:, 0], model.k.grad[:, 0], rtol=1e-6, atol=1e-6)
    assert not got[2][:, 1:].any()


def test_a_distilled_model_can_be_copied_and_pickled(filters):
    model = Filtered(filters.hyena(2, 128)).eval()
    u = torch.randn(1, 2, 128)
    fast = regraft.optimize(model, (u,), "distill-ssm", timing_runs=0)
    for again in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        torch.testing.assert_close(again(u), fast(u), rtol=0, atol=0)


def test_balanced_models_tell_their_bound(filters):
    model = Filtered(filters.modal(2, 200, modes=2, slowest=0.9))
    (remark,) = remarks(run_pass("distill-ssm{method=balanced,order=8}", model, "f64[1, 2, 200]"))
    assert remark.code == "distilled"
    assert remark.numbers["h_inf"] <= remark.numbers["h_inf_bound"] * (1 + 1e-9)


def test_what_cannot_be_distilled_is_declined_with_its_reason(filters):
    k = filters.hyena(3, 20)
    assert code(Filtered(k, lags="anticausal"), "f32[1, 3, 20]") == "not-causal"
    assert code(Filtered(k, lags="circular"), "f32[1, 3, 20]") == "not-causal"
    assert code(Filtered(k, lags="taps", lag0=3), "f32[1, 3, 20]") == "not-causal"
    assert code(Filtered(k, lags="taps"), "f32[1, 3, 20]") == "distilled"
    assert code(Filtered(k), "f32[1, 3, t=9]") == "length-dynamic"
    assert code(lambda u, k: REGRAFT.long_conv(u, k), "f32[2, 3, 9]", "f32[3, 9]") == "filter-from-input"


def test_a_folded_filter_says_which_order_would_do(filters):
    passes = "fold-filters{keep-short=false},distill-ssm{order=8}"
    result = run_pass(passes, Filtered(filters.hyena(3, 20)).eval(), "f32[1, 3, 20]")
    assert result.remarks[-1].code == "already-folded"
    assert result.remarks[-1].unblock == "raise-long-conv,distill-ssm{order=8},default"


def test_a_filter_with_nan_is_an_error_that_names_the_site(filters):
    model = Filtered(filters.hyena(3, 20))
    with torch.no_grad():
        model.k[1, 7] = float("nan")
    with pytest.raises(RegraftError, match=r"filter of /long_conv#0 holds NaN or infinity, first in channel 1"):
        run_pass("distill-ssm", model, "f32[1, 3, 20]")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "0"}, "order must be"),
        ({"order": "128"}, "max-order 64"),
        ({"tol": "nan"}, "tol must be"),
        ({"method": "prony"}, "hankel"),
        ({"order": "many"}, "takes int"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        registry.get("distill-ssm").from_options(options)
