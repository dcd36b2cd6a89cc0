"""Convolution along time with a filter as long as the sequence, by FFT, with its lag map spelled out.

u [..., H, L], k [H, Lk] or with leading dimensions that broadcast to u's. The filter acts on x = pre_gate * u, which is
0 outside its L samples. A tap at some lag multiplies x[t - lag] in y[t]:

======================  =========================================================================================
lags                    where the taps are
======================  =========================================================================================
causal                  k[m] at m
anticausal              k[m] at -m
taps                    k[m] at m - lag0
circular                k[m] at every lag equal to m - lag0 modulo fft_size
bidirectional_shared    k[m] at m, k_rev[m] at -m: lag 0 gets k[0] + k_rev[0] (``rfft(k) + conj(rfft(k_rev))``)
bidirectional_offset    k[m] at m, k_rev[m] at -(m + 1): ``pad(k, (0, L)) + pad(flip(k_rev), (L, 0))`` of M2 and S4
======================  =========================================================================================

All but circular are linear: no wrap-around whatever the lengths, and ``fft_size`` is only the size of the transform.
Circular takes ``fft_size`` as its period (0 for L) and, as ``rfft(k, n)`` does, only the first fft_size taps.
HyenaDNA's "bidirectional" half-padding is circular with fft_size = 2 L and lag0 = -(L // 2): it sees no lag nearer than
L // 2. A filter given over 2 L wrapped lags is circular with fft_size = 2 L.

Hyena (arXiv 2302.10866), section 3; FlashFFTConv (arXiv 2311.05908), section 2; M2 (arXiv 2310.12109).
"""

# torch.fft and sym_max come without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from .registry import Call, accumulation_dtype, declare, known, one_of, require
from .spectrum_blocks import SpectrumBlocks

LAGS = ("causal", "anticausal", "taps", "circular", "bidirectional_shared", "bidirectional_offset")


def long_conv(
    u: Tensor,
    k: Tensor,
    skip: Tensor | None = None,
    k_rev: Tensor | None = None,
    pre_gate: Tensor | None = None,
    post_gate: Tensor | None = None,
    *,
    lags: str = "causal",
    fft_size: int = 0,
    lag0: int = 0,
    compute_dtype: torch.dtype | None = None,
) -> Tensor:
    """post_gate * (k conv x + skip[..., None] * x) with x = pre_gate * u, as long as u and in x's dtype.

    skip is [H], or has leading dimensions as k may; the gates broadcast to u. Convolution and skip are computed in
    ``compute_dtype``, by default fp64 if x or k is fp64, else fp32; the gates multiply as ATen promotes them.
    ``fft_size=0`` takes the next size with small factors.

    Raises ``ValueError`` for unknown lags, k_rev given or missing against the lags, a lag0 the lags do not use, ranks
    that do not fit, or an fft_size known to be too small.
    """
    _check(u, k, k_rev, lags, lag0)
    x = u if pre_gate is None else u * pre_gate
    dtype = compute_dtype or accumulation_dtype([x.dtype, k.dtype])
    size = transform_size(x.shape[-1], k.shape[-1], 0 if k_rev is None else k_rev.shape[-1], lags, fft_size, lag0)
    if lags == "causal" and known(k.shape[-1] > x.shape[-1]):
        k = k[..., : x.shape[-1]]  # later taps reach no output, but would wrap around
    k_f = spectrum(k.to(dtype), None if k_rev is None else k_rev.to(dtype), lags=lags, fft_size=size, lag0=lag0)
    return _apply(x, k_f, skip, post_gate, size, x.shape[-1])


def long_conv_spectrum(
    u: Tensor,
    k_f: Tensor,
    skip: Tensor | None = None,
    pre_gate: Tensor | None = None,
    post_gate: Tensor | None = None,
    *,
    fft_size: int,
    length: int,
    factors: Sequence[int] = (),
    kept: Sequence[int] = (),
) -> Tensor:
    """``long_conv`` with the filter's spectrum at hand: irfft(rfft(x, fft_size) * k_f, fft_size)[..., :length].

    k_f is complex [H, fft_size // 2 + 1] (or with leading dimensions), unnormalised, its lag map inside, as
    ``spectrum`` makes it. x = pre_gate * u [..., H, L]; skip * x is added and post_gate multiplied as in ``long_conv``,
    both on the first ``length`` samples. Computed in the real dtype of k_f, given back in x's.

    With ``factors`` of fft_size and ``kept`` (:class:`~.spectrum_blocks.SpectrumBlocks`), k_f counts as zero outside of
    those blocks whatever it holds there.

    Raises ``ValueError`` for a k_f that is not complex or does not fit fft_size, a length beyond u's, or factors that
    are no pattern of fft_size.
    """
    name, bins = "long_conv_spectrum", fft_size // 2 + 1
    require(name, "k_f", k_f.is_complex(), "complex", k_f.dtype)
    require(name, "k_f", k_f.dim() <= u.dim(), f"of rank at most {u.dim()}", f"rank {k_f.dim()}")
    require(name, "k_f", not known(k_f.shape[-1] != bins), f"fft_size // 2 + 1 = {bins} bins wide", k_f.shape[-1])
    require(name, "length", not known(length > u.shape[-1]), f"at most u's {u.shape[-1]} samples", length)
    if factors or kept:
        blocks = SpectrumBlocks(tuple(factors), tuple(kept))
        require(name, "factors", blocks.size == fft_size, f"of product fft_size = {fft_size}", list(factors))
        k_f = k_f * blocks.mask(k_f.device)
    x = u if pre_gate is None else u * pre_gate
    return _apply(x, k_f, skip, post_gate, fft_size, length)


def spectrum(k: Tensor, k_rev: Tensor | None = None, *, lags: str, fft_size: int, lag0: int = 0) -> Tensor:
    """The unnormalised real-FFT half of a filter placed at its lags modulo fft_size: complex [..., fft_size // 2 + 1].

    Not an operator: ``long_conv`` is defined by it, and a folded filter is made with it. k (and k_rev) in fp32 or fp64.
    """
    if lags == "anticausal":
        k = _behind(k, fft_size).roll(1, -1)
    elif lags == "bidirectional_shared" and k_rev is not None:
        k = _ahead(k, fft_size) + _behind(k_rev, fft_size).roll(1, -1)
    elif lags == "bidirectional_offset" and k_rev is not None:
        k = _ahead(k, fft_size) + _behind(k_rev, fft_size)
    elif not known(lag0 == 0):
        k = _ahead(k, fft_size).roll(-lag0, -1)
    return torch.fft.rfft(k, n=fft_size)


def _ahead(k: Tensor, size: int) -> Tensor:
    """Tap m at lag m, modulo size."""
    return F.pad(k, (0, size - k.shape[-1]))


def _behind(k: Tensor, size: int) -> Tensor:
    """Tap m at lag -(m + 1), modulo size."""
    return F.pad(k.flip(-1), (size - k.shape[-1], 0))


def _apply(x: Tensor, k_f: Tensor, skip: Tensor | None, post_gate: Tensor | None, size: int, length: int) -> Tensor:
    h = x.to(k_f.real.dtype)
    if known(x.numel() == 0):
        y = h[..., :length] * k_f.real[..., :1]  # MKL has no transform of nothing; of the right shape, and empty
    else:
        y = torch.fft.irfft(torch.fft.rfft(h, n=size) * k_f, n=size)[..., :length]
    if skip is not None:
        y = y + h[..., :length] * skip.to(h.dtype).unsqueeze(-1)
    y = y.to(x.dtype)
    return y if post_gate is None else y * post_gate


def transform_size(length: int, taps: int, taps_rev: int, lags: str, asked: int, lag0: int) -> int:
    """The size of the transform: as asked, else the next fast one at which no lag wraps around on to another output."""
    if lags == "circular":
        size = length if known(asked == 0) else asked
        require("long_conv", "fft_size", not known(size < length), f"at least the {length} samples of u", asked)
        return size
    if lags == "causal" and known(taps > length):
        taps = length
    latest, earliest = {
        "causal": (taps - 1, 0),
        "anticausal": (0, taps - 1),
        "taps": (taps - 1 - lag0, lag0),
        "bidirectional_shared": (taps - 1, taps_rev - 1),
        "bidirectional_offset": (taps - 1, taps_rev),
    }[lags]
    least: int = length + latest
    for other in (length + earliest, taps, taps_rev):
        if known(least <= other):
            least = other
        elif not known(other <= least):
            least = cast(int, torch.sym_max(least, other))
    if known(asked == 0):
        return least if isinstance(least, torch.SymInt) else fast_size(least)
    require("long_conv", "fft_size", not known(asked < least), f"at least {least} for lags {lags!r}, or 0", asked)
    return asked


def fast_size(size: int) -> int:
    """The least even number from ``size`` on with no prime factor above 5."""
    size += size % 2
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 2


def _check(u: Tensor, k: Tensor, k_rev: Tensor | None, lags: str, lag0: int) -> None:
    one_of("long_conv", "lags", lags, LAGS)
    require("long_conv", "u", u.dim() >= 2, "[..., channels, time]", f"rank {u.dim()}")
    for argument, taps in (("k", k), ("k_rev", k_rev)):
        if taps is not None:
            fits = 1 <= taps.dim() <= u.dim()
            require("long_conv", argument, fits, f"of rank 1 to {u.dim()}", f"rank {taps.dim()}")
    two_sided = lags.startswith("bidirectional")
    expected = "given" if two_sided else "None"
    require(
        "long_conv", "k_rev", (k_rev is not None) == two_sided, f"{expected} for lags {lags!r}", type(k_rev).__name__
    )
    shifted = lags in ("taps", "circular")
    require("long_conv", "lag0", shifted or not known(lag0 != 0), f"0 for lags {lags!r}", lag0)


def _examples() -> list[Call]:
    generator = torch.Generator().manual_seed(0)
    u, k, k_rev, gate = (torch.randn(n, generator=generator) for n in ((2, 3, 9), (3, 9), (3, 9), (2, 3, 9)))
    skip = torch.ones(3)
    return [
        ((u, k), {}),
        ((u, k, skip, None, gate, gate), {"fft_size": 18}),
        ((u, k, skip, k_rev), {"lags": "bidirectional_shared"}),
        ((u, k, skip, k_rev), {"lags": "bidirectional_offset", "fft_size": 18}),
        ((u, k), {"lags": "circular", "fft_size": 18, "lag0": -4}),
        ((u, k), {"lags": "taps", "lag0": 4}),
    ]


def _spectrum_examples() -> list[Call]:
    (u, k, skip, _, pre, post), _ = _examples()[1]
    k_f = torch.fft.rfft(k, n=18)
    return [
        ((u, k_f), {"fft_size": 18, "length": 9}),
        ((u, k_f, skip, pre, post), {"fft_size": 18, "length": 9}),
        ((u, k_f), {"fft_size": 18, "length": 9, "factors": [3, 6], "kept": [3, 2]}),
    ]


LONG_CONV = declare(
    long_conv,
    "(Tensor u, Tensor k, Tensor? skip=None, Tensor? k_rev=None, Tensor? pre_gate=None, Tensor? post_gate=None, *, "
    'str lags="causal", SymInt fft_size=0, SymInt lag0=0, ScalarType? compute_dtype=None) -> Tensor',
    _examples,
)
LONG_CONV_SPECTRUM = declare(
    long_conv_spectrum,
    "(Tensor u, Tensor k_f, Tensor? skip=None, Tensor? pre_gate=None, Tensor? post_gate=None, *, "
    "SymInt fft_size, SymInt length, int[] factors=[], int[] kept=[]) -> Tensor",
    _spectrum_examples,
)
