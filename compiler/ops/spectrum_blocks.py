"""Spectra that are zero outside of blocks, and the convolution by matrix products that never computes the rest.

A transform of N = n1 n2 ... points as matrix products has frequencies in mixed radix, the first digit the finest,
k = k1 + n1 (k2 + n2 (k3 + ...)): one stage a digit, and a value of a digit that is not kept is a row or column that its
stage, and all stages inside of it, leave out. Of every digit the values nearest to 0 (modulo its radix) are kept: a
window of the last digit is a low pass, of the first one a comb of the finest frequencies.

The spectrum of a real filter holds k and N - k together, k1 -> -k1 and k2 -> -k2 - (k1 != 0) modulo their radices. What
has its partner outside of the blocks is zero as well; even windows of all digits but the first lose nothing to that
except where the digits before are 0.

Three levels are two levels whose first stage is two stages: a kernel for (n1, n2) reads (n1 n2, n3) as well.
Frequency-sparse convolutions of FlashFFTConv (arXiv 2311.05908), section 3.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SpectrumBlocks:
    """How many values of each digit of the frequency are kept: of ``factors`` (n1, n2, ...) the ``kept`` ones."""

    factors: tuple[int, ...]
    kept: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what is no pattern."""
        if len(self.factors) < 2 or len(self.factors) != len(self.kept) or min(self.factors) < 2:
            raise ValueError(f"factors {self.factors} and kept {self.kept}: two or more radices, each with its count")
        if not all(1 <= count <= radix for count, radix in zip(self.kept, self.factors, strict=True)):
            raise ValueError(f"kept {self.kept} is not between 1 and the factors {self.factors}")

    @property
    def size(self) -> int:
        """Points of the transform."""
        return math.prod(self.factors)

    @property
    def dense(self) -> SpectrumBlocks:
        """The same transform with nothing left out."""
        return SpectrumBlocks(self.factors, self.factors)

    def digits(self, level: int) -> list[int]:
        """The kept values of a digit, ascending: a run from 0 and one that ends at its radix."""
        radix, count = self.factors[level], self.kept[level]
        return sorted(value % radix for value in range(-(count // 2), count - count // 2))

    def frequencies(self) -> Tensor:
        """The frequency at each place of the blocks: integers ``[r1, r2, ...]`` for the kept counts r."""
        found, step = torch.zeros((), dtype=torch.int64), 1
        for level, radix in enumerate(self.factors):
            found = found[..., None] + step * torch.tensor(self.digits(level))
            step *= radix
        return found

    def mask(self, device: torch.device | None = None) -> Tensor:
        """Which bins of a real transform are kept with their partners: booleans ``[size // 2 + 1]``."""
        k = torch.arange(self.size // 2 + 1, device=device)
        return self._holds(k) & self._holds((self.size - k) % self.size)

    @property
    def multiply_adds(self) -> int:
        """Complex multiply-adds of the matrix products, there and back, for one sequence."""
        total, rows, columns = 0, 1, self.size
        for radix, count in zip(self.factors, self.kept, strict=True):
            columns //= radix
            rows *= count
            total += rows * radix * columns
        return 2 * total

    def _holds(self, k: Tensor) -> Tensor:
        inside = torch.ones_like(k, dtype=torch.bool)
        for radix, count in zip(self.factors, self.kept, strict=True):
            inside = inside & ((k % radix + count // 2) % radix < count)
            k = k // radix
        return inside


def gather(k_f: Tensor, blocks: SpectrumBlocks) -> Tensor:
    """The blocks ``[..., r1, r2, ...]`` of the spectrum of a real filter ``[..., size // 2 + 1]``."""
    k = blocks.frequencies().to(k_f.device)
    mirrored = (blocks.size - k) % blocks.size
    bins = torch.minimum(k, mirrored)
    values = torch.where(k <= mirrored, k_f[..., bins], k_f[..., bins].conj())
    return values * blocks.mask(k_f.device)[bins]


def forward(x: Tensor, blocks: SpectrumBlocks) -> Tensor:
    """The kept part ``[..., r1, r2, ...]`` of the transform of ``x [..., size]``, complex."""
    return _forward(x.to(_complex(x)), blocks, 0)


def inverse(x_f: Tensor, blocks: SpectrumBlocks) -> Tensor:
    """The unnormalised inverse transform ``[..., size]`` of a spectrum that is 0 but for ``x_f [..., r1, r2, ...]``."""
    return _inverse(x_f, blocks, 0)


def block_conv(x: Tensor, k_f: Tensor, blocks: SpectrumBlocks) -> Tensor:
    """``irfft(rfft(x, size) * k_f * mask, size)`` by the products that are left, for real ``x [..., L <= size]``."""
    padded = torch.nn.functional.pad(x, (0, blocks.size - x.shape[-1]))
    return inverse(forward(padded, blocks) * gather(k_f, blocks), blocks).real / blocks.size


def _forward(x: Tensor, blocks: SpectrumBlocks, level: int) -> Tensor:
    radix = blocks.factors[level]
    digits = torch.tensor(blocks.digits(level), device=x.device)
    if level == len(blocks.factors) - 1:
        return x @ _roots(torch.arange(radix, device=x.device)[:, None] * digits, radix, x)
    points = x.shape[-1]
    rest = points // radix
    columns = x.reshape(*x.shape[:-1], radix, rest)
    rows = _roots(digits[:, None] * torch.arange(radix, device=x.device), radix, x) @ columns
    return _forward(rows * _roots(digits[:, None] * torch.arange(rest, device=x.device), points, x), blocks, level + 1)


def _inverse(x_f: Tensor, blocks: SpectrumBlocks, level: int) -> Tensor:
    radix = blocks.factors[level]
    digits = torch.tensor(blocks.digits(level), device=x_f.device)
    if level == len(blocks.factors) - 1:
        return x_f @ _roots(digits[:, None] * torch.arange(radix, device=x_f.device), radix, x_f).conj()
    rows = _inverse(x_f, blocks, level + 1)
    rest = rows.shape[-1]
    twiddled = rows * _roots(digits[:, None] * torch.arange(rest, device=x_f.device), radix * rest, x_f).conj()
    columns = _roots(torch.arange(radix, device=x_f.device)[:, None] * digits, radix, x_f).conj() @ twiddled
    return columns.flatten(-2)


def _roots(exponents: Tensor, order: int, like: Tensor) -> Tensor:
    """exp(-2 pi i e / order), worked out in fp64."""
    angles = (exponents % order).double() * (-2 * math.pi / order)
    return torch.polar(torch.ones_like(angles), angles).to(like.dtype)


def _complex(x: Tensor) -> torch.dtype:
    return torch.complex128 if x.dtype in (torch.float64, torch.complex128) else torch.complex64
