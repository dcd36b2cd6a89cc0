"""The baselines fit what they are known to fit, so that beating them means something."""

import pytest
import torch
from regraft.passes.distill_ssm import Settings, fit
from regraft.passes.distill_ssm.baselines import modal_gradient, prony, vector_fitting


@pytest.mark.parametrize("modes", [1, 3])
@pytest.mark.parametrize("method", [prony, vector_fitting])
def test_linear_methods_recover_a_model_exactly(filters, method, modes):
    h = filters.modal(2, 256, modes=modes, slowest=0.9)  # faded at the end, which a frequency response shows
    found = method(h, 2 * modes)
    assert (found.rel_l2 <= 1e-8).all()
    assert found.order.tolist() == [2 * modes] * 2


def test_gradient_descent_comes_near_one_mode_and_nearer_with_more_steps():
    t = torch.arange(128, dtype=torch.float64)
    h = (0.95**t * torch.cos(0.2 * t))[None]
    few, many = (modal_gradient(h, 2, steps=steps, rate=3e-2) for steps in (20, 600))
    assert many.rel_l2.max() < 0.05
    assert many.rel_l2.max() < few.rel_l2.max()
    assert many.radius.max() < 1


def test_the_fit_beats_them_all_on_smooth_filters_in_the_worst_channel(filters):
    h = filters.hyena(6, 512)
    ours = fit(h, Settings(order=16, tol=1e-5, max_order=16)).rel_l2.amax()
    others = (prony(h, 16), vector_fitting(h, 16), modal_gradient(h, 16, steps=200))
    assert all(10 * ours < other.rel_l2.amax() for other in others)


def test_stored_numbers_are_stable_whatever_the_filter(filters):
    h = filters.fading_noise(3, 200)
    for found in (prony(h, 12), vector_fitting(h, 12, iterations=3), modal_gradient(h, 12, steps=5)):
        assert found.radius.max() < 1
        assert found.residue_re.isfinite().all()
