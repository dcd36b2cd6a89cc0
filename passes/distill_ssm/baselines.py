"""Other ways to fit sums of exponentials to filters, to compare :func:`~.fitting.fit` with.

=========================  =========================================================================================
:func:`modal_gradient`     Adam on radii, angles and residues from log-spaced decays, the l2 loss of Laughing Hyena
                           (arXiv 2310.18780, section 3.2)
:func:`prony`              linear prediction by least squares, its roots, residues by least squares
:func:`vector_fitting`     rational approximation of the frequency response with poles relocated by iterated linear
                           least squares (Gustavsen and Semlyen 1999), residues by least squares
=========================  =========================================================================================

All take filters h [C, L] and a number of real states, keep lag 0, and give a :class:`~.report.Fit` in fp64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .fitting import residues_of
from .modal import Poles, powers
from .report import Fit

_POINTS = 600
"""Frequencies of a vector fit on half of the unit circle."""


def modal_gradient(h: Tensor, order: int, *, steps: int = 800, rate: float = 1e-2, seed: int = 0) -> Fit:
    """Adam with a cosine schedule on log(-log|lambda|), angles and residues of ``order // 2`` pairs, batched."""
    g, modes = h[:, 1:].double(), max(order // 2, 1)
    channels, taps = g.shape
    generator = torch.Generator().manual_seed(seed)
    decay = torch.logspace(math.log10(2), math.log10(taps), modes, dtype=torch.float64, device=h.device)
    size = g.square().mean(-1, keepdim=True).sqrt()
    angle = math.pi * torch.rand(channels, modes, dtype=torch.float64, generator=generator) ** 3
    residue = torch.randn(channels, modes, dtype=torch.float64, generator=generator)
    slowness = -decay.log().repeat(channels, 1)
    start = (slowness, angle.to(h.device), 0.1 * size * residue.to(h.device), torch.zeros_like(slowness))
    parameters = [x.clone().requires_grad_() for x in start]
    optimiser = torch.optim.Adam(parameters, lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    whole = g.square().sum(-1).clamp(min=1e-300)
    with torch.enable_grad():
        for _ in range(steps):
            slowness, angle, re, im = parameters
            made = (torch.complex(re, im).unsqueeze(-2) @ powers(-slowness.exp(), angle, taps)).squeeze(-2).real
            loss = ((made - g).square().sum(-1) / whole).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    slowness, angle, re, im = (x.detach() for x in parameters)
    return _measured(h, -slowness.exp(), angle, re, im, torch.full((channels,), 2 * modes))


def prony(h: Tensor, order: int) -> Fit:
    """The poles that predict each tap from the ``order`` taps before it best."""
    g = h[:, 1:].double()
    before = g.unfold(-1, order, 1)[:, :-1].flip(-1)
    weights = torch.linalg.lstsq(before, g[:, order:].unsqueeze(-1), driver="gelsd").solution.squeeze(-1)
    companion = torch.diag_embed(g.new_ones(g.shape[0], order - 1), offset=-1)
    companion[:, 0] = weights
    return _with_residues(h, torch.linalg.eigvals(companion))


def vector_fitting(h: Tensor, order: int, *, iterations: int = 10) -> Fit:
    """Poles relocated to the zeros of sigma, where sigma(z) H(z) is a rational function with the poles so far.

    Frequencies are half linearly, half logarithmically spaced, so that slow modes are seen too.
    """
    g, device = h[:, 1:].double(), h.device
    linear = torch.linspace(0, 1, _POINTS // 2, dtype=torch.float64, device=device)
    logarithmic = torch.logspace(-5, 0, _POINTS // 2, dtype=torch.float64, device=device)
    upper = math.pi * torch.cat((linear, logarithmic))
    frequency = torch.cat((upper, -upper))
    response = g.to(torch.complex128) @ powers(torch.zeros_like(frequency), -frequency, g.shape[-1]).mT
    back = torch.polar(torch.ones_like(frequency), -frequency).unsqueeze(-1)
    turn = math.pi * torch.logspace(-3.5, -0.02, max(order // 2, 1), dtype=torch.float64, device=device)
    start = torch.polar((-0.3 * turn - 1e-3).exp(), turn)
    poles = torch.cat((start, start.conj())).expand(g.shape[0], -1)
    for _ in range(iterations):
        terms = 1 / (1 - poles.unsqueeze(-2) * back)
        columns = torch.cat((terms, -terms * response.unsqueeze(-1)), -1)
        scale = columns.norm(dim=-2, keepdim=True)
        solved = torch.linalg.lstsq(columns / scale, response.unsqueeze(-1), driver="gelsd").solution / scale.mT
        weights = solved.squeeze(-1)[:, poles.shape[-1] :]
        moved = weights * poles / (1 + weights.sum(-1, keepdim=True))
        poles = torch.linalg.eigvals(poles.diag_embed() - moved.unsqueeze(-2))
        poles = torch.where(poles.abs() > 1, 1 / poles.conj(), poles)
    imaginary = torch.where(poles.imag.abs() < 1e-9, 0.0, poles.imag)
    return _with_residues(h, torch.complex(poles.real, imaginary))


def _with_residues(h: Tensor, values: Tensor) -> Fit:
    """The fit with these poles [C, d] and the residues that are best with them."""
    g = h[:, 1:].double().unsqueeze(1)
    poles = Poles.of(values, torch.ones_like(values, dtype=torch.bool))
    poles, residues, _ = residues_of(poles, g, h.double().norm(dim=-1, keepdim=True), torch.float64)
    re, im = residues.squeeze(1).chunk(2, -1)
    return _measured(h, poles.log_radius, poles.angle, re, im, poles.states)


def _measured(h: Tensor, log_radius: Tensor, angle: Tensor, re: Tensor, im: Tensor, order: Tensor) -> Fit:
    unknown = torch.full((h.shape[0], 1), math.nan, dtype=torch.float64, device=h.device)
    held = {"order": order, "sigma": unknown, "bound": torch.full_like(unknown[:, 0], math.inf), "tol": math.inf}
    return Fit.measured(h.double(), log_radius, angle, re, im, **held)
