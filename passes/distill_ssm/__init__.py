"""Distil long convolutions to state-space models: each channel's filter becomes a few decaying exponentials.

Laughing Hyena (arXiv 2310.18780): a filter whose Hankel matrix has few singular values of any size is, but for lag 0,
the impulse response of a small linear state-space model, whose step costs the same at every position. ``long_conv``
becomes ``ssm_scan`` with lag 0 and skip kept exactly, gates round it; make-recurrent steps it.

The fit is :mod:`.fitting`, or with ``method=balanced`` :mod:`.balanced`, which bounds its error beforehand; what it is
worth in a site's worst channel are the numbers of the remark (:class:`.report.Fit` names them). Not every filter is
small: the order doubles until every channel keeps ``tol``, and a site with one that cannot is left as it is, with what
the Hankel spectrum says.

Nothing is stored: the prelude fits again when a weight has changed, in fp64, and hands on logarithms of poles in fp32
whatever the dtype of the model. The poles and residues have no gradient.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from ...compiler.analysis.constants import constants, evaluate, weight_values
from ...compiler.calls import bind
from ...compiler.errors import UnsupportedModelError
from ...compiler.ops.registry import accumulation_dtype
from ...compiler.passes import Numerics, Pass, PassContext
from ...compiler.prelude import hoist
from ...compiler.program import Program, fake_of
from ...compiler.rewriter import Edit
from ...compiler.rules import Decline
from ...compiler.sites import Site
from ..fold_filters import unsettled
from .fitting import Settings, fit
from .op import MODAL, arguments, fitted
from .report import Fit

__all__ = ["DistillSsm", "Fit", "Settings", "fit"]

aten = torch.ops.aten
LONG_CONV = torch.ops.regraft.long_conv.default
LONG_CONV_SPECTRUM = torch.ops.regraft.long_conv_spectrum.default
SSM_SCAN = torch.ops.regraft.ssm_scan.default


@dataclass(frozen=True)
class DistillSsm(Pass):
    """Fit small state-space models to long filters, where every channel can be fitted."""

    name: ClassVar[str] = "distill-ssm"
    numerics: ClassVar[Numerics] = Numerics.FITTED
    may_change_inputs: ClassVar[bool] = True
    builds_on: ClassVar[tuple[str, ...]] = ("raise-long-conv",)
    order: int = 16
    """Real states of a channel to begin with; a conjugate pair of poles is two."""
    tol: float = 1e-2
    """Largest relative l2 error of the taps of any channel."""
    max_order: int = 64
    """Real states at most: the order doubles up to this for the channels that miss ``tol``."""
    shared_poles: bool = False
    """One set of poles for all channels of a site, residues for each, as heads with tied filters may have."""
    refine: int = 64
    """Steps of refinement at most for channels that miss ``tol``."""
    method: Literal["hankel", "balanced"] = "hankel"
    """Balanced truncation has an error bound beforehand, and needs many more states."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        self._settings()

    def run(self, program: Program, ctx: PassContext) -> None:
        """Distil every site whose filters are known and small."""
        folded, sites = ctx.sites(program, LONG_CONV_SPECTRUM), ctx.sites(program, LONG_CONV)
        for site in folded:
            message = "the filter is folded to a spectrum, which has no taps to fit"
            ctx.missed(site, "already-folded", message, unblock=f"{self.builds_on[0]},{self},default")
        if not (sites or folded):
            ctx.note("", "no-sites", f"there are no long_conv sites; {self.builds_on[0]} makes them")
        settled = constants(program).weights_only if sites else {}
        known = weight_values(program) if sites and program.weights is not None else {}
        for site in sites:
            call = bind(site.node)
            reason = _unfit(call) or unsettled(program, site.module, [call["k"]], settled)
            found = reason or self._fit(site, call, known)
            if isinstance(found, Fit) and not found.ok:
                found = self._refusal(found)
            if isinstance(found, Decline):
                ctx.missed(site, found.code, found.message, numbers=found.numbers, unblock=found.unblock)
                continue
            with ctx.edit(site.node, "modal", site) as edit:
                *parameters, skip = self._model(edit, call, found.modes)
                folded = [*parameters, skip]
                if call["skip"] is not None:
                    skip = edit.call(aten.add.Tensor, skip, _per_channel(edit, call["skip"], call))
                    folded = [*parameters, skip] if call["skip"] in settled else folded
                edit.replace(site.node, _scan(edit, call, [*parameters, skip]))
                hoist(program, edit, folded)
            low, high = (int(f(found.order)) for f in (Tensor.amin, Tensor.amax))
            order = f"{low} to {high}" if low < high else str(high)
            message = f"{found.order.numel()} filters of {_horizon(call)} taps became models of {order} states"
            ctx.passed(site, "distilled", message, rule="modal", numbers=found.numbers())

    def _settings(self) -> Settings:
        return Settings(**{f.name: getattr(self, f.name) for f in fields(Settings) if f.name != "modes"})

    def _fit(self, site: Site, call: dict[str, Any], known: dict[fx.Node, Any]) -> Fit:
        """The fit of a site; raises :class:`~.errors.UnsupportedModelError` for filters with NaN."""
        taps = _flat(evaluate(call["k"], known).detach(), _horizon(call))
        if not bool(taps.isfinite().all()):
            row = int((~taps.isfinite().all(-1)).nonzero()[0])
            what = f"the filter of {site} holds NaN or infinity, first in channel {row}"
            raise UnsupportedModelError(what, where=site.line or str(site), hint="repair the weights of the filter")
        return fitted(taps, self._settings(), _dtype(call), progress=str(site))

    def _refusal(self, found: Fit) -> Decline:
        """What the Hankel spectrum of the worst channel says about filters that cannot be fitted."""
        ratio = found.ratio(self.max_order)
        numbers = {f"sigma_{order}": found.ratio(order) for order in {self.order, self.max_order}}
        numbers = {name: value for name, value in numbers.items() if not math.isnan(value)}
        says = f"the Hankel singular value after as many is {ratio:.2g} of the largest"
        if ratio <= self.tol:
            says += ", but no stable modes have been found that reach it"
        message = f"filter {found.worst} is not within {self.tol:g} of {self.max_order} states; {says}"
        unblock = "a larger tol or max-order; decoded exactly, the filter needs no fit"
        return Decline("not-distillable", message, numbers | {"rel_l2": float(found.rel_l2[found.worst])}, unblock)

    def _model(self, edit: Edit, call: dict[str, Any], modes: int) -> list[fx.Node]:
        """Insert the fit of a site's filters: the parameters of every channel of u, and the taps at lag 0."""
        k, rows, dtype = call["k"], _rows(call), _dtype(call)
        lead, horizon = list(fake_of(k).shape[:-1]), _horizon(call)
        taps = edit.call(aten.reshape.default, edit.call(aten.detach.default, k), [-1, fake_of(k).shape[-1]])
        taps = edit.call(aten.slice.Tensor, taps, 1, 0, horizon)
        if fake_of(taps).shape[-1] < horizon:
            taps = edit.call(aten.constant_pad_nd.default, taps, [0, horizon - fake_of(taps).shape[-1]])
        model = edit.call(MODAL, taps, *arguments(self._settings(), modes, dtype))
        parameters = [edit.call(operator.getitem, model, at) for at in range(4)]
        if len(lead) != 1:
            parameters = [edit.call(aten.reshape.default, x, [*lead, modes]) for x in parameters]
        lag0 = edit.call(aten.select.int, k, len(lead), 0)
        return [*(_spread(edit, x, rows, modes) for x in parameters), _per_channel(edit, lag0, call)]


def _unfit(call: dict[str, Any]) -> Decline | None:
    """Why a site is no causal filter per channel of known length, if it is not."""
    causal = call["lags"] == "causal" or (call["lags"] == "taps" and call["lag0"] == 0)
    if not causal:
        return Decline("not-causal", f"lags are {call['lags']}: a state knows nothing of inputs to come")
    if not isinstance(_horizon(call), int) or not isinstance(fake_of(call["k"]).shape[-1], int):
        message = "the length is symbolic: over how many taps to fit is not known"
        return Decline("length-dynamic", message, unblock="a fixed length, the longest that is wanted")
    if not all(isinstance(size, int) for size in _rows(call)):
        return Decline("channels-dynamic", "filters differ along a dimension of symbolic size")
    return None


def _horizon(call: dict[str, Any]) -> int:
    """Lags that reach an output: all are fitted, be they taps of the filter or zeros after its end.

    A symbolic length counts as the longest it may be, where that is known.
    """
    length = fake_of(call["u"]).shape[-1]
    if isinstance(length, int):
        return length
    longest = length.node.shape_env.bound_sympy(length.node.expr).upper
    return int(longest) if longest.is_finite and longest < 2**31 else length


def _rows(call: dict[str, Any]) -> list[int]:
    """The dimensions of u along which filters or skips differ; those before them are batch."""
    own = [list(fake_of(call["k"]).shape[:-1])]
    own += [] if call["skip"] is None else [list(fake_of(call["skip"]).shape)]
    depth = max(max((len(lead) - at for at, size in enumerate(lead) if size != 1), default=1) for lead in own)
    return list(fake_of(call["u"]).shape[-1 - depth : -1])


def _flat(k: Tensor, horizon: int) -> Tensor:
    """Filters as they are fitted, [C, horizon]."""
    taps = k.reshape(-1, k.shape[-1])[:, :horizon]
    return F.pad(taps, (0, horizon - taps.shape[-1]))


def _dtype(call: dict[str, Any]) -> torch.dtype:
    """Of the parameters, and so of the arithmetic: fp64 where the convolution computed in it, else fp32."""
    tensors = [fake_of(call[name]) for name in ("u", "pre_gate", "k") if call[name] is not None]
    return accumulation_dtype([call["compute_dtype"] or torch.float32, *(tensor.dtype for tensor in tensors)])


def _per_channel(edit: Edit, x: fx.Node, call: dict[str, Any]) -> fx.Node:
    """A value for each filter as one for each channel of u, [H], in the dtype of the parameters."""
    return edit.call(aten.to.dtype, _spread(edit, x, _rows(call)), _dtype(call))


def _spread(edit: Edit, x: fx.Node, rows: list[int], *tail: int) -> fx.Node:
    """``x`` [..., *tail], which broadcasts to ``rows`` but for leading ones, as [product of rows, *tail]."""
    shape = list(fake_of(x).shape)
    own = shape[: len(shape) - len(tail)][-len(rows) :]
    if len(own) + len(tail) < len(shape):
        x = edit.call(aten.reshape.default, x, [*own, *tail])
    if own != rows:
        x = edit.call(aten.expand.default, x, [*rows, *tail])
    return x if len(rows) == 1 else edit.call(aten.reshape.default, x, [math.prod(rows), *tail])


def _scan(edit: Edit, call: dict[str, Any], model: list[fx.Node]) -> fx.Node:
    """Emit the model in place of the convolution, gates as they were."""
    x = call["u"] if call["pre_gate"] is None else edit.call(aten.mul.Tensor, call["u"], call["pre_gate"])
    rows, given = _rows(call), fake_of(x)
    direct = given.dim() == 3 and len(rows) == 1
    u = x if direct else edit.call(aten.reshape.default, x, [-1, math.prod(rows), given.shape[-1]])
    y = edit.call(operator.getitem, edit.call(SSM_SCAN, u, *model), 0)
    if not direct:
        sizes = [n if isinstance(n, int) else edit.call(aten.sym_size.int, x, at) for at, n in enumerate(given.shape)]
        y = edit.call(aten.reshape.default, y, sizes)
    return y if call["post_gate"] is None else edit.call(aten.mul.Tensor, y, call["post_gate"])
