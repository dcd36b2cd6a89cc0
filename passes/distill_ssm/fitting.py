"""Fit sums of decaying exponentials to filters: Laughing Hyena's distillation (arXiv 2310.18780), without gradients.

:func:`fit` takes filters h [C, L] and keeps h_0 exact; of the rest, g_t = h_{t+1}, it makes, in fp64 and batched:

1. the leading vectors of the Hankel matrix, and from their shift invariance the poles (Kung's method);
2. stable poles: those outside of the unit circle are reflected into it;
3. residues by least squares over the whole horizon, with the poles rounded to what will be stored;
4. where the tolerance is missed, a few Levenberg-Marquardt steps on the poles with the residues eliminated (variable
   projection, Golub and Pereyra 1973, in Kaufman's form); then poles that fit nothing but noise start again from what
   the others leave;
5. where it is missed still, twice the order, up to ``max_order``.

An order counts real states: a conjugate pair of poles is two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from . import balanced
from .hankel import OVERSAMPLING, Spectrum, spectrum
from .modal import Basis, Poles
from .report import Fit

_WORK_BYTES = 192 * 2**20
"""Memory for the channels fitted at a time."""
_CUTOFFS = (1e-13, 1e-10, 1e-7, 1e-5)
"""Cut-offs of the least squares to choose from: small ones fit closer, large ones keep residues small."""
_SEEDINGS = 2
"""How often poles that came to nothing are given another start."""
_PATIENCE = 8
"""Steps after which a refinement that brought little is given up."""
_SLOW, _FAST = 0.02, 4.0
"""Refinement moves no decay below this over the whole horizon, nor above this in one step."""


Method = Literal["hankel", "balanced"]


@dataclass(frozen=True)
class Settings:
    """What is asked of a fit."""

    order: int = 16
    """Real states of a channel to begin with."""
    tol: float = 1e-2
    """Largest relative l2 error of any channel, over its taps at all lags."""
    max_order: int = 64
    """Real states of a channel at most."""
    shared_poles: bool = False
    """One set of poles for all channels, residues for each."""
    refine: int = 64
    """Levenberg-Marquardt steps at most for channels that miss the tolerance; 0 for none."""
    method: Method = "hankel"
    """``balanced`` for balanced truncation of the filter as one that ends, instead of steps 1 to 4."""
    modes: int | None = None
    """Modes of a channel at most, where fewer than the order allows."""

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        if not 1 <= self.order <= self.max_order:
            raise ValueError(f"order must be from 1 to max-order, got {self.order} with max-order {self.max_order}")
        if not self.tol > 0:
            raise ValueError(f"tol must be above 0, got {self.tol}")
        if self.refine < 0:
            raise ValueError(f"refine must be at least 0, got {self.refine}")
        if self.method not in ("hankel", "balanced"):
            raise ValueError(f"method must be hankel or balanced, got {self.method}")
        if self.method == "balanced" and self.shared_poles:
            raise ValueError("shared-poles is for method hankel")


def fit(h: Tensor, settings: Settings, *, dtype: torch.dtype | None = None, progress: str = "") -> Fit:
    """Fit every channel of h [C, L], with parameters of ``dtype``: by default fp64 for filters in fp64, else fp32.

    Stops as soon as one channel cannot be fitted; :attr:`Fit.ok` says so, and the error of what was not tried is that
    of having no modes at all. ``progress`` labels a progress bar over the channels.

    Raises ``ValueError`` for a filter that is not finite.
    """
    if h.dim() != 2 or not h.numel():
        raise ValueError(f"filters must be [channels, taps], got {list(h.shape)}")
    if not bool(h.isfinite().all()):
        raise ValueError("a filter holds NaN or infinity")
    dtype = dtype or (torch.float64 if h.dtype == torch.float64 else torch.float32)
    taps = h.double()
    whole = taps.norm(dim=-1)
    shape = (1, -1) if settings.shared_poles else (-1, 1)
    g = taps[:, 1:].unflatten(0, shape)
    scale = whole.unflatten(0, shape)
    found = _Found(g, scale, settings, dtype)
    if g.shape[-1]:
        _escalate(g, scale, settings, found, progress)
    return found.fit(taps, settings.tol)


def _escalate(g: Tensor, scale: Tensor, settings: Settings, found: _Found, progress: str) -> None:
    """Fit some groups at a time, those that miss the tolerance at higher orders, until one cannot be fitted."""
    from tqdm.auto import tqdm

    orders = [settings.order]
    while orders[-1] < settings.max_order:
        orders.append(min(2 * orders[-1], settings.max_order))
    groups = torch.arange(g.shape[0], device=g.device)
    bar = tqdm(total=g.shape[0], desc=progress, unit="filter", disable=None if progress else True, leave=False)
    with bar:
        for part in groups.split(_at_a_time(g, orders[-1])):
            left = _fit_groups(part, g, scale, orders[:1], settings, found)
            if left.numel() and len(orders) > 1:
                left = _fit_groups(left, g, scale, orders[1:], settings, found)
            if left.numel():
                return
            bar.update(part.shape[0])


def _fit_groups(
    groups: Tensor, g: Tensor, scale: Tensor, orders: list[int], settings: Settings, found: _Found
) -> Tensor:
    """Fit some groups at orders that go up, with one look at their Hankel matrices; those left miss the tolerance."""
    leading = _leading(g[groups], orders[-1], settings)
    found.look(groups, leading)
    # Higher orders that the singular values rule out are not tried. A balanced model also answers for later zeros.
    ruled_out = leading.least_error(orders[-1]) > settings.tol * scale[groups].norm(dim=-1)
    if orders[0] > settings.order and settings.method == "hankel" and bool(ruled_out.any()):
        return groups
    left = torch.arange(groups.shape[0], device=g.device)
    for order in orders:
        at = groups[left]
        found.take(at, *_fit_at(g[at], scale[at], leading[left], order, settings, found.dtype))
        left = torch.nonzero(found.error[groups] > settings.tol).squeeze(-1)
        if not left.numel():
            break
    return groups[left]


def _at_a_time(g: Tensor, order: int) -> int:
    """As many groups as the memory is for: a few times the vectors of the subspace iteration."""
    return max(_WORK_BYTES // (g.shape[1] * g.shape[2] * (order + OVERSAMPLING) * 8 * 4), 1)


def _leading(g: Tensor, order: int, settings: Settings) -> Spectrum:
    """What is needed of the Hankel matrices for fits of up to ``order`` states."""
    return balanced.leading(g, order) if settings.method == "balanced" else spectrum(g, order + 1)


def _fit_at(
    g: Tensor, scale: Tensor, leading: Spectrum, order: int, settings: Settings, dtype: torch.dtype
) -> tuple[Poles, Tensor, Tensor, Tensor]:
    """The best fit of one order: ``(poles, residues [G, S, 2 N], error [G], bound [G])``."""
    if settings.method == "balanced":
        poles, residues = balanced.truncated(g, leading, order)
        poles, residues = poles.rounded(dtype), residues.to(dtype).double()
        error = _relative((g - residues @ poles.columns(g.shape[-1])).norm(dim=-1), scale)
        return poles, residues, error, balanced.bound(g, leading, order)
    modes = settings.modes or order
    start = _fewer(Poles.of(*leading.poles(order)), g, order, modes)
    poles, residues, error = residues_of(start, g, scale, dtype)
    missed = torch.nonzero(error > settings.tol).squeeze(-1)
    start = start[missed]
    if g.shape[-1] <= order and missed.numel():
        start = _fewer(Poles.around(g.shape[-1], g[missed, 0]), g[missed], order, modes)
    for seeding in range(_SEEDINGS + 1 if settings.refine else 0):
        if not missed.numel():
            break
        some, sizes, before = g[missed], scale[missed], error[missed]
        if seeding:
            start = reseeded(start, some, order, modes)
        start = refined(start, some, sizes, settings.refine, 0.8 * settings.tol)
        new = residues_of(start, some, sizes, dtype)
        better = new[2] < before
        at, taken = missed[better], (new[0][better], new[1][better], new[2][better])
        poles, residues, error = _put(poles, residues, error, at, *taken)
        left = (error[missed] > settings.tol) & (error[missed] < 0.9 * before)
        missed, start = missed[left], start[left]
    return poles, residues, error, torch.full_like(error, math.inf)


def residues_of(poles: Poles, g: Tensor, scale: Tensor, dtype: torch.dtype) -> tuple[Poles, Tensor, Tensor]:
    """Poles as stored, residues [G, S, 2 N] as stored that fit g [G, S, n] best, and the error [G] of the worst of S.

    What rounding will add when the model runs, which grows with the size of the terms that cancel, counts as error.
    """
    poles = poles.rounded(dtype)
    basis = Basis.of(poles, g.shape[-1])
    best = error = None
    for cutoff in _CUTOFFS:
        unit = basis.solve(g, cutoff)
        residues = basis.unscaled(unit).to(dtype).double()
        missed = (g - (residues * basis.scale.unsqueeze(-2)) @ basis.columns).norm(dim=-1)
        rounding = torch.finfo(dtype).eps * unit.norm(dim=-1)
        this = _relative(missed.hypot(rounding), scale)
        if best is None or error is None:
            best, error = residues, this
            continue
        best = torch.where((this < error)[:, None, None], residues, best)
        error = torch.minimum(this, error)
    assert best is not None
    assert error is not None
    return poles, best, error


def refined(poles: Poles, g: Tensor, scale: Tensor, steps: int, target: float) -> Poles:
    """Poles after at most ``steps`` damped Gauss-Newton steps on log(-log|lambda|) and the angles.

    The residues follow by projection. A group is left alone once the error of every channel is below ``target``, and
    where the last :data:`_PATIENCE` steps together brought less than a tenth.
    """
    poles = poles.apart()
    damping = g.new_full(g.shape[:1], 1e-4)
    active = torch.arange(g.shape[0], device=g.device)
    basis = Basis.of(poles, g.shape[-1])
    rest = basis.outside(g)
    mark = rest.norm(dim=(-2, -1))
    for step in range(1, steps + 1):
        now, taps, sizes = poles[active], g[active], scale[active]
        trial = _step(now, basis, taps, rest, damping)
        trial_basis = Basis.of(trial, g.shape[-1])
        trial_rest = trial_basis.outside(taps)
        accepted = trial_rest.norm(dim=(-2, -1)) < rest.norm(dim=(-2, -1))
        poles = poles.put(active, trial.where(accepted, now))
        basis = trial_basis.where(accepted, basis)
        rest = torch.where(accepted[:, None, None], trial_rest, rest)
        damping = (damping * torch.where(accepted, 0.1, 10.0)).clamp(1e-12, 1e6)
        done = _relative(rest.norm(dim=-1), sizes) < target
        if step % _PATIENCE == 0:
            reached = rest.norm(dim=(-2, -1))
            done, mark = done | (reached > 0.9 * mark), reached
        left = torch.nonzero(~done).squeeze(-1)
        if not left.numel():
            break
        basis = basis[left]
        active, rest, damping, mark = (x[left] for x in (active, rest, damping, mark))
    return poles


def _step(poles: Poles, basis: Basis, g: Tensor, rest: Tensor, damping: Tensor) -> Poles:
    """One Levenberg-Marquardt step, with the derivative of the projection as Kaufman takes it.

    The taps change by t lambda^t times (-e^a) R for a = log(-log|lambda|), and times i R for the angle: combinations of
    one set of columns, whose Gram matrix outside of the basis is all that is needed of them.
    """
    groups, modes = poles.angle.shape
    time = torch.arange(g.shape[-1], device=g.device, dtype=g.dtype)
    turned = poles.columns(g.shape[-1]) * time
    outside = basis.outside(turned)
    gram = (outside @ turned.mT).reshape(groups, 2, modes, 2, modes)
    slope = (rest @ outside.mT).unflatten(-1, (2, modes))
    re, im = basis.unscaled(basis.solve(g, 1e-12)).unflatten(-1, (2, modes)).unbind(-2)
    speed = -poles.log_radius.unsqueeze(-2)
    # [G, S, radius or angle, real or imaginary column, N]
    mixed = torch.stack((torch.stack((-speed * re, -speed * im), -2), torch.stack((-im, re), -2)), -3)
    mixed = mixed * torch.stack((poles.used, poles.used & ~poles.real), 1)[:, None, :, None]
    normal = torch.einsum("gsapi,gpiqj,gsbqj->gaibj", mixed, gram, mixed).flatten(3).flatten(1, 2)
    downhill = torch.einsum("gsapi,gspi->gai", mixed, slope).flatten(1)
    diagonal = normal.diagonal(dim1=-2, dim2=-1)
    weight = torch.where(diagonal > 0, diagonal * damping.unsqueeze(-1), 1.0)
    step = torch.linalg.solve_ex(normal + weight.diag_embed(), downhill.unsqueeze(-1)).result.squeeze(-1)
    step = step.nan_to_num().clamp(-1, 1).unflatten(-1, (2, modes))
    # At the ends of its range a decay has no slope to come back by.
    decay = -poles.log_radius
    least, most = decay.clamp(max=_SLOW / g.shape[-1]), decay.clamp(min=_FAST)
    log_radius = -torch.minimum(torch.maximum(decay * step[:, 0].exp(), least), most)
    return replace(poles, log_radius=log_radius, angle=poles.angle + step[:, 1])


def reseeded(poles: Poles, g: Tensor, order: int, modes: int) -> Poles:
    """Poles of which those with the smallest terms, that fit noise, are given to what the others leave of g."""
    spare = max(min(order, modes) // 4, 1)
    poles = _fewer(poles, g, order - spare, modes - spare)
    rest = Basis.of(poles, g.shape[-1]).outside(g)
    return poles.beside(Poles.of(*spectrum(rest, spare).poles(spare)))


def _fewer(poles: Poles, g: Tensor, states: int, modes: int) -> Poles:
    """The poles with the largest terms, within so many real states and modes."""
    if poles.angle.shape[-1] <= modes and bool((poles.states <= states).all()):
        return poles
    terms = Basis.of(poles, g.shape[-1]).solve(g, _CUTOFFS[0]).unflatten(-1, (2, -1)).square().sum((1, 2))
    return poles.largest(terms, states, modes)


def _relative(missed: Tensor, scale: Tensor) -> Tensor:
    """Errors [G, S] over the sizes of the filters, the worst of each group; 0 for filters of zeros."""
    return torch.where(scale > 0, missed / scale, 0.0).amax(-1)


def _put(
    poles: Poles, residues: Tensor, error: Tensor, at: Tensor, new: Poles, new_residues: Tensor, new_error: Tensor
) -> tuple[Poles, Tensor, Tensor]:
    """A fit with that of some groups exchanged."""
    modes = max(poles.angle.shape[-1], new.angle.shape[-1])
    poles, new = poles.widened(modes), new.widened(modes)
    old_parts, new_parts = (
        F.pad(x.unflatten(-1, (2, -1)), (0, modes - x.shape[-1] // 2)).flatten(-2) for x in (residues, new_residues)
    )
    return poles.put(at, new), old_parts.index_put((at,), new_parts), error.index_put((at,), new_error)


class _Found:
    """The best fit of every group so far, with modes of no residue where there are fewer."""

    def __init__(self, g: Tensor, scale: Tensor, settings: Settings, dtype: torch.dtype) -> None:
        groups, channels = scale.shape
        modes = max(settings.order, settings.max_order)
        self.dtype = dtype
        self.error = _relative(g.norm(dim=-1), scale)
        self.bound = torch.full_like(self.error, math.inf)
        self.poles = g.new_tensor([-1.0, 0.0]).expand(groups, modes, 2).clone()
        self.residues = g.new_zeros(groups, channels, 2, modes)
        self.order = torch.zeros(groups, dtype=torch.long, device=g.device)
        self.sigma = g.new_full((groups, modes + 1), math.nan)

    def look(self, at: Tensor, leading: Spectrum) -> None:
        """Keep the Hankel singular values of some groups."""
        count = min(leading.values.shape[-1], self.sigma.shape[-1])
        self.sigma[at] = 0.0
        self.sigma[at, :count] = leading.values[:, :count]

    def take(self, at: Tensor, poles: Poles, residues: Tensor, error: Tensor, bound: Tensor) -> None:
        """Keep what is better than before."""
        better = error < self.error[at]
        at, modes = at[better], poles.angle.shape[-1]
        self.error[at], self.bound[at] = error[better], bound[better]
        self.poles[at, :modes] = torch.stack((poles.log_radius, poles.angle), -1)[better]
        self.residues[at] = 0.0
        self.residues[at, ..., :modes] = residues[better].unflatten(-1, (2, modes))
        self.order[at] = poles.states[better]

    def fit(self, h: Tensor, tol: float) -> Fit:
        """All channels side by side, with as many modes as the one with most."""
        channels = self.residues.shape[1]
        used = (self.residues != 0).any(2).flatten(0, 1).any(0)
        modes = max(int(used.nonzero().amax()) + 1 if bool(used.any()) else 1, 1)
        residues = self.residues[..., :modes].flatten(0, 1)
        log_radius, angle = self.poles[:, :modes].repeat_interleave(channels, 0).unbind(-1)
        parameters = (x.to(self.dtype).contiguous() for x in (log_radius, angle, residues[:, 0], residues[:, 1]))
        held = {"order": self.order, "sigma": self.sigma, "bound": self.bound, "error": self.error}
        each = {name: x.repeat_interleave(channels, 0) for name, x in held.items()}
        return Fit.measured(h, *parameters, tol=tol, **each)
