"""Poles and residues of many channels, and the linear algebra of sums of exponentials, batched in fp64.

A filter of n taps is g_t = Re(sum_j R_j lambda_j^t), t = 0 .. n - 1. Channels come in G groups of S that share poles
(one each, as a rule): poles are [G, N], residues and taps [G, S, ...]. A basis [G, n, 2 N] has columns Re(lambda^t) and
-Im(lambda^t) of every mode, whose coefficients are Re(R) and Im(R).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

SLOWEST = math.log1p(-1e-7)
"""Largest log|lambda|: slower decay is nothing a filter of finitely many taps can show."""
FASTEST = -40.0
"""Smallest log|lambda|: that of a pole at 0, whose one tap is at lag 1."""
_BLOCK = 64
_SMALL = 1e-3
"""Shorter columns are not brought to unit length: imaginary parts of nearly real poles, and of very fast ones."""


_APART = 0.1
"""Least angle of a pair that is apart, over its decay: it has faded long before it has turned once."""


@dataclass(frozen=True)
class Poles:
    """Modes with logarithms of poles, [G, N] each; ``used`` marks those there are, ``real`` those on the real axis."""

    log_radius: Tensor
    angle: Tensor
    used: Tensor
    real: Tensor

    @classmethod
    def of(cls, values: Tensor, used: Tensor) -> Poles:
        """Eigenvalues [G, d] in conjugate pairs, a pair as one mode; unstable ones are reflected, all are clamped."""
        first, used = upper(values, used)
        values = values.gather(-1, first)
        # 1 / conj(lambda) has the angle of lambda and the opposite logarithm of its radius.
        radius = -values.abs().log().abs()
        log_radius = torch.where(used, radius, -1.0).clamp(FASTEST, SLOWEST)
        angle = torch.where(used, values.angle(), 0.0)
        return cls(log_radius, angle, used, used & (values.imag == 0))

    @classmethod
    def around(cls, taps: int, like: Tensor) -> Poles:
        """As many poles as taps, evenly on a circle: their powers span all filters that long. ``like`` is [G, any]."""
        turn = 2 * math.pi * torch.arange(taps // 2 + 1, device=like.device, dtype=like.dtype) / taps
        real = (torch.arange(taps // 2 + 1, device=like.device) * 2) % taps == 0
        angle, real = (x.expand(like.shape[0], -1) for x in (turn, real))
        return cls(torch.full_like(angle, -1 / taps), angle, torch.ones_like(real), real)

    @property
    def states(self) -> Tensor:
        """Real states [G]: two for a conjugate pair, one for a real pole."""
        return self.states_each.sum(-1)

    @property
    def states_each(self) -> Tensor:
        """Real states of each mode [G, N]."""
        return self.used.long() * (2 - self.real.long())

    def __getitem__(self, index: Tensor) -> Poles:
        """The poles of some groups."""
        return Poles(*(x[index] for x in self._all()))

    def where(self, taken: Tensor, other: Poles) -> Poles:
        """These where ``taken`` [G], else the others, of as many modes."""
        return Poles(*(torch.where(taken.unsqueeze(-1), *pair) for pair in self._pairs(other)))

    def put(self, at: Tensor, new: Poles) -> Poles:
        """These with the poles of some groups exchanged."""
        return Poles(*(old.index_put((at,), value) for old, value in self._pairs(new)))

    def beside(self, other: Poles) -> Poles:
        """These, and others of the same groups."""
        return Poles(*(torch.cat(pair, -1) for pair in self._pairs(other)))

    def widened(self, modes: int) -> Poles:
        """These and unused ones, ``modes`` in all."""
        fills = zip(self._all(), (-1.0, 0.0, 0, 0), strict=True)
        return Poles(*(F.pad(x, (0, modes - x.shape[-1]), value=fill) for x, fill in fills))

    def largest(self, sizes: Tensor, states: int, modes: int) -> Poles:
        """At most so many modes, those of largest ``sizes`` [G, N], that together have at most so many real states."""
        order = sizes.masked_fill(~self.used, -1.0).argsort(dim=-1, descending=True)
        ranked = Poles(*(x.gather(-1, order) for x in self._all()))
        used = ranked.used & (ranked.states_each.cumsum(-1) <= states)
        width = max(min(int(used.sum(-1).max()), modes), 1)
        return Poles(*(x[:, :width] for x in replace(ranked, used=used)._all()))

    def _all(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.log_radius, self.angle, self.used, self.real

    def _pairs(self, other: Poles) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self._all(), other._all(), strict=True))

    def apart(self) -> Poles:
        """With pairs that nearly meet on the real axis a little apart: what meets there has residues without bound."""
        pairs = self.used & ~self.real
        return replace(self, angle=torch.where(pairs, torch.maximum(self.angle, -_APART * self.log_radius), self.angle))

    def rounded(self, dtype: torch.dtype) -> Poles:
        """As they will be stored."""
        return replace(self, log_radius=self.log_radius.to(dtype).double(), angle=self.angle.to(dtype).double())

    def columns(self, taps: int) -> Tensor:
        """The basis, transposed: [G, 2 N, n]."""
        power = powers(self.log_radius, self.angle, taps)
        return torch.cat(
            (power.real * self.used.unsqueeze(-1), -power.imag * (self.used & ~self.real).unsqueeze(-1)), 1
        )


@dataclass(frozen=True)
class Basis:
    """The columns of some poles over n taps, divided by their length ``scale``, and their QR decomposition."""

    columns: Tensor
    scale: Tensor
    q: Tensor
    r: Tensor

    @classmethod
    def of(cls, poles: Poles, taps: int) -> Basis:
        """Decompose the basis."""
        columns = poles.columns(taps)
        scale = columns.norm(dim=-1).clamp(min=_SMALL)
        columns = columns / scale.unsqueeze(-1)
        q, r = torch.linalg.qr(columns.mT)
        return cls(columns, scale, q, r)

    def __getitem__(self, index: Tensor) -> Basis:
        """The bases of some groups."""
        return Basis(self.columns[index], self.scale[index], self.q[index], self.r[index])

    def where(self, taken: Tensor, other: Basis) -> Basis:
        """These where ``taken`` [G], else the others."""
        mask = taken[:, None, None]
        scale = torch.where(mask.squeeze(-1), self.scale, other.scale)
        pairs = (self.columns, other.columns), (self.q, other.q), (self.r, other.r)
        columns, q, r = (torch.where(mask, *pair) for pair in pairs)
        return Basis(columns, scale, q, r)

    @cached_property
    def svd(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of the triangular factor: it says which combinations of modes the taps can tell apart."""
        return torch.linalg.svd(self.r, full_matrices=False)

    def solve(self, g: Tensor, rcond: float) -> Tensor:
        """Least-squares coefficients [G, S, 2 N] of the unit columns, least in norm over what ``rcond`` leaves open."""
        u, s, vh = self.svd
        kept = s > rcond * s[..., :1]
        inverse = torch.where(kept, 1 / torch.where(kept, s, 1.0), 0.0)
        return ((g @ self.q @ u) * inverse.unsqueeze(-2)) @ vh

    def unscaled(self, coefficients: Tensor) -> Tensor:
        """Coefficients of the basis itself: real parts of the residues, then imaginary parts."""
        return coefficients / self.scale.unsqueeze(-2)

    def outside(self, x: Tensor) -> Tensor:
        """What of rows [G, S, n] no combination of the columns gives."""
        return x - (x @ self.q) @ self.q.mT


def upper(values: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
    """Where among eigenvalues [G, d] those used with no negative imaginary part are: indices [G, N] and a mask."""
    used = used & values.isfinite() & (values.imag >= 0)
    first = used.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)[:, : max(int(used.sum(-1).max()), 1)]
    return first, used.gather(-1, first)


def powers(log_radius: Tensor, angle: Tensor, taps: int) -> Tensor:
    """lambda^t for t from 0 to ``taps`` - 1, [..., taps], as products of near and far powers."""
    pole = torch.complex(log_radius, angle).unsqueeze(-1)
    near = torch.arange(min(_BLOCK, taps), device=pole.device)
    far = torch.arange(0, taps, _BLOCK, device=pole.device)
    return ((pole * far).exp().unsqueeze(-1) * (pole * near).exp().unsqueeze(-2)).flatten(-2)[..., :taps]


def filter_taps(log_radius: Tensor, angle: Tensor, residue_re: Tensor, residue_im: Tensor, taps: int) -> Tensor:
    """The taps of lags 1 to ``taps``, [C, taps] in fp64, of parameters [C, N] as ``ssm_scan`` takes them."""
    power = powers(log_radius.double(), angle.double(), taps)
    residue = torch.complex(residue_re.double(), residue_im.double())
    return (residue.unsqueeze(-2) @ power).squeeze(-2).real
