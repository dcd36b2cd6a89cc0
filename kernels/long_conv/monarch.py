"""A long convolution whose FFT is two matrix products with a twiddle between, as real ATen products.

FlashFFTConv (arXiv 2311.05908), section 3: with N = N1 N2 and n = n1 N2 + n2, X[k1 + N1 k2] = sum over n2 of
(sum over n1 of x[n] F_N1[n1, k1]) T[k1, n2] F_N2[n2, k2]. The spectrum stays in the order (k1, k2), in which the
filter's is stored as well, and the inverse undoes the steps from the other side. Of x only the rows with samples in
them are multiplied, and of y only those are computed.

On a CPU this loses to the FFT at every size; it is there to be compared, and as what the tile kernels are held to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...compiler.ops.long_conv import spectrum, transform_size
from ...compiler.ops.registry import accumulation_dtype

Pair = tuple[Tensor, ...]
"""Real and imaginary part."""


def monarch_conv(call: Mapping[str, Any], *tables: Tensor) -> Tensor:
    """``long_conv`` of these arguments, by schema name, with the :func:`dft_tables` of its size; sizes are fixed."""
    u, k, k_rev, pre_gate, post_gate, skip = (call[n] for n in ("u", "k", "k_rev", "pre_gate", "post_gate", "skip"))
    x = u if pre_gate is None else u * pre_gate
    dtype = compute_dtype(call)
    h, length, size = x.to(dtype), x.shape[-1], size_of(call)
    k = k[..., :length] if call["lags"] == "causal" else k
    half = spectrum(k.to(dtype), None if k_rev is None else k_rev.to(dtype), lags=call["lags"], fft_size=size,
                    lag0=call["lag0"])  # fmt: skip
    f1, f2, twiddle = zip(tables[::2], tables[1::2], strict=True)
    y = _convolved(h, half, size, f1, f2, twiddle)
    if skip is not None:
        y = y + h * skip.to(dtype).unsqueeze(-1)
    y = y.to(x.dtype)
    return y if post_gate is None else y * post_gate


def compute_dtype(call: Mapping[str, Any]) -> torch.dtype:
    """What it is computed in."""
    dtypes = [call[name].dtype for name in ("u", "pre_gate", "k") if call[name] is not None]
    return call["compute_dtype"] or accumulation_dtype(dtypes)


def size_of(call: Mapping[str, Any]) -> int:
    """The power of two of its transform; a circular one has the size it was given."""
    taps_rev = 0 if call["k_rev"] is None else call["k_rev"].shape[-1]
    lengths = (call["u"].shape[-1], call["k"].shape[-1], taps_rev)
    size = transform_size(*lengths, call["lags"], call["fft_size"], call["lag0"])
    return size if call["lags"] == "circular" else 1 << (size - 1).bit_length()


def dft_tables(size: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    """Real and imaginary parts of the DFT matrices [k1, n1] and [n2, k2] and the twiddle [k1, n2], from fp64."""
    first, second = (torch.arange(n, dtype=torch.float64) for n in factors(size))
    n1, n2 = len(first), len(second)
    angles = (first[:, None] * first / n1, second[:, None] * second / n2, first[:, None] * second / size)
    turns = [torch.polar(torch.ones_like(angle), -2 * torch.pi * (angle % 1)) for angle in angles]
    return tuple(part.to(device, dtype) for turn in turns for part in (turn.real, turn.imag))


def factors(size: int) -> tuple[int, int]:
    """N1 and N2 of a power of two, N1 the larger."""
    first = 1 << (size.bit_length() // 2)
    return first, size // first


def _convolved(h: Tensor, half: Tensor, size: int, f1: Pair, f2: Pair, twiddle: Pair) -> Tensor:
    (n1, n2), length = factors(size), h.shape[-1]
    rows = -(-length // n2)
    x = F.pad(h, (0, rows * n2 - length)).unflatten(-1, (rows, n2))
    f1 = (f1[0][:, :rows], f1[1][:, :rows])
    spectral = _times((f1[0] @ x, f1[1] @ x), twiddle)
    spectral = _product(spectral, f2)
    whole = torch.cat([half, half[..., 1 : size // 2 + size % 2].flip(-1).conj()], -1)
    k_f = torch.view_as_real(whole.unflatten(-1, (n2, n1)).transpose(-1, -2).resolve_conj())
    spectral = _times(spectral, (k_f[..., 0], k_f[..., 1]))
    re, im = _times(_product(spectral, _conj(f2)), _conj(twiddle))
    y = (f1[0].mT @ re + f1[1].mT @ im) / size
    return y.flatten(-2)[..., :length]


def _conj(a: Pair) -> Pair:
    return a[0], -a[1]


def _times(a: Pair, b: Pair) -> Pair:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def _product(a: Pair, b: Pair) -> Pair:
    return a[0] @ b[0] - a[1] @ b[1], a[0] @ b[1] + a[1] @ b[0]
