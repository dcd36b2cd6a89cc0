"""The chunked state-space scan against its recurrence, step by step."""

import pytest
import regraft.compiler.ops  # noqa: F401
import torch

ssm_scan = torch.ops.regraft.ssm_scan


def step_by_step(u, log_radius, angle, residue_re, residue_im, skip=None, state=None):
    """The recurrence, in complex128."""
    u, pole = u.double(), torch.exp(torch.complex(log_radius.double(), angle.double()))
    residue = torch.complex(residue_re.double(), residue_im.double())
    x = pole.new_zeros(u.shape[0], *pole.shape) if state is None else torch.view_as_complex(state.double())
    y = torch.empty_like(u)
    for t in range(u.shape[-1]):
        y[..., t] = (residue * x).real.sum(-1) + (0 if skip is None else skip.double() * u[..., t])
        x = pole * x + u[..., t, None]
    return y, torch.view_as_real(x)


def inputs(length, rate=0.1, seed=0):
    torch.manual_seed(seed)
    modal = -rate * torch.rand(3, 4), 6 * torch.rand(3, 4) - 3, torch.randn(3, 4), torch.randn(3, 4)
    return torch.randn(2, 3, length), *modal, torch.randn(3), torch.randn(2, 3, 4, 2)


def off(found, expected):
    return ((found.double() - expected).norm() / (expected.norm() or 1.0)).item()


@pytest.mark.parametrize("length", [1, 3, 63, 64, 65, 200])
@pytest.mark.parametrize("rate", [0.0, 0.1, 20.0])
def test_it_is_the_recurrence_at_any_length_and_decay(length, rate):
    u, *modal, skip, state = inputs(length, rate)
    for more in ((), (skip,), (skip, state)):
        for a, b in zip(ssm_scan(u, *modal, *more), step_by_step(u, *modal, *more), strict=True):
            assert off(a, b) < 1e-6


@pytest.mark.parametrize("chunk", [1, 7, 64, 300])
def test_the_chunk_changes_rounding_only(chunk):
    given = tuple(x.double() for x in inputs(65))
    for a, b in zip(ssm_scan(*given, chunk=chunk), step_by_step(*given), strict=True):
        assert off(a, b) < 1e-13


@pytest.mark.parametrize("at", [1, 64, 101])
def test_two_calls_in_a_row_are_one_call(at):
    u, *modal, skip, state = inputs(200)
    whole, final = ssm_scan(u, *modal, skip, state)
    first, middle = ssm_scan(u[..., :at], *modal, skip, state)
    second, last = ssm_scan(u[..., at:], *modal, skip, middle)
    assert off(torch.cat((first, second), -1), whole.double()) < 1e-6
    assert off(last, final.double()) < 1e-6


def test_it_does_not_drift_over_eight_thousand_steps():
    u, *rest = inputs(8192, rate=1e-3)
    for a, b in zip(ssm_scan(u, *rest), step_by_step(u, *rest), strict=True):
        assert off(a, b) < 1e-5


def test_the_state_is_fp32_whatever_the_input_is():
    u, *rest = inputs(33)
    y, state = ssm_scan(u.bfloat16(), *rest)
    assert (y.dtype, state.dtype) == (torch.bfloat16, torch.float32)


def test_it_is_the_long_convolution_with_its_filter():
    u, log_radius, angle, residue_re, residue_im, skip, _ = (x.double() for x in inputs(65))
    impulse = torch.zeros(1, 3, 65, dtype=torch.float64)
    impulse[..., 0] = 1
    taps, _ = ssm_scan(impulse, log_radius, angle, residue_re, residue_im, skip)
    y, _ = ssm_scan(u, log_radius, angle, residue_re, residue_im, skip)
    torch.testing.assert_close(y, torch.ops.regraft.long_conv(u, taps[0]))


def test_bad_arguments_are_named():
    u, *modal, skip, state = inputs(5)
    with pytest.raises(ValueError, match=r"log_radius must be kept in fp32 or fp64: .*, got torch.bfloat16"):
        ssm_scan(u, modal[0].bfloat16(), *modal[1:])
    with pytest.raises(ValueError, match=r"angle must be of shape \[3, 4\], got \[4\]"):
        ssm_scan(u, modal[0], modal[1][0], *modal[2:])
    with pytest.raises(ValueError, match=r"skip must be of shape \[3\], got \[2\]"):
        ssm_scan(u, *modal, skip[:2])
    with pytest.raises(ValueError, match="initial_state must be of shape"):
        ssm_scan(u, *modal, skip, state[..., 0])
    with pytest.raises(ValueError, match="chunk must be at least 1"):
        ssm_scan(u, *modal, chunk=0)
