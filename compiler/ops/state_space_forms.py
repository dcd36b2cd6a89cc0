"""From the modal form of a state-space model to the companion form and back, with the error of the result measured.

``ssm_scan`` takes poles and residues, ``ssm_scan_companion`` the coefficients of a rational function. A mode of pole
lambda and residue R is a section of second order,

    sum_m Re(R lambda^(m - 1)) z^-m = (Re(R) z^-1 - Re(R conj(lambda)) z^-2) / (1 - 2 Re(lambda) z^-1 + |lambda|^2 z^-2)

(of first order where the pole is real), and the sections of a channel are put over one denominator. Back, the poles are
the eigenvalues of the companion matrix, and the residues the numerator over the derivative of the denominator there.

Neither is always possible: see the table in :mod:`.ssm_scan_companion`, and of a pole that occurs twice there are no
residues. So both run the result, step by step in the dtype it is given in, and refuse one that is off.
"""

# torch.linalg comes without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import NumericsError
from .ssm_scan_companion import MAX_ORDER, companion_matrix, companion_step

_REAL = 1e-6
"""Poles nearer to the real axis than this count as real."""
_FASTEST = -40.0
"""The logarithm that stands for a pole at 0."""


def modal_to_companion(
    log_radius: Tensor,
    angle: Tensor,
    residue_re: Tensor,
    residue_im: Tensor,
    *,
    dtype: torch.dtype = torch.float64,
    taps: int = 1024,
    tol: float = 1e-4,
) -> tuple[Tensor, Tensor]:
    """``(denominator, numerator)`` [H, d] in ``dtype`` of modal parameters [H, N] as ``ssm_scan`` takes them.

    d is the most real states of a channel: two for a pair of poles, one for a real pole, none for a mode without
    residue; channels of fewer end with zeros.

    Raises :class:`NumericsError` when d is above ``MAX_ORDER[dtype]``, and when the first ``taps`` taps of a channel,
    run step by step in ``dtype``, are off by more than ``tol`` in relative l2.
    """
    modal = tuple(x.detach().double() for x in (log_radius, angle, residue_re, residue_im))
    pole, residue = torch.complex(modal[0], modal[1]).exp(), torch.complex(modal[2], modal[3])
    real, used = modal[1].sin().abs() < _REAL, residue != 0
    pair = used & ~real
    one, zero = torch.ones_like(modal[0]), torch.zeros_like(modal[0])
    own = torch.stack(
        (
            one,
            torch.where(pair, -2 * pole.real, torch.where(used, -pole.real, zero)),
            torch.where(pair, pole.abs().square(), zero),
        ),
        -1,
    )
    reads = torch.stack((zero, residue.real, torch.where(pair, -(residue * pole.conj()).real, zero)), -1)
    denominator, numerator = own.new_ones(own.shape[0], 1), own.new_zeros(own.shape[0], 1)
    for n in range(own.shape[1]):
        numerator = _product(numerator, own[:, n]) + _product(denominator, reads[:, n])
        denominator = _product(denominator, own[:, n])
    order = max(int((2 * pair + (used & real)).sum(-1).amax()), 1)
    if order > MAX_ORDER[dtype]:
        raise NumericsError(
            f"a model of {order} states has no companion form in {dtype} that keeps its poles: "
            f"at most {MAX_ORDER[dtype]} do",
            hint="keep it in modal form, or give it fewer modes" + _wider(dtype),
        )
    denominator, numerator = (F.pad(x[:, 1:], (0, order))[:, :order].to(dtype) for x in (denominator, numerator))
    _same(_companion_taps(denominator, numerator, taps), _modal_taps(modal, taps), tol, "companion", _wider(dtype))
    return denominator.contiguous(), numerator.contiguous()


def companion_to_modal(
    denominator: Tensor,
    numerator: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
    taps: int = 1024,
    tol: float = 1e-4,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``(log_radius, angle, residue_re, residue_im)`` [H, N] in ``dtype`` of coefficients [H, d].

    N is the most modes of a channel; those a channel does not use have no residue.

    Raises :class:`NumericsError` when the taps are off by more than ``tol``, as those of poles that occur twice are.
    """
    below, above = denominator.detach().double(), numerator.detach().double()
    pole = torch.linalg.eigvals(companion_matrix(below))
    apart = (pole.unsqueeze(-1) - pole.unsqueeze(-2)) + torch.eye(pole.shape[1], device=pole.device)
    value = torch.zeros_like(pole)
    for coefficient in above.unbind(-1):
        value = value * pole + coefficient.unsqueeze(-1)
    # Zeros at the end of both polynomials are no poles; what is infinite else is found out below.
    residue = torch.where(value == 0, value, value / apart.prod(-1))
    upper = pole.imag >= 0
    residue = torch.where(upper, torch.where(pole.imag > 0, 2 * residue, residue), 0)
    first = upper.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)[:, : int(upper.sum(-1).amax())]
    pole, residue = pole.gather(-1, first), residue.gather(-1, first)
    log_radius = torch.where(residue == 0, -1.0, pole.abs().log().clamp(min=_FASTEST))
    angle = torch.where(residue == 0, 0.0, pole.angle())
    modal = tuple(x.to(dtype) for x in (log_radius, angle, residue.real, residue.imag))
    found = _modal_taps([x.double() for x in modal], taps)
    _same(found, _companion_taps(below, above, taps), tol, "modal", "")
    return modal[0], modal[1], modal[2], modal[3]


def _product(p: Tensor, q: Tensor) -> Tensor:
    """Of polynomials [H, n] and [H, 3]."""
    width = p.shape[-1] + q.shape[-1] - 1
    shifted = (F.pad(p, (at, width - at - p.shape[-1])) * q[:, at : at + 1] for at in range(q.shape[-1]))
    return sum(shifted, p.new_zeros(p.shape[0], width))


def _modal_taps(modal: Sequence[Tensor], taps: int) -> Tensor:
    """The taps at lags 1 to ``taps``, [H, taps], of the four parameters."""
    log_radius, angle, residue_re, residue_im = modal
    pole = torch.complex(log_radius, angle).unsqueeze(-1)
    powers = (pole * torch.arange(taps, device=pole.device)).exp()
    return (torch.complex(residue_re, residue_im).unsqueeze(-2) @ powers).squeeze(-2).real


def _companion_taps(denominator: Tensor, numerator: Tensor, taps: int) -> Tensor:
    """The same of companion form, as steps give them."""
    state = torch.zeros_like(denominator)
    state[:, 0] = 1
    silence = state.new_zeros(state.shape[0])
    found: list[Tensor] = []
    for _ in range(taps):
        y, state = companion_step(silence, denominator, numerator, None, state)
        found.append(y)
    return torch.stack(found, -1).double()


def _same(found: Tensor, wanted: Tensor, tol: float, form: str, hint: str) -> None:
    error = (found - wanted).norm(dim=-1) / wanted.norm(dim=-1).clamp(min=torch.finfo(torch.float64).tiny)
    # An overflow is off by everything there is.
    error = error.nan_to_num(torch.inf, posinf=torch.inf)
    worst = int(error.argmax())
    if error[worst] > tol:
        raise NumericsError(
            f"the {form} form of channel {worst} has a relative error of {float(error[worst]):.2g} over "
            f"{found.shape[-1]} taps, more than {tol:g}: its poles are too close together",
            hint="keep it in the form it has" + hint,
        )


def _wider(dtype: torch.dtype) -> str:
    return ", or ask for dtype=torch.float64" if dtype == torch.float32 else ""
