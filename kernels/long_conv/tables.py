"""What the FFT-as-matmul kernels read besides their inputs: roots of unity, and a filter's spectrum as they index it.

A transform of N = n1 n2 points has samples n = i1 n2 + i2 and frequencies k = j1 + n1 j2 (FlashFFTConv, arXiv
2311.05908, section 3). Of the frequencies the kernels compute those that a :class:`SpectrumBlocks` keeps, rounded up to
tiles of k1 x k2. The 1/N of the inverse is shared out so that no half overflows where the result does not, and
few become subnormal: 1/sqrt(n1) with the twiddle, which both directions multiply by, and 1/n2 with the spectrum. An
outer stage of n0 points, N = n0 n1 n2, adds its own 1/sqrt(n0) to its own twiddle.
"""

# torch.fft comes without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...compiler.ops.spectrum_blocks import SpectrumBlocks

SMALLEST_SIDE = 16
"""Of a tile that enters a product."""


def tile_side(count: int) -> int:
    """The least side of a tile that holds ``count`` rows."""
    return max(SMALLEST_SIDE, 1 << (count - 1).bit_length())


def tile_sides(blocks: SpectrumBlocks) -> tuple[int, ...]:
    """How many values of each digit are computed so that all kept ones are: sides of a tile."""
    return tuple(map(tile_side, blocks.kept))


def roots(blocks: SpectrumBlocks, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """DFT matrices and twiddle of two stages: flat F1 [2, k1, n1] and F2 [2, n2, k2] in ``dtype``, [2, k1, n2] in fp32.

    Of three stages (n0, n1, n2), the first one's F0 [2, k0, n0] and twiddle [2, k0, n1 n2] before those of the others,
    both flat (:func:`steps`). Real parts come before imaginary ones, as everywhere here. Worked out in fp64, and left
    so for ``dtype`` fp64.
    """
    n1, *rest = blocks.factors
    width = math.prod(rest)
    computed = SpectrumBlocks(blocks.factors, tile_sides(blocks))
    j1 = torch.tensor(computed.digits(0))
    matrix = turns(j1[:, None] * torch.arange(n1), n1)
    twiddle = turns(j1[:, None] * torch.arange(width), blocks.size) / math.sqrt(n1)
    wide = torch.promote_types(dtype, torch.float32)
    if len(rest) == 1:
        last = turns(torch.arange(width)[:, None] * torch.tensor(computed.digits(1)), width)
        return torch.cat([matrix.flatten(), last.flatten()]).to(device, dtype), twiddle.to(device, wide)
    flat, inner = roots(inner_blocks(blocks), dtype, device)
    outer = matrix.flatten().to(device, dtype), twiddle.flatten().to(device, wide)
    return torch.cat([outer[0], flat]), torch.cat([outer[1], inner.flatten()])


def inner_blocks(blocks: SpectrumBlocks) -> SpectrumBlocks:
    """What is left within the first stage."""
    return SpectrumBlocks(blocks.factors[1:], blocks.kept[1:])


def steps(blocks: SpectrumBlocks, flat: Tensor, twiddle: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Views of the :func:`roots` of three stages: the first one's, with its twiddle [2, k0, n1 n2], and the others'."""
    (n0, n1, n2), (k0, k1, _) = blocks.factors, tile_sides(blocks)
    matrix, width = 2 * k0 * n0, n1 * n2
    outer = flat[:matrix], twiddle[: 2 * k0 * width].view(2, k0, width)
    return outer, (flat[matrix:], twiddle[2 * k0 * width :].view(2, k1, n2))


def turns(exponents: Tensor, order: int) -> Tensor:
    """exp(-2 pi i e / order) as a pair [2, ...] in fp64."""
    angles = (exponents % order).double() * (2 * math.pi / order)
    return torch.stack([angles.cos(), -angles.sin()])


def spectrum_tiles(k_f: Tensor, blocks: SpectrumBlocks) -> Tensor:
    """The spectrum of real filters, complex ``[..., N // 2 + 1]``, as real tiles ``[..., 2, k1, k2]``, over n2.

    Of three stages (n0, n1, n2) they are ``[..., k0, 2, k1, k2]``, a slice for each digit of the first. Plain ATen,
    through which gradients go back to k_f; imaginary parts at 0 and N / 2 do not count.
    """
    half, stages = blocks.size // 2, len(blocks.factors)
    if blocks != blocks.dense:
        k_f = k_f * blocks.mask(k_f.device)
    re, im = torch.view_as_real(k_f).unbind(-1)
    inner, zero = im[..., 1:half], torch.zeros_like(im[..., :1])
    whole = torch.stack([
        torch.cat([re, re[..., 1:half].flip(-1)], -1),
        torch.cat([zero, inner, zero, -inner.flip(-1)], -1),
    ])  # fmt: skip
    tiles = whole.unflatten(-1, blocks.factors[::-1])
    for level, count in enumerate(tile_sides(blocks)):
        tiles = _window(tiles, -1 - level, count)
    tiles = tiles.movedim(tuple(range(-stages, 0)), tuple(range(-1, -stages - 1, -1)))
    return (tiles / blocks.factors[-1]).movedim(0, -3).contiguous()


def replaced(k_f: Tensor, period: int, size: int, length: int, outputs: int) -> Tensor:
    """The spectrum, of a transform of ``size`` points, that filters as ``k_f`` of ``period`` points does.

    For inputs of ``length`` samples of which the first ``outputs`` are wanted: the lags between them, taken modulo the
    period, are placed where nothing wraps around. Needs size >= length + outputs - 1.
    """
    taps = torch.fft.irfft(k_f, n=period)
    lags = torch.cat([torch.arange(outputs), torch.arange(1 - length, 0)]) % period
    found = taps[..., lags.to(taps.device)]
    middle = taps.new_zeros(*taps.shape[:-1], size - length - outputs + 1)
    return torch.fft.rfft(torch.cat([found[..., :outputs], middle, found[..., outputs:]], -1))


def _window(tiles: Tensor, dim: int, kept: int) -> Tensor:
    """Of a digit the values nearest to 0, modulo its radix, ascending."""
    radix = tiles.shape[dim]
    if kept == radix:
        return tiles
    late = kept // 2
    return torch.cat([tiles.narrow(dim, 0, kept - late), tiles.narrow(dim, radix - late, late)], dim)
