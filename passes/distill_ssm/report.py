"""What a fit is, and how good it is: errors of every channel, as a dataclass, numbers of a remark, or a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .modal import filter_taps

_GRID = 4
"""Frequencies looked at for each tap."""


@dataclass(frozen=True)
class Fit:
    """Modal parameters [C, N] as ``ssm_scan`` takes them, and what they are worth per channel [C]; lag 0 is exact."""

    log_radius: Tensor
    angle: Tensor
    residue_re: Tensor
    residue_im: Tensor
    tol: float
    """What every channel was to keep."""
    error: Tensor
    """``rel_l2`` and what rounding of terms that cancel adds to it when the model runs; the worst of shared poles."""
    rel_l2: Tensor
    """|h - fit|_2 / |h|_2 over the taps; 0 for a filter of zeros."""
    gain: Tensor
    """|h - fit|_1: the convolution changes by at most this times the largest input."""
    l_inf: Tensor
    """Largest error of a tap."""
    h_inf: Tensor
    """Largest error of the frequency response over L taps, on a grid of 4 L frequencies: the l2 gain."""
    radius: Tensor
    """Largest |lambda| of a mode."""
    residue: Tensor
    """Largest |R| of a mode."""
    order: Tensor
    """Real states: two for a conjugate pair."""
    sigma: Tensor
    """Hankel singular values [C, K], largest first; NaN where not looked at."""
    bound: Tensor
    """Balanced truncation's bound on the error of the frequency response of all lags to come; else infinite."""

    @classmethod
    def measured(
        cls,
        h: Tensor,
        log_radius: Tensor,
        angle: Tensor,
        residue_re: Tensor,
        residue_im: Tensor,
        *,
        order: Tensor,
        sigma: Tensor,
        bound: Tensor,
        tol: float,
        error: Tensor | None = None,
    ) -> Fit:
        """Measure parameters as they are stored against the filters h [C, L] in fp64; ``error`` defaults to rel_l2."""
        difference = torch.zeros_like(h)
        difference[:, 1:] = h[:, 1:] - filter_taps(log_radius, angle, residue_re, residue_im, h.shape[-1] - 1)
        whole = h.norm(dim=-1)
        rel_l2 = torch.where(whole > 0, difference.norm(dim=-1) / whole, difference.norm(dim=-1))
        size = residue_re.double().hypot(residue_im.double())
        return cls(
            log_radius,
            angle,
            residue_re,
            residue_im,
            tol,
            error=rel_l2 if error is None else error,
            rel_l2=rel_l2,
            gain=difference.abs().sum(-1),
            l_inf=difference.abs().amax(-1),
            h_inf=torch.cat([torch.fft.rfft(x, n=_GRID * h.shape[-1]).abs().amax(-1) for x in difference.split(64)]),
            radius=torch.where(size > 0, log_radius.double().exp(), 0.0).amax(-1),
            residue=size.amax(-1),
            order=order,
            sigma=sigma,
            bound=bound,
        )

    @property
    def ok(self) -> bool:
        """Whether every channel keeps the tolerance."""
        return bool((self.error <= self.tol).all())

    @property
    def modes(self) -> int:
        """Modes of a channel, N."""
        return self.angle.shape[-1]

    @property
    def worst(self) -> int:
        """The channel with the largest error of those that were tried."""
        tried = ~self.sigma[:, 0].isnan()
        error = torch.where(tried, self.error, -1.0) if bool(tried.any()) else self.error
        return int(torch.where(error >= error.amax(), self.rel_l2, -1.0).argmax())

    def ratio(self, order: int) -> float:
        """sigma_(order + 1) / sigma_1 of the worst channel: what ``order`` states leave of the Hankel matrix."""
        sigma = self.sigma[self.worst]
        if order >= sigma.shape[-1] or bool(sigma[0].isnan()):
            return math.nan
        return float(sigma[order] / sigma[0]) if sigma[0] > 0 else 0.0

    def numbers(self) -> dict[str, float]:
        """The worst of every measure, for a remark."""
        bound = float(self.bound.amax())
        return ({"h_inf_bound": bound} if math.isfinite(bound) else {}) | {
            "order": float(self.order.amax()),
            "modes": float(self.modes),
            "rel_l2": float(self.rel_l2.amax()),
            "gain": float(self.gain.amax()),
            "l_inf": float(self.l_inf.amax()),
            "h_inf": float(self.h_inf.amax()),
            "radius": float(self.radius.amax()),
            "residue": float(self.residue.amax()),
        }

    def table(self, most: int = 16) -> Any:
        """A ``rich`` table of the channels, those of the largest error first."""
        from rich.table import Table

        made = Table(title=f"{self.order.numel()} filters, tolerance {self.tol:g}")
        columns = ("order", "rel_l2", "gain", "l_inf", "h_inf", "radius", "residue")
        for name in ("channel", *columns):
            made.add_column(name, justify="right")
        shown = self.rel_l2.argsort(descending=True).tolist()[:most]
        for channel in shown:
            values = [float(getattr(self, name)[channel]) for name in columns]
            made.add_row(
                str(channel), *(f"{value:.6g}" if at in (0, 5) else f"{value:.1e}" for at, value in enumerate(values))
            )
        return made
