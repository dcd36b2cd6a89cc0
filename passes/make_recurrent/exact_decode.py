"""A long causal convolution whose input arrives piece by piece, exactly, with buffers of fixed size.

The inputs are kept, and outputs that lie ahead are added to while inputs close blocks of ``block`` samples, so that an
output needs a dot product over the open block alone. With n blocks closed and L samples in all:

=========  ====================================================================================  ===================
relaxed    the last U = lowbit(n) blocks are added to the next U: relaxed multiplication, as in  O(L log^2 L)
           Flash Inference (arXiv 2410.12982), section 3; FutureFill (arXiv 2410.03766) calls
           it continuous
epoched    all n blocks are added to the next one (FutureFill, section 4)                        O(L^1.5 sqrt(log L))
dot        one block of L samples: nothing is ever added, every output is a dot product          O(L^2)
=========  ====================================================================================  ===================

A *bank* holds the convolutions of one shape, stacked along the first dimension, so that a block of all layers is closed
at once: history and pending [N, ..., H, L], taps [N, ..., H, L] with leading dimensions that broadcast to history's.
Everything is in the dtype the convolution computes in. Outputs of pieces longer than a sample are computed by FFT.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ...compiler.errors import UsageError, nearest
from ...compiler.ops.long_conv import fast_size

METHODS = ("relaxed", "epoched", "dot")


class Tiling(NamedTuple):
    """How a convolution of ``length`` samples at most is cut into blocks."""

    method: str
    length: int
    block: int

    @classmethod
    def of(cls, method: str, length: int) -> Tiling:
        """The tiling of a method with its block: sqrt(L log L) samples if epoched, 32 if relaxed.

        Raises ``UsageError`` for an unknown method.
        """
        if method not in METHODS:
            raise UsageError(f"no exact decoding is called {method!r}", hint=nearest(method, METHODS))
        blocks = {
            "relaxed": 32,
            "epoched": max(1, math.isqrt(int(length * math.log2(max(length, 2))))),
            "dot": length,
        }
        return cls(method, length, min(blocks[method], length))

    @property
    def ahead(self) -> int:
        """How many outputs of a bank may be pending at once."""
        return {"relaxed": self.length, "epoched": self.block, "dot": 0}[self.method]


def convolve(x: Tensor, taps: Tensor, history: Tensor, pending: Tensor, position: int, tiling: Tiling) -> Tensor:
    """The outputs at ``position`` and on, as many as samples in x [..., H, C]; x is written to ``history``.

    history and pending are those of one convolution, taps [..., H, L]. Call :func:`close_blocks` after every piece.
    """
    count = x.shape[-1]
    history.narrow(-1, position, count).copy_(x)
    if count > 1:
        return _by_fft(history.narrow(-1, 0, position + count), taps)[..., position:]
    start = position // tiling.block * tiling.block
    inside = history.narrow(-1, start, position - start + 1)
    y = (inside * taps.narrow(-1, 0, position - start + 1).flip(-1)).sum(-1, keepdim=True)
    if tiling.method == "dot" or position < tiling.block:
        return y
    return y + pending.narrow(-1, position if tiling.method == "relaxed" else position - start, 1)


def close_blocks(
    history: Tensor, pending: Tensor, taps: Tensor, spectra: dict[int, Tensor], before: int, after: int, tiling: Tiling
) -> None:
    """Add to a bank's pending outputs what the blocks closed between the positions ``before`` and ``after`` add.

    ``spectra`` keeps the transforms of the taps from call to call. Every piece that closes more than one block leaves
    what closing them one by one would have left.
    """
    closed = after // tiling.block
    if closed == before // tiling.block or tiling.method == "dot" or closed * tiling.block >= tiling.length:
        return
    if tiling.method == "epoched":
        end = closed * tiling.block
        count = min(tiling.block, tiling.length - end)
        given = F.pad(history[..., :end], (0, count))
        pending[..., :count] = _by_fft(given, taps)[..., end:]
        return
    if closed == before // tiling.block + 1:
        _add_tile(history, pending, taps, spectra, closed, tiling)
        return
    # Of all tiles up to here, those that end at a leading part of closed's binary form reach past it, and no others.
    pending[..., closed * tiling.block :] = 0
    for bit in reversed(range(closed.bit_length())):
        if closed >> bit & 1:
            _add_tile(history, pending, taps, spectra, closed >> bit << bit, tiling)


def _add_tile(
    history: Tensor, pending: Tensor, taps: Tensor, spectra: dict[int, Tensor], closed: int, tiling: Tiling
) -> None:
    """Add the lowbit(closed) blocks before the end of block ``closed`` to as many after it.

    A cyclic transform of twice their size will do: what wraps around falls on the half that is thrown away.
    """
    size, end = tiling.block * (closed & -closed), tiling.block * closed
    if size not in spectra:
        spectra[size] = torch.fft.rfft(taps[..., : 2 * size], n=2 * size)
    count = min(size, tiling.length - end)
    product = torch.fft.rfft(history[..., end - size : end], n=2 * size) * spectra[size]
    pending[..., end : end + count] += torch.fft.irfft(product, n=2 * size)[..., size : size + count]


def _by_fft(x: Tensor, taps: Tensor) -> Tensor:
    length = x.shape[-1]
    size = fast_size(2 * length)
    return torch.fft.irfft(torch.fft.rfft(x, n=size) * torch.fft.rfft(taps[..., :length], n=size), n=size)[..., :length]
