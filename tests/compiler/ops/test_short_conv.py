"""The short convolution against its sum, tap by tap."""

import pytest
import regraft.compiler.ops  # noqa: F401
import torch
import torch.nn.functional as F

short_conv = torch.ops.regraft.short_conv


def direct(u, k):
    """The sum over m of k[c, K-1-m] u[b, c, t-m]."""
    y = torch.zeros_like(u)
    taps = k.shape[1]
    for t in range(u.shape[-1]):
        for m in range(min(taps, t + 1)):
            y[..., t] += k[:, taps - 1 - m] * u[..., t - m]
    return y


@pytest.mark.parametrize("length", [1, 3, 63, 100])
@pytest.mark.parametrize("taps", [1, 2, 3, 4, 7])
def test_is_the_sum_over_taps_with_the_last_tap_at_lag_zero(length, taps):
    torch.manual_seed(0)
    u, k, bias = torch.randn(2, 3, length).double(), torch.randn(3, taps).double(), torch.randn(3).double()
    torch.testing.assert_close(short_conv(u, k), direct(u, k))
    torch.testing.assert_close(short_conv(u[0], k), direct(u[0], k))
    torch.testing.assert_close(short_conv(u, k, bias, activation="silu"), F.silu(direct(u, k) + bias[:, None]))


def test_looks_at_no_later_sample():
    u, k = torch.randn(1, 3, 9).double(), torch.randn(3, 4).double()
    changed = u.clone()
    changed[..., 5:] = 1e4
    assert torch.equal(short_conv(u, k)[..., :5], short_conv(changed, k)[..., :5])


def test_the_length_may_be_dynamic():
    class Model(torch.nn.Module):
        def forward(self, u, k):
            return short_conv(u, k, activation="silu")

    dims = {0: torch.export.Dim("batch"), 2: torch.export.Dim("time")}
    program = torch.export.export(Model(), (torch.randn(2, 3, 9), torch.randn(3, 4)), dynamic_shapes=(dims, None))
    u, k = torch.randn(5, 3, 17), torch.randn(3, 4)
    torch.testing.assert_close(program.run_decompositions().module()(u, k), Model()(u, k))


def test_bad_arguments_are_named():
    u, k = torch.ones(2, 3, 5), torch.ones(3, 4)
    with pytest.raises(ValueError, match="activation must be one of"):
        short_conv(u, k, activation="swish")
    with pytest.raises(ValueError, match=r"k must be \[channels, taps\], got rank 3"):
        short_conv(u, k[:, None])
    with pytest.raises(ValueError, match="u must be"):
        short_conv(u[0, 0], k)
