"""The long convolution against the direct sum over its lag map, in double precision."""

import pytest
import regraft.compiler.ops  # noqa: F401
import torch
import torch.nn.functional as F
from regraft.compiler.ops.long_conv import LAGS, spectrum

long_conv = torch.ops.regraft.long_conv
long_conv_spectrum = torch.ops.regraft.long_conv_spectrum

LENGTHS = [1, 2, 3, 7, 63, 100, 127]
LINEAR = [lags for lags in LAGS if lags != "circular"]


def taps_at_lags(k, k_rev, lags, lag0=0):
    """(lag, values) of every tap."""
    forward = {"anticausal": lambda m: -m}.get(lags, lambda m: m - lag0)
    placed = [(forward(m), k[..., m]) for m in range(k.shape[-1])]
    if k_rev is not None:
        first = 1 if lags == "bidirectional_offset" else 0
        placed += [(-(m + first), k_rev[..., m]) for m in range(k_rev.shape[-1])]
    return placed


def direct(x, placed, period=None):
    """y[t] is the sum over taps of tap * x[t - lag], with x zero outside, or repeated after ``period`` samples."""
    length, y = x.shape[-1], torch.zeros_like(x)
    for lag, tap in placed:
        for t in range(length):
            source = t - lag if period is None else (t - lag) % period
            if 0 <= source < length:
                y[..., t] += tap * x[..., source]
    return y


def signals(length, taps, lags="causal", batch=2, channels=3, seed=0):
    torch.manual_seed(seed + length * 1000 + taps)
    u, k = torch.randn(batch, channels, length).double(), torch.randn(channels, taps).double()
    return u, k, torch.randn(channels, max(1, taps - 1)).double() if lags.startswith("bidirectional") else None


@pytest.mark.parametrize("lags", LINEAR)
@pytest.mark.parametrize(("length", "taps"), [*((n, n) for n in LENGTHS), (9, 3), (9, 31), (1, 5), (5, 1), (10, 11)])
def test_every_linear_lag_map_is_its_direct_sum(lags, length, taps):
    u, k, k_rev = signals(length, taps, lags)
    for lag0 in (0, 1, taps - 1, taps // 2, length, -3) if lags == "taps" else (0,):
        expected = direct(u, taps_at_lags(k, k_rev, lags, lag0))
        torch.testing.assert_close(long_conv(u, k, None, k_rev, lags=lags, lag0=lag0), expected)


@pytest.mark.parametrize("lags", LINEAR)
@pytest.mark.parametrize("fft_size", [27, 31, 54])
def test_the_size_of_the_transform_changes_nothing(lags, fft_size):
    u, k, k_rev = signals(13, 13, lags)
    expected = long_conv(u, k, None, k_rev, lags=lags)
    torch.testing.assert_close(long_conv(u, k, None, k_rev, lags=lags, fft_size=fft_size), expected)


def test_a_filter_longer_than_the_sequence_does_not_wrap_around():
    u, k, _ = signals(8, 40)
    torch.testing.assert_close(long_conv(u, k, fft_size=16), direct(u, taps_at_lags(k, None, "causal")))


@pytest.mark.parametrize(("length", "taps", "period"), [(7, 7, 7), (7, 3, 0), (9, 9, 12), (9, 18, 18), (8, 13, 10)])
@pytest.mark.parametrize("lag0", [0, 2, -4])
def test_circular_repeats_after_its_period(length, taps, period, lag0):
    u, k, _ = signals(length, taps)
    kept = k[:, : period or length]
    expected = direct(u, taps_at_lags(kept, None, "circular", lag0), period or length)
    torch.testing.assert_close(long_conv(u, k, lags="circular", fft_size=period, lag0=lag0), expected)


def test_circular_wraps_and_causal_does_not():
    u = torch.zeros(1, 1, 8).double()
    u[..., -1] = 1.0
    k = torch.ones(1, 8).double()
    assert (long_conv(u, k, lags="circular") == 1).all()
    assert long_conv(u, k)[..., :-1].abs().max() < 1e-15


@pytest.mark.parametrize("length", [4, 7, 64])
def test_conventions_in_the_wild_are_named_exactly(length):
    u, k, k_rev = signals(length, length, "bidirectional")
    k_rev = torch.randn_like(k)
    n = 2 * length
    u_f, k_f = torch.fft.rfft(u, n=n), torch.fft.rfft(k, n=n)

    shared = torch.fft.irfft(u_f * (k_f + torch.fft.rfft(k_rev, n=n).conj()), n=n)[..., :length]
    torch.testing.assert_close(long_conv(u, k, None, k_rev, lags="bidirectional_shared", fft_size=n), shared)

    two_sided = F.pad(k, (0, length)) + F.pad(k_rev.flip(-1), (length, 0))
    flip_pad = torch.fft.irfft(u_f * torch.fft.rfft(two_sided, n=n), n=n)[..., :length]
    torch.testing.assert_close(long_conv(u, k, None, k_rev, lags="bidirectional_offset", fft_size=n), flip_pad)
    torch.testing.assert_close(long_conv(u, two_sided, lags="circular", fft_size=n), flip_pad)
    assert not torch.allclose(shared, flip_pad)

    padded = torch.fft.rfft(F.pad(u, (length // 2, length // 2)), n=n)
    half_pad = torch.fft.irfft(padded * k_f, n=n)[..., :length]
    torch.testing.assert_close(long_conv(u, k, lags="circular", fft_size=n, lag0=-(length // 2)), half_pad)


def test_gates_and_skip_act_where_they_should():
    u, k, _ = signals(9, 9)
    pre, post, skip = torch.randn_like(u), torch.randn(3, 9).double(), torch.randn(3).double()
    x = pre * u
    expected = post * (direct(x, taps_at_lags(k, None, "causal")) + skip[:, None] * x)
    torch.testing.assert_close(long_conv(u, k, skip, None, pre, post), expected)


@pytest.mark.parametrize("shape", [(3, 9), (1, 3, 9), (2, 3, 9), (1, 9), (9,)])
def test_the_filter_broadcasts_over_batch_and_channels(shape):
    u = torch.randn(2, 3, 9).double()
    k = torch.randn(shape).double().requires_grad_()
    y = long_conv(u, k)
    torch.testing.assert_close(y, direct(u, taps_at_lags(k, None, "causal")))
    y.sum().backward()
    assert k.grad.shape == k.shape


def test_signals_may_have_more_than_one_batch_dimension():
    u, k = torch.randn(2, 3, 4, 9).double(), torch.randn(3, 1, 9).double()
    torch.testing.assert_close(long_conv(u, k), direct(u, taps_at_lags(k, None, "causal")))


@pytest.mark.parametrize("lags", LAGS)
def test_gradients_agree_with_finite_differences(lags):
    u, k, k_rev = signals(5, 4, lags, batch=1, channels=2)
    skip, pre, post = torch.randn(2).double(), torch.randn_like(u), torch.randn_like(u)
    tensors = [t.requires_grad_() if t is not None else None for t in (u, k, skip, k_rev, pre, post)]
    attributes = {"lags": lags, "lag0": 1 if lags in ("taps", "circular") else 0}
    assert torch.autograd.gradcheck(lambda *t: long_conv(*t, **attributes), tensors)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("filter_dtype", [torch.float32, None])
def test_half_precision_is_computed_in_single_and_cast_back(dtype, filter_dtype):
    torch.manual_seed(0)
    u, k, skip = torch.randn(2, 3, 1000).to(dtype), torch.randn(3, 1000).to(filter_dtype or dtype), torch.randn(3)
    found = long_conv(u, k, skip)
    assert found.dtype == dtype
    exact = long_conv(u.double(), k.double(), skip.double())
    bound = torch.finfo(dtype).eps / 2 * exact.abs() + 1e-4
    assert ((found.double() - exact).abs() <= bound).all()
    assert found.equal(long_conv(u.float(), k.float(), skip).to(dtype))


@pytest.mark.parametrize("length", [100, 1000])
def test_a_loud_future_does_not_leak_into_the_past(length):
    u, k, _ = signals(length, length)
    u, k, half = u.float(), k.float(), length // 2
    loud = u.clone()
    loud[..., half:] *= 1e4
    leak = (long_conv(loud, k) - long_conv(u, k))[..., :half].abs().max()
    # An FFT spreads rounding over all outputs alike: bounded by eps, the energy of the loud part and log2 of the size.
    scale = loud.norm(dim=-1).max() * k.norm(dim=-1).max()
    assert leak <= 10 * torch.finfo(torch.float32).eps * scale


@pytest.mark.parametrize("lags", LAGS)
def test_a_spectrum_made_beforehand_gives_the_same(lags):
    u, k, k_rev = signals(9, 9, lags)
    skip, pre, post, n = torch.randn(3).double(), torch.randn_like(u), torch.randn_like(u), 20
    lag0 = 2 if lags in ("taps", "circular") else 0
    k_f = spectrum(k, k_rev, lags=lags, fft_size=n, lag0=lag0)
    assert k_f.shape == (3, 11)
    expected = long_conv(u, k, skip, k_rev, pre, post, lags=lags, fft_size=n, lag0=lag0)
    assert torch.equal(long_conv_spectrum(u, k_f, skip, pre, post, fft_size=n, length=9), expected)
    assert torch.equal(
        long_conv_spectrum(u, k_f, None, pre, fft_size=n, length=4),
        long_conv_spectrum(u, k_f, None, pre, fft_size=n, length=9)[..., :4],
    )


def test_gradients_through_a_spectrum_agree_with_finite_differences():
    u, k, _ = signals(5, 5, batch=1, channels=2)
    k_f = torch.fft.rfft(k, n=10)
    tensors = [u.requires_grad_(), k_f.requires_grad_(), torch.randn(2).double().requires_grad_()]
    assert torch.autograd.gradcheck(lambda *t: long_conv_spectrum(*t, fft_size=10, length=5), tensors)


# Without a size, circular transforms the length itself, and torch cannot export an rfft whose size may be odd.
@pytest.mark.parametrize(("lags", "sized"), [(lags, True) for lags in LAGS] + [(lags, False) for lags in LINEAR])
def test_the_length_may_be_dynamic(lags, sized):
    two_sided = lags.startswith("bidirectional")

    class Model(torch.nn.Module):
        def forward(self, u, k):
            fft_size = 2 * u.shape[-1] if sized else 0
            lag0 = -(u.shape[-1] // 2) if lags == "circular" else 0
            return long_conv(u, k, None, k if two_sided else None, lags=lags, fft_size=fft_size, lag0=lag0)

    time = torch.export.Dim("time", min=3)
    program = torch.export.export(
        Model(), (torch.randn(2, 3, 9), torch.randn(3, 9)), dynamic_shapes=({2: time}, {1: time})
    )
    u, k = torch.randn(2, 3, 16), torch.randn(3, 16)
    for exported in (program, program.run_decompositions()):
        torch.testing.assert_close(exported.module()(u, k), Model()(u, k))


def test_the_filter_may_have_a_dynamic_length_of_its_own():
    class Model(torch.nn.Module):
        def forward(self, u, k):
            return long_conv(u, k)

    shapes = {2: torch.export.Dim("time")}, {1: torch.export.Dim("taps")}
    program = torch.export.export(Model(), (torch.randn(2, 3, 9), torch.randn(3, 5)), dynamic_shapes=shapes)
    module = program.run_decompositions().module()
    for length, taps in (16, 5), (5, 16):
        u, k = torch.randn(2, 3, length), torch.randn(3, taps)
        torch.testing.assert_close(module(u, k), long_conv(u, k))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"lags": "acausal"}, "lags must be one of 'causal', .* got 'acausal'"),
        ({"lags": "bidirectional_shared"}, "k_rev must be given for lags 'bidirectional_shared', got NoneType"),
        ({"k_rev": torch.ones(3, 9)}, "k_rev must be None for lags 'causal'"),
        ({"lag0": 2}, "lag0 must be 0 for lags 'causal', got 2"),
        ({"fft_size": 16}, "fft_size must be at least 17 for lags 'causal', or 0, got 16"),
        ({"fft_size": 8, "lags": "circular"}, "fft_size must be at least the 9 samples of u, got 8"),
    ],
)
def test_a_bad_attribute_is_named(attributes, message):
    with pytest.raises(ValueError, match=message):
        long_conv(torch.ones(2, 3, 9), torch.ones(3, 9), **attributes)


def test_a_bad_spectrum_is_named():
    u, k_f = torch.ones(2, 3, 9), torch.ones(3, 10, dtype=torch.complex64)
    with pytest.raises(ValueError, match="k_f must be complex"):
        long_conv_spectrum(u, k_f.real, fft_size=18, length=9)
    with pytest.raises(ValueError, match="= 11 bins wide, got 10"):
        long_conv_spectrum(u, k_f, fft_size=20, length=9)
    with pytest.raises(ValueError, match="length must be at most u's 9 samples, got 12"):
        long_conv_spectrum(u, k_f, fft_size=18, length=12)
