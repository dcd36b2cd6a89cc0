"""The fit as an operator, which the prelude of a program calls whenever the weights of a filter have changed.

``regraft_fit::modal`` maps filters [C, L] to the parameters [C, modes] of ``ssm_scan``, in fp32 or fp64 whatever the
filters are in. A fit is remembered by the bytes of its filters, so that checking a program does not fit again. It has
no gradient: the caller detaches the filters.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import fields, replace
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ...compiler.errors import NumericsError
from .fitting import Method, Settings, fit
from .report import Fit

_REMEMBERED = 32
_SLACK = 2
"""Weights that have moved a little may miss the tolerance by this factor before it is an error."""
_fits: OrderedDict[Any, Fit] = OrderedDict()


def fitted(h: Tensor, settings: Settings, dtype: torch.dtype, progress: str = "") -> Fit:
    """:func:`~.fitting.fit`, or what it gave before for these filters with at most ``settings.modes`` modes."""
    digest = hashlib.sha1(h.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()).digest()
    key = (digest, h.shape, h.dtype, h.device, dtype, replace(settings, modes=None))
    known = _fits.get(key)
    if known is None or (settings.modes is not None and known.modes > settings.modes):
        known = _fits[key] = fit(h, settings, dtype=dtype, progress=progress)
    _fits.move_to_end(key)
    while len(_fits) > _REMEMBERED:
        _fits.popitem(last=False)
    return known


@torch.library.custom_op("regraft_fit::modal", mutates_args=())
def modal(
    h: Tensor,
    order: int,
    tol: float,
    max_order: int,
    shared_poles: bool,
    refine: int,
    method: str,
    modes: int,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``(log_radius, angle, residue_re, residue_im)``; raises ``NumericsError`` when a filter misses twice ``tol``."""
    settings = Settings(order, tol, max_order, shared_poles, refine, cast("Method", method), modes)
    found = fitted(h, settings, dtype)
    if not found.ok:
        found = fitted(h, replace(settings, tol=_SLACK * tol), dtype)
    if not found.ok:
        raise NumericsError(
            f"the weights have changed, and filter {found.worst} is no longer within {tol:g} of {order} to {max_order} "
            f"states in {modes} modes: its relative error is {float(found.rel_l2.amax()):.3g}",
            hint="call regraft.optimize() again, with a larger tol or max-order",
        )
    more = (0, modes - found.modes)
    angle, re, im = (F.pad(x, more).clone() for x in (found.angle, found.residue_re, found.residue_im))
    return F.pad(found.log_radius, more, value=-1.0).clone(), angle, re, im


@modal.register_fake
def _(
    h: Tensor, order: int, tol: float, max_order: int, shared: bool, refine: int, method: str, modes: int, dtype: Any
) -> Any:
    return tuple(h.new_empty(h.shape[0], modes, dtype=dtype) for _ in range(4))


def arguments(settings: Settings, modes: int, dtype: torch.dtype) -> tuple[Any, ...]:
    """What the operator takes after the filters."""
    held = (getattr(settings, field.name) for field in fields(settings) if field.name != "modes")
    return (*held, modes, dtype)


MODAL = torch.ops.regraft_fit.modal.default
