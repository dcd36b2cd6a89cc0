"""Balanced truncation of filters as FIR systems, with the error bound it has beforehand (Glover 1984; Kung 1978).

The Hankel operator of a filter g of n taps, zero after its end, is the n x n matrix H[i, j] = g[i + j]. Its model of
order d, balanced and truncated, is stable, and the frequency responses differ nowhere by more than twice the sum of the
singular values left out, nor can any model of that order come closer than the first of them. The model answers for what
comes after the last tap too, zeros: filters that are cut off need many more states than the fit to the taps alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .hankel import Spectrum, product, spectrum
from .modal import Poles, upper

_ROUNDS = 4
"""The bound is that of exact singular vectors: more iterations than a fit takes."""
_ROUNDING = 1e-14
"""Of sums of squares, as a part of them."""


def leading(g: Tensor, order: int) -> Spectrum:
    """Singular values and vectors of the Hankel operators of taps [G, 1, n], beyond ``order``."""
    return spectrum(g, order + 1, rounds=_ROUNDS, extended=True)


def truncated(g: Tensor, found: Spectrum, order: int) -> tuple[Poles, Tensor]:
    """The balanced models of order ``order`` of taps [G, 1, n] in modal form: poles and residues [G, 1, 2 N].

    With H = U S V^T, A = S^-1/2 U^T (H moved up by a row) V S^-1/2, b = S^1/2 V^T e_0, c = e_0^T U S^1/2. H is
    symmetric, so U is V but for signs.
    """
    values, v = found.values[:, :order], found.vectors[..., :order]
    within = torch.arange(values.shape[-1], device=g.device) < found.rank.unsqueeze(-1)
    image = product(g, g.shape[-1])(v.mT.unsqueeze(1)).squeeze(1).mT
    sign = torch.where((image * v).sum(-2) < 0, -1.0, 1.0)
    root = values.sqrt() * within
    inverse = torch.where(within, 1 / torch.where(within, root, 1.0), 0.0)
    moved = (v[:, :-1] * sign.unsqueeze(-2)).mT @ (v[:, 1:] * sign.unsqueeze(-2))
    eigenvalues, vectors = torch.linalg.eig(inverse.unsqueeze(-1) * moved * root.unsqueeze(-2))
    out = ((v[:, 0] * sign * root).unsqueeze(-2).to(vectors.dtype) @ vectors).squeeze(-2)
    into = torch.linalg.solve(vectors, (root * v[:, 0]).to(vectors.dtype))
    # A pair is one mode, with twice the residue of either.
    residue = out * into * torch.where(eigenvalues.imag == 0, 1.0, 2.0)
    meant = eigenvalues.abs() > 0
    at, used = upper(eigenvalues, meant)
    residue = residue.gather(-1, at) * used
    return Poles.of(eigenvalues, meant), torch.cat((residue.real, residue.imag), -1).unsqueeze(1)


def bound(g: Tensor, found: Spectrum, order: int) -> Tensor:
    """Upper bounds [G] on the error of the frequency response at ``order``: twice the sum of what is left out.

    Of the singular values that were not computed only the sum of squares is known, from the taps: n - r of them sum to
    at most sqrt(n - r) times its root.
    """
    taps = g.shape[-1]
    total = (g.squeeze(1).square() * torch.arange(1, taps + 1, device=g.device)).sum(-1)
    squares = (total - found.values.square().sum(-1)).clamp(min=0) + _ROUNDING * total
    rest = (squares * (taps - found.values.shape[-1])).sqrt()
    return 2 * (found.values[:, order:].sum(-1) + rest)
