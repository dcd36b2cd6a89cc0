"""The fit: exact where a filter is a small model, close where it nearly is one, refused where it is none."""

import math

import pytest
import torch
import torch.nn.functional as F
from regraft.passes.distill_ssm import Settings, balanced, fit, fitting
from regraft.passes.distill_ssm.hankel import spectrum
from regraft.passes.distill_ssm.modal import filter_taps


def rebuilt(found, h):
    """The filter that parameters describe, lag by lag, from the definition."""
    pole = torch.polar(found.log_radius.double().exp(), found.angle.double()).unsqueeze(-1)
    residue = torch.complex(found.residue_re.double(), found.residue_im.double()).unsqueeze(-1)
    return torch.cat((h[:, :1].double(), (residue * pole ** torch.arange(h.shape[-1] - 1)).sum(1).real), -1)


@pytest.mark.parametrize("seed", range(4))
def test_a_known_model_is_recovered_at_its_own_order(filters, seed):
    h = filters.modal(3, 1024, modes=16, seed=seed)
    found = fit(h, Settings(order=32, tol=1e-8, max_order=32, refine=0))
    assert found.ok
    assert found.order.tolist() == [32] * 3
    assert (rebuilt(found, h) - h).norm() <= 1e-8 * h.norm()


@pytest.mark.parametrize("length", [1024, 8192])
def test_every_smooth_filter_is_fitted_by_16_stable_states(filters, length):
    h = filters.hyena(24 if length == 1024 else 6, length)
    found = fit(h, Settings(order=16, tol=1e-5, max_order=16))
    error = (rebuilt(found, h) - h.double()).norm(dim=-1) / h.double().norm(dim=-1)
    assert error.max() <= 1e-5
    assert found.radius.max() < 1
    assert found.order.max() <= 16
    assert found.angle.dtype == torch.float32


def test_what_is_reported_is_true_of_the_parameters_as_they_are_stored(filters):
    h = filters.hyena(5, 301, seed=1)
    found = fit(h, Settings(order=8, tol=1e-4, max_order=8))
    error = h.double() - rebuilt(found, h)
    # 300 steps of a product of powers against one power: a few hundred units in the last place of fp64.
    close = {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(found.rel_l2, error.norm(dim=-1) / h.double().norm(dim=-1), **close)
    torch.testing.assert_close(found.gain, error.abs().sum(-1), **close)
    torch.testing.assert_close(found.l_inf, error.abs().amax(-1), **close)
    assert (found.h_inf <= found.gain).all()
    assert (found.h_inf >= error.norm(dim=-1)).all()
    x = torch.randn(2048, dtype=torch.float64)
    full = torch.fft.irfft(torch.fft.rfft(error, n=4096) * torch.fft.rfft(x, n=4096), n=4096)
    assert (full.abs().amax(-1) <= found.gain * x.abs().max()).all()


def test_lag_zero_is_no_part_of_the_model(filters):
    h = filters.modal(2, 200, modes=3)
    other = h.clone()
    other[:, 0] *= 7
    settings = Settings(order=6, tol=1e-6, max_order=6)
    one, two = (fit(each, settings) for each in (h, other))
    taps = [filter_taps(f.log_radius, f.angle, f.residue_re, f.residue_im, 199) for f in (one, two)]
    torch.testing.assert_close(taps[0], taps[1], rtol=0, atol=1e-10)


def test_channels_take_the_first_order_that_keeps_the_tolerance(filters):
    h = torch.cat([filters.modal(1, 400, modes=modes, slowest=0.98, seed=modes) for modes in (2, 4, 8)])
    found = fit(h, Settings(order=4, tol=1e-8, max_order=16, refine=0))
    assert found.ok
    assert found.order.tolist() == [4, 8, 16]
    assert found.modes == 8
    assert not found.residue_re[0, 2:].any()


def test_a_channel_is_fitted_the_same_alone_and_among_others(filters):
    h, settings = filters.hyena(7, 500), Settings(order=8, tol=1e-4, max_order=32)
    together = fit(h, settings)
    alone = [fit(row[None], settings) for row in h]
    assert [int(f.order) for f in alone] == together.order.tolist()
    # Both fit the filter to the tolerance; rounding may lead the refinement to another of many such fits.
    for row, f in enumerate(alone):
        assert float(f.rel_l2) <= 1e-4
        assert (rebuilt(f, h[row : row + 1]) - rebuilt(together, h)[row]).norm() <= 2e-4 * h[row].norm()


@pytest.mark.parametrize("family", ["fading_noise", "delays", "hyena"])
def test_filters_that_no_small_model_fits_are_refused(filters, family):
    h = filters.hyena(4, 1024, 14.0, 33) if family == "hyena" else getattr(filters, family)(4, 1024)
    found = fit(h, Settings(tol=1e-2, max_order=64))
    assert not found.ok
    assert float(found.rel_l2.amax()) > 1e-2
    assert found.ratio(64) > 0.05  # the Hankel spectrum has no end in sight
    assert all(parameter.isfinite().all() for parameter in (found.angle, found.residue_re, found.residue_im))


def test_one_bad_channel_among_good_ones_is_enough_to_refuse(filters):
    h = torch.cat((filters.hyena(3, 512), filters.fading_noise(1, 512)))
    found = fit(h, Settings(max_order=32))
    assert not found.ok
    assert found.worst == 3
    assert (found.rel_l2[:3] <= 1e-2).all()


def test_the_first_bad_channel_ends_a_fit_that_goes_part_by_part(filters, monkeypatch):
    monkeypatch.setattr(fitting, "_WORK_BYTES", 1)
    h = torch.cat((filters.hyena(1, 512), filters.fading_noise(1, 512), filters.hyena(2, 512)))
    found = fit(h, Settings())
    assert not found.ok
    assert found.worst == 1
    assert found.ratio(64) > 0.05
    assert found.rel_l2[0] <= 1e-2
    assert not found.residue_re[2:].any()  # not tried
    assert found.sigma[2:].isnan().all()


@pytest.mark.parametrize("order", [1, 2, 5, 16])
def test_the_lower_bound_holds_for_the_best_model_there_is(filters, order):
    """A model of the order plus anything: no fit is closer than the bound says, and the model itself is one."""
    g = filters.modal(1, 161, modes=max(order // 2, 1))[:, None, 1:]
    noise = torch.randn(1, 1, 160, dtype=torch.float64) * 0.1
    states = max(order // 2, 1) * 2
    assert spectrum(g + noise, 40).least_error(states) <= noise.norm()
    assert spectrum(g + noise, 40).least_error(states) > 0.05 * noise.norm()


@pytest.mark.parametrize("length", [1, 2, 3, 17, 64])
def test_filters_shorter_than_the_order_are_exact(length):
    h = torch.randn(3, length, dtype=torch.float64)
    found = fit(h, Settings(tol=1e-10))
    assert found.ok
    torch.testing.assert_close(rebuilt(found, h), h, rtol=0, atol=1e-10)
    assert found.radius.max() < 1


@pytest.mark.parametrize("first", [0.0, 3.0])
def test_a_filter_of_zeros_but_for_lag_zero_needs_no_states(first):
    h = torch.zeros(2, 100)
    h[:, 0] = first
    found = fit(h, Settings())
    assert found.ok
    assert found.order.tolist() == [0, 0]
    assert found.modes == 1  # there is no model without modes, so one says nothing
    assert not found.residue_re.any()
    assert found.ratio(16) == 0


@pytest.mark.parametrize("modes", [1, 2, 3])
def test_an_order_beyond_the_numerical_rank_adds_nothing(filters, modes):
    h = filters.modal(2, 300, modes=modes, slowest=0.95)
    found = fit(h, Settings(order=64, tol=1e-8))
    assert found.ok
    assert (found.order <= 2 * modes + 2).all()
    assert found.residue.max() < 1e3


@pytest.mark.parametrize("power", [1, 2, 3])
def test_repeated_poles_are_fitted_by_poles_near_each_other_that_run_in_fp32(power):
    t = torch.arange(400, dtype=torch.float64)
    h = (t**power * 0.97**t)[None]
    found = fit(h, Settings(tol=1e-4), dtype=torch.float32)
    assert found.ok
    impulse = torch.zeros(1, 1, 400)
    impulse[..., 0] = 1
    model = (found.log_radius, found.angle, found.residue_re, found.residue_im, h[:, 0].float())
    response = torch.ops.regraft.ssm_scan(impulse, *model)[0][0]
    re, im = (part.double()[..., None] for part in (found.residue_re, found.residue_im))
    power = torch.polar(found.log_radius.double().exp(), found.angle.double())[..., None] ** torch.arange(400)
    terms = torch.cat((re * power.real, im * power.imag), 1).norm()
    # The fit, and fp32's rounding of large terms that cancel, a few times for the products of a scan.
    assert (response - h).norm() <= 1e-4 * h.norm() + 4 * torch.finfo(torch.float32).eps * terms
    assert terms < 1e4 * h.norm()


def test_unstable_filters_get_stable_models():
    t = torch.arange(300, dtype=torch.float64)
    for h in (1.003**t, (-1.001) ** t, torch.cos(0.3 * t), torch.ones(300, dtype=torch.float64)):
        found = fit(h[None], Settings(tol=1e-2))
        assert found.ok
        assert found.radius.max() <= 1 - 9e-8


def test_tied_filters_share_one_set_of_poles(filters):
    pole = torch.polar(torch.tensor([0.9, 0.97, 0.99]).double(), torch.tensor([0.3, 1.0, 2.5]).double())
    residue = torch.randn(6, 3, 1, dtype=torch.complex128)
    h = torch.cat((torch.randn(6, 1).double(), (residue * pole[:, None] ** torch.arange(250)).sum(1).real), -1)
    h[2] = 0
    found = fit(h, Settings(order=6, tol=1e-8, max_order=6, shared_poles=True))
    assert found.ok
    assert (found.angle == found.angle[0]).all()
    assert (found.log_radius == found.log_radius[0]).all()
    torch.testing.assert_close(found.angle[0].sort().values, pole.angle().sort().values, rtol=0, atol=1e-9)


def test_refinement_of_shared_poles_serves_all_channels(filters):
    h = filters.hyena(4, 256, frequency=3.0)
    errors = [float(fit(h, Settings(8, 1e-5, 8, shared_poles=True, refine=steps)).rel_l2.amax()) for steps in (0, 16)]
    assert errors[1] < errors[0]


def test_a_limit_of_modes_is_kept(filters):
    h = filters.hyena(4, 256)
    free, bound = fit(h, Settings(16, 1e-6, 16)), fit(h, Settings(16, 1e-3, 16, modes=8))
    assert free.modes > 8
    assert bound.modes <= 8
    assert bound.ok


@pytest.mark.parametrize("order", [2, 4, 7, 12])
def test_balanced_models_err_between_the_next_singular_value_and_their_bound(filters, order):
    h = filters.modal(2, 600, modes=8, slowest=0.98)
    found = fit(h, Settings(order=order, tol=1e9, max_order=order, method="balanced"))
    frequency = torch.linspace(0, math.pi, 20001, dtype=torch.float64)
    back = torch.polar(torch.ones_like(frequency), -frequency)
    pole = torch.polar(found.log_radius.exp(), found.angle)[..., None]
    residue = torch.complex(found.residue_re, found.residue_im)[..., None]
    terms = residue / (1 - pole * back) + residue.conj() / (1 - pole.conj() * back)
    model = 0.5 * terms.sum(1)  # of taps to the end of time
    response = h[:, 1:].to(torch.complex128) @ torch.polar(
        torch.ones(599, 1, dtype=torch.float64), -torch.arange(599)[:, None] * frequency
    )
    error = (response - model).abs().amax(-1)
    # The grid misses a little of a peak, less than one part in a thousand of these.
    assert (error >= 0.999 * found.sigma[:, order]).all()
    assert (error <= found.bound * (1 + 1e-9)).all()
    dense = torch.linalg.svdvals(torch.stack([F.pad(h[:, 1 + i :], (0, i)) for i in range(599)], 1))
    tail = 2 * dense[:, order:].sum(-1)
    torch.testing.assert_close(found.sigma, dense[:, : order + 1], rtol=1e-8, atol=0)
    assert (found.bound >= tail * (1 - 1e-9)).all()
    assert (found.bound <= 4 * tail).all()
    assert found.radius.max() < 1


def test_the_bound_of_balanced_models_covers_singular_values_not_computed(filters):
    g = filters.fading_noise(1, 120).double()[:, None, 1:]
    dense = torch.linalg.svdvals(torch.stack([F.pad(g[0, 0, i:], (0, i)) for i in range(119)]))
    for order in (3, 20):
        bound = float(balanced.bound(g, balanced.leading(g, order), order))
        assert 2 * dense[order:].sum() <= bound
        assert bound <= 6 * 2 * dense[order:].sum()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_filter_that_is_not_finite_is_an_error(value):
    h = torch.randn(2, 30)
    h[1, 4] = value
    with pytest.raises(ValueError, match="NaN or infinity"):
        fit(h, Settings())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 0}, "order must be"),
        ({"order": 8, "max_order": 4}, "max-order 4"),
        ({"tol": 0.0}, "tol must be"),
        ({"tol": math.nan}, "tol must be"),
        ({"refine": -1}, "refine must be"),
        ({"method": "prony"}, "hankel or balanced"),
        ({"method": "balanced", "shared_poles": True}, "shared-poles"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Settings(**options)


def test_the_table_shows_the_worst_channels_first(filters):
    from rich.console import Console

    found = fit(filters.hyena(5, 128), Settings(order=6, tol=1.0, max_order=6))
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(found.table(most=2))
    lines = console.export_text().splitlines()
    assert "5 filters" in lines[0]
    assert lines[4].split()[1] == str(found.worst)
