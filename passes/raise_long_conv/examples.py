"""Spellings found in the wild that ``fft-conv`` must raise, and near misses it must leave alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fft import fft, ifft, irfft, rfft

from ...compiler.rules import Example

_U, _K = "f32[2, 3, 9]", "f32[3, 9]"
_FLOATS = ("f32", "f64")


def hyena(u: Tensor, k: Tensor, skip: Tensor) -> Tensor:
    """Scaled filter, unscaled inverse, skip, and a cast back (safari, M2, NeMo)."""
    k_f = rfft(k.float(), n=18) / 18
    y = irfft(rfft(u.float(), n=18) * k_f, n=18, norm="forward")[..., :9]
    return (y + u * skip.unsqueeze(-1)).to(u.dtype)


def hyena_gated(v: Tensor, x1: Tensor, x0: Tensor, k: Tensor, skip: Tensor) -> Tensor:
    """The whole operator on [b, heads, v, blocks, l], its filter's spectrum viewed for broadcasting."""
    u = v * x1
    k_f = (rfft(k.float(), n=18) / 18).unsqueeze(1)
    y = irfft(rfft(u.float(), n=18) * k_f, n=18, norm="forward")[..., :9]
    return (y + u * skip[None, :, None, None]).to(u.dtype) * x0


def full_complex(u: Tensor, k: Tensor) -> Tensor:
    """Complex transforms of real signals (HyenaDNA)."""
    return ifft(fft(u.float(), n=18) * fft(k.float(), n=18), n=18).real[..., :9].to(u.dtype)


def state_prefill(u: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """The input's full spectrum is halved for the convolution and used again for the state (StripedHyena)."""
    spectrum = fft(u.float(), n=18)
    y = irfft(spectrum[..., :10] * (rfft(k.float(), n=18) / 18), n=18, norm="forward")[..., :9]
    return y, spectrum.abs().sum(-1)


def padded_gates(u: Tensor, k: Tensor, pre: Tensor, post: Tensor) -> Tensor:
    """Everything is padded first, and the gate is applied before the slice (FlashFFTConv)."""
    x, filter_, gate = (F.pad(t.float(), (0, 9)) for t in (u * pre, k, post))
    return (irfft(rfft(x) * rfft(filter_)) * gate)[..., :9]


def shared_bidirectional(u: Tensor, k: Tensor, k_rev: Tensor) -> Tensor:
    """Both filters meet at lag 0 (safari)."""
    k_f = rfft(k.float(), n=18) / 18 + (rfft(k_rev.float(), n=18) / 18).conj()
    return irfft(rfft(u.float(), n=18) * k_f, n=18, norm="forward")[..., :9].to(u.dtype)


def offset_bidirectional(u: Tensor, k: Tensor, k_rev: Tensor) -> Tensor:
    """The reversed filter starts at lag -1 (M2, S4)."""
    both = F.pad(k.float(), (0, 9)) + F.pad(k_rev.float().flip(-1), (9, 0))
    return irfft(rfft(u.float(), n=18) * rfft(both, n=18), n=18)[..., :9].to(u.dtype)


def half_padded_bidirectional(u: Tensor, k: Tensor) -> Tensor:
    """Zeros on both sides of the input, so that no near lag is seen (HyenaDNA)."""
    return irfft(rfft(F.pad(u.float(), (4, 5)), n=18) * rfft(k.float(), n=18), n=18)[..., :9].to(u.dtype)


def channels_last(u: Tensor, k: Tensor, skip: Tensor) -> Tensor:
    """[B, L, D], transformed along dimension 1 of 32 points (Flash-STU)."""
    spectrum = rfft(k.float().view(1, -1, 3), n=32, dim=1) * rfft(u.float(), n=32, dim=1)
    return (irfft(spectrum, n=32, dim=1)[:, :9] + u * skip).to(u.dtype)


def dynamic(u: Tensor, k: Tensor) -> Tensor:
    """The transform is twice as long as an input of any length."""
    length = u.shape[-1]
    k_f = rfft(k[..., :length].float(), n=2 * length) / (2 * length)
    return irfft(rfft(u.float(), n=2 * length) * k_f, n=2 * length, norm="forward")[..., :length].to(u.dtype)


def shared_filter(u: Tensor, v: Tensor, k: Tensor) -> Tensor:
    """Two inputs under one spectrum."""
    k_f = rfft(k.float(), n=18)
    first, second = (irfft(rfft(x.float(), n=18) * k_f, n=18)[..., :9] for x in (u, v))
    return first * second


def vortex(u: Tensor, k: Tensor, k_rev: Tensor) -> Tensor:
    """The input's conjugate is multiplied too: no convolution."""
    u_f = rfft(u, n=18)
    return irfft(u_f * rfft(k, n=18) + u_f.conj() * rfft(k_rev, n=18).conj(), n=18)[..., :9]


def complex_input(u: Tensor, k: Tensor) -> Tensor:
    """A complex signal."""
    return ifft(fft(torch.complex(u, u), n=18) * fft(k, n=18), n=18).real[..., :9]


def complex_output(u: Tensor, k: Tensor) -> Tensor:
    """The imaginary part, which is round-off, is wanted too."""
    return torch.view_as_real(ifft(fft(u, n=18) * fft(k, n=18), n=18)[..., :9])


def wrong_inverse(u: Tensor, k: Tensor) -> Tensor:
    """17 points are brought back as 16."""
    return irfft(rfft(u, n=17) * rfft(k, n=17))[..., :9]


def learned_spectrum(u: Tensor, weight: Tensor) -> Tensor:
    """A filter that lives in the frequency domain (GFNet)."""
    return irfft(rfft(u, n=18) * torch.view_as_complex(weight), n=18)[..., :9]


def many_filters(u: Tensor, k: Tensor) -> Tensor:
    """One input under five filters."""
    return irfft(rfft(u, n=18).unsqueeze(1) * rfft(k, n=18), n=18)[..., :9]


def gate_written(u: Tensor, gate: Tensor, k: Tensor) -> Tensor:
    """The gate behind the convolution is written in place while it is under way."""
    y = irfft(rfft(u, n=18) * rfft(k, n=18), n=18)[..., :9]
    gate = gate.clone()
    x = y + gate
    return gate.mul_(2) * x * y


def input_written(u: Tensor, k: Tensor) -> Tensor:
    """The input is written in place between its transform and the product."""
    u = u.clone()
    spectrum = rfft(u, n=18)
    u.mul_(2)
    return irfft(spectrum * rfft(k, n=18), n=18)[..., :9] + u


EXAMPLES = (
    Example("hyena", hyena, (_U, _K, "f32[3]")),
    Example("hyena, gated, five dimensions", hyena_gated, (*["f32[2, 1, 3, 1, 9]"] * 3, _K, "f32[3]")),
    Example("full complex transforms", full_complex, (_U, _K)),
    Example("spectrum used again", state_prefill, (_U, _K), dtypes=_FLOATS),
    Example("padded gates", padded_gates, (_U, _K, _U, _U), dtypes=_FLOATS),
    Example("bidirectional, shared lag", shared_bidirectional, (_U, _K, _K)),
    Example("bidirectional, offset lag", offset_bidirectional, (_U, _K, _K)),
    Example("bidirectional, half padded", half_padded_bidirectional, (_U, _K)),
    Example("channels last", channels_last, ("f32[2, 9, 3]", "f32[9, 3]", "f32[3]")),
    Example("dynamic length", dynamic, ("f32[2, 3, t=9]", "f32[3, 20]")),
    Example("one filter for two inputs", shared_filter, (_U, _U, _K), fires=2),
    Example("circular", lambda u, k: irfft(rfft(u) * rfft(k), n=9), (_U, _K), dtypes=_FLOATS),
    Example("input conjugated", vortex, (_U, _K, _K), declines="conjugate-of-input"),
    Example("complex input", complex_input, (_U, _K), declines="complex-input"),
    Example("complex result", complex_output, (_U, _K), declines="complex-output"),
    Example("odd size, even inverse", wrong_inverse, (_U, _K), declines="sizes-differ"),
    Example("filter given as a spectrum", learned_spectrum, (_U, "f32[3, 10, 2]"), declines="filter-not-transformed"),
    Example("input repeated", many_filters, (_U, "f32[5, 3, 9]"), declines="input-broadcast"),
)

BARE_EXAMPLES = (
    Example("gate written in place", gate_written, (_U, _U, _K), dtypes=_FLOATS),
    Example("input written in place", input_written, (_U, _K), declines="mutated-between"),
)
