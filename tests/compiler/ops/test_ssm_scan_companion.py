"""The state-space scan in companion form: against its recurrence, and against the modal form."""

import math

import pytest
import regraft.compiler.ops  # noqa: F401
import torch
from regraft.compiler.errors import NumericsError
from regraft.compiler.ops.ssm_scan_companion import MAX_ORDER, companion_step
from regraft.compiler.ops.state_space_forms import companion_to_modal, modal_to_companion

ssm_scan, ssm_scan_companion = torch.ops.regraft.ssm_scan, torch.ops.regraft.ssm_scan_companion


def modal_of(modes, decay=0.1, seed=0):
    """Poles all round the upper half-plane."""
    torch.manual_seed(seed)
    angle = math.pi * (torch.arange(modes) + torch.rand(3, modes, dtype=torch.float64)) / modes
    log_radius = -decay * (0.1 + torch.rand(3, modes, dtype=torch.float64))
    return log_radius, angle, *torch.randn(2, 3, modes, dtype=torch.float64)


def inputs(length, modes=3, dtype=torch.float64):
    model = modal_to_companion(*modal_of(modes))
    given = torch.randn(2, 3, length), *model, torch.randn(3), torch.randn(2, 3, 2 * modes)
    return tuple(x.to(dtype) for x in given)


def step_by_step(u, denominator, numerator, skip=None, state=None):
    given = (None if x is None else x.double() for x in (u, denominator, numerator, skip, state))
    u, denominator, numerator, skip, state = given
    state = u.new_zeros(*u.shape[:2], denominator.shape[1]) if state is None else state
    y = []
    for t in range(u.shape[-1]):
        one, state = companion_step(u[..., t], denominator, numerator, skip, state)
        y.append(one)
    return torch.stack(y, -1), state


def off(found, expected):
    return ((found.double() - expected).norm() / (expected.norm() or 1.0)).item()


@pytest.mark.parametrize("length", [1, 3, 63, 64, 65, 200])
@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float64, 1e-12), (torch.float32, 3e-6)])
def test_it_is_the_recurrence_at_any_length(length, dtype, allowed):
    u, *model, skip, state = inputs(length, dtype=dtype)
    for more in ((), (skip,), (skip, state)):
        for a, b in zip(ssm_scan_companion(u, *model, *more), step_by_step(u, *model, *more), strict=True):
            assert off(a, b) < allowed


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 300])
def test_the_chunk_changes_rounding_only(chunk):
    given = inputs(65)
    for a, b in zip(ssm_scan_companion(*given, chunk=chunk), step_by_step(*given), strict=True):
        assert off(a, b) < 1e-12


@pytest.mark.parametrize("at", [1, 2, 64, 101, 199])
@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float64, 1e-12), (torch.float32, 3e-6)])
def test_two_calls_in_a_row_are_one_call(at, dtype, allowed):
    u, *model, skip, state = inputs(200, dtype=dtype)
    whole, final = ssm_scan_companion(u, *model, skip, state)
    first, middle = ssm_scan_companion(u[..., :at], *model, skip, state)
    second, last = ssm_scan_companion(u[..., at:], *model, skip, middle)
    assert off(torch.cat((first, second), -1), whole.double()) < allowed
    assert off(last, final.double()) < allowed


@pytest.mark.parametrize("modes", [1, 2, 5, 16])
def test_both_forms_are_one_model(modes):
    modal = modal_of(modes)
    u, skip = torch.randn(2, 3, 150, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    y, _ = ssm_scan_companion(u, *modal_to_companion(*modal), skip)
    assert off(y, ssm_scan(u, *modal, skip)[0]) < 1e-6
    back = companion_to_modal(*modal_to_companion(*modal), dtype=torch.float64)
    assert off(ssm_scan(u, *back, skip)[0], ssm_scan(u, *modal, skip)[0]) < 1e-6


def test_a_real_pole_is_one_state_and_a_mode_without_residue_is_none():
    log_radius, angle, re, im = modal_of(4)
    angle[:, 0], angle[:, 1] = 0, math.pi
    re[:, 3], im[:, 3] = 0, 0
    im[:, :2] = 0
    denominator, numerator = modal_to_companion(log_radius, angle, re, im)
    assert denominator.shape == numerator.shape == (3, 4)
    u = torch.randn(2, 3, 60, dtype=torch.float64)
    y, _ = ssm_scan_companion(u, denominator, numerator)
    assert off(y, ssm_scan(u, log_radius, angle, re, im)[0]) < 1e-12


def test_channels_of_fewer_states_end_with_zeros():
    log_radius, angle, re, im = modal_of(2)
    re[0], im[0] = 0, 0
    re[1, 1], im[1, 1] = 0, 0
    denominator, numerator = modal_to_companion(log_radius, angle, re, im)
    assert not denominator[0].any()
    assert not denominator[1, 2:].any()
    back = companion_to_modal(denominator, numerator, dtype=torch.float64)
    u = torch.randn(2, 3, 60, dtype=torch.float64)
    assert off(ssm_scan(u, *back)[0], ssm_scan(u, log_radius, angle, re, im)[0]) < 1e-12


def test_a_model_beyond_the_order_that_keeps_its_poles_is_refused():
    u, most = torch.randn(1, 3, 5), MAX_ORDER[torch.float32]
    zeros = torch.zeros(3, most + 1)
    with pytest.raises(ValueError, match=rf"denominator must be of order 1 to {most} in .* got {most + 1}"):
        ssm_scan_companion(u, zeros, zeros)
    ssm_scan_companion(u, zeros.double(), zeros.double())
    with pytest.raises(ValueError, match=r"order 1 to 32 in torch\.float64"):
        ssm_scan_companion(u, *torch.zeros(2, 3, MAX_ORDER[torch.float64] + 1, dtype=torch.float64))
    with pytest.raises(NumericsError, match=r"10 states .* at most 8 do"):
        modal_to_companion(*modal_of(5), dtype=torch.float32)


@pytest.mark.parametrize(("modes", "dtype"), [(3, torch.float32), (8, torch.float64)])
def test_poles_that_are_too_close_together_are_refused_with_the_error_they_have(modes, dtype):
    log_radius, angle, re, im = modal_of(modes, decay=1e-2)
    with pytest.raises(NumericsError, match=r"channel \d has a relative error of .* too close together"):
        modal_to_companion(log_radius, 0.05 * angle, re, im, dtype=dtype)


def test_a_pole_that_occurs_twice_has_no_modal_form():
    denominator = torch.tensor([[-1.0, 0.25]])
    with pytest.raises(NumericsError, match="modal form of channel 0"):
        companion_to_modal(denominator, torch.ones(1, 2))


def test_the_state_is_as_wide_as_the_coefficients_whatever_the_input_is():
    u, *rest = inputs(33, dtype=torch.float32)
    y, state = ssm_scan_companion(u.bfloat16(), *rest)
    assert (y.dtype, state.dtype) == (torch.bfloat16, torch.float32)
    assert y.is_contiguous()
    assert state.is_contiguous()


def test_bad_arguments_are_named():
    u, *model, skip, state = inputs(5)
    with pytest.raises(ValueError, match=r"denominator must be kept in fp32 or fp64: .*, got torch.bfloat16"):
        ssm_scan_companion(u, model[0].bfloat16(), model[1])
    with pytest.raises(ValueError, match=r"numerator must be of shape \[3, 6\], got \[3, 5\]"):
        ssm_scan_companion(u, model[0], model[1][:, 1:])
    with pytest.raises(ValueError, match=r"skip must be of shape \[3\], got \[2\]"):
        ssm_scan_companion(u, *model, skip[:2])
    with pytest.raises(ValueError, match="initial_state must be of shape"):
        ssm_scan_companion(u, *model, skip, state[:1])
    with pytest.raises(ValueError, match="chunk must be at least 1"):
        ssm_scan_companion(u, *model, chunk=0)
