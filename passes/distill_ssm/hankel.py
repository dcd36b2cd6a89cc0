"""The Hankel matrix of a filter: its leading singular vectors by products alone, and what its spectrum rules out.

H[i, j] = g[i + j], m x m with m = ceil(n / 2), of the taps as they are: extended by zeros it would describe the jump at
the end of the filter rather than the filter. A model with d real states has a Hankel matrix of rank d, so the singular
values beyond the d-th bound its error from below.

Channels that share poles make one block matrix [S m, m], whose right singular vectors are common to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...compiler.ops.long_conv import fast_size

OVERSAMPLING = 10
"""Vectors iterated beyond those wanted."""
RANK = 1e-13
"""Singular values below this part of the largest are rounding."""


@dataclass(frozen=True)
class Spectrum:
    """Leading singular values [G, r] (from below, by interlacing) and right singular vectors [G, m, r]."""

    values: Tensor
    vectors: Tensor

    @property
    def rank(self) -> Tensor:
        """Numerical rank [G], as far as was looked."""
        return (self.values > RANK * self.values[:, :1]).sum(-1)

    def __getitem__(self, index: Tensor) -> Spectrum:
        """The spectra of some groups."""
        return Spectrum(self.values[index], self.vectors[index])

    def least_error(self, order: int) -> Tensor:
        """A lower bound [G] on the l2 error over all S channels of any model with ``order`` real states.

        A tap is in at most m entries of H, so an error e has a Hankel matrix of Frobenius norm at most sqrt(m) |e|, and
        no matrix of rank ``order`` is nearer to H than the singular values that are left.
        """
        return (self.values[:, order:].square().sum(-1) / self.vectors.shape[1]).sqrt()

    def poles(self, order: int) -> tuple[Tensor, Tensor]:
        """Eigenvalues [G, order] of the shift of the leading vectors (Kung's method), and which of them mean something.

        A = U[:-1]^+ U[1:]: as U has orthonormal columns and u is its last row, U[:-1]^+ is
        (1 + u u^T / (1 - |u|^2)) U[:-1]^T. Beyond the numerical rank there is nothing to shift.
        """
        order = min(order, self.values.shape[-1])
        within = torch.arange(order, device=self.values.device) < self.rank.unsqueeze(-1)
        u = self.vectors[..., :order] * within.unsqueeze(-2)
        shift = u[:, :-1].mT @ u[:, 1:]
        last = u[:, -1]
        gap = (1 - last.square().sum(-1)).clamp(min=1e-12)
        shift = shift + (last / gap.unsqueeze(-1)).unsqueeze(-1) * (last.unsqueeze(-2) @ shift)
        values = torch.linalg.eigvals(shift)
        # Rows and columns of zeros give zeros, which are not poles.
        largest = values.abs().argsort(dim=-1, descending=True)
        return values.gather(-1, largest), within


def spectrum(g: Tensor, count: int, *, rounds: int = 1, extended: bool = False) -> Spectrum:
    """The ``count`` leading singular values and vectors, and some more, of the Hankel matrices of taps [G, S, n].

    Randomised subspace iteration with products by FFT; nothing larger than [m, count] is ever decomposed. With
    ``extended`` the filter goes on as zeros and m = n: the Hankel operator of a filter that ends.
    """
    groups, _, taps = g.shape
    side = taps if extended else (taps + 1) // 2
    width = min(count + OVERSAMPLING, side)
    times = product(g, side)

    def orthonormal(x: Tensor) -> Tensor:
        """Rows [G, K, width, m] as orthonormal ones over K and m."""
        stacked = x.transpose(1, 2).flatten(2)
        return torch.linalg.qr(stacked.mT).Q.mT.unflatten(-1, (x.shape[1], side)).transpose(1, 2)

    # Drawn on the CPU, so that every device begins with the same vectors.
    start = torch.randn(width, side, dtype=g.dtype, generator=torch.Generator().manual_seed(0)).to(g.device)
    right = orthonormal(start.expand(groups, 1, -1, -1))
    for _ in range(rounds):
        left = orthonormal(times(right))
        right = orthonormal(times(left).sum(1, keepdim=True))
    image = times(right).transpose(1, 2).flatten(2)
    _, values, rotation = torch.linalg.svd(torch.linalg.qr(image.mT).R)
    return Spectrum(values, (rotation @ right.squeeze(1)).mT)


def product(g: Tensor, side: int) -> Callable[[Tensor], Tensor]:
    """Multiplication of rows [G, S or 1, width, side] by H [side, side]: correlations of the taps with them."""
    size = fast_size(2 * side)
    transformed = torch.fft.rfft(g[..., : 2 * side - 1], n=size).unsqueeze(-2)
    return lambda x: torch.fft.irfft(transformed * torch.fft.rfft(x, n=size).conj(), n=size)[..., :side]
