"""Keep only the taps of long filters that are near lag 0: partial convolutions, with the error they may make.

Trained long filters often fade, and models hardly notice when their tails go (FlashFFTConv, arXiv 2311.05908, section
3.3). What is dropped is known from the weights: with x its gated input and tail the dropped taps, a channel of the
convolution changes by at most ||tail||_1 max|x|, which some signs of x attain. The remark of a site gives ``gain``,
||tail||_1, and ``bound``, its ratio to ||k||_1, both of the worst channel.

=====================  ==============================================================================
lags                   what K taps keep
=====================  ==============================================================================
causal                 lags 0 to K - 1
anticausal             lags 0 to -(K - 1)
taps                   K neighbouring lags, with lag 0 in their middle as far as the filter allows
bidirectional          the first K of k and of k_rev
circular               declined: its transform is as long as its period, however few the taps
=====================  ==============================================================================

The transform shrinks to the L + K - 1 points of the shorter filter. Sequences much longer than that, or of any length,
are convolved in blocks (``overlap_save``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import fx

from ...compiler.analysis.constants import constants, evaluate, weight_values
from ...compiler.analysis.cost import node_cost
from ...compiler.calls import bind
from ...compiler.passes import Numerics, Pass, PassContext
from ...compiler.program import Program, fake_of
from ...compiler.rewriter import Edit
from ...compiler.rules import Decline
from ..fold_filters import unsettled
from .overlap_save import convolve, overlap_save, span, usual_block
from .tails import tails, window

__all__ = ["TruncateFilters"]

LONG_CONV = torch.ops.regraft.long_conv.default
LONG_CONV_SPECTRUM = torch.ops.regraft.long_conv_spectrum.default


@dataclass(frozen=True)
class TruncateFilters(Pass):
    """Keep only the taps of long filters that are near lag 0, and say how large the error can be."""

    name: ClassVar[str] = "truncate-filters"
    numerics: ClassVar[Numerics] = Numerics.BOUNDED
    builds_on: ClassVar[tuple[str, ...]] = ("raise-long-conv",)
    taps: int | None = None
    """Taps to keep."""
    tol: float | None = None
    """Keep the fewest taps that bring the bound of every channel of a site to this, instead of a fixed number."""
    block: int | None = None
    """Samples transformed at a time; by default four times the taps, where the sequence is much longer than that."""
    bound: float | None = None
    """Largest relative l2 error of an output of the program that the numeric check lets pass."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        if (self.taps is None) == (self.tol is None):
            raise ValueError("give either taps or tol")
        if self.taps is not None and self.taps < 1:
            raise ValueError(f"taps must be at least 1, got {self.taps}")
        if self.tol is not None and not 0 < self.tol < 1:
            raise ValueError(f"tol must be between 0 and 1, got {self.tol}")
        if self.block is not None and self.block < 1:
            raise ValueError(f"block must be at least 1, got {self.block}")

    def run(self, program: Program, ctx: PassContext) -> None:
        """Truncate every site whose filter is known and longer than it has to be."""
        folded, sites = ctx.sites(program, LONG_CONV_SPECTRUM), ctx.sites(program, LONG_CONV)
        for site in folded:
            message = "the filter is folded to a spectrum, which has no taps to drop"
            ctx.missed(site, "already-folded", message, unblock=f"{self.builds_on[0]},{self},default")
        if not (sites or folded):
            ctx.note("", "no-sites", f"there are no long_conv sites; {self.builds_on[0]} makes them")
        settled = constants(program).weights_only if sites else {}
        known = weight_values(program) if sites and program.weights is not None else {}
        for site in sites:
            call = bind(site.node)
            filters = [call[name] for name in ("k", "k_rev") if call[name] is not None]
            plan = _dynamic(filters) or unsettled(program, site.module, filters, settled) or self._plan(call, known)
            if isinstance(plan, Decline):
                ctx.missed(site, plan.code, plan.message, numbers=plan.numbers, unblock=plan.unblock)
                continue
            before = node_cost(site.node).flops
            with ctx.edit(site.node, "partial-convolution", site) as edit:
                short = call | {"fft_size": 0, "k": _taps(edit, call["k"], plan), "lag0": call["lag0"] - plan.start}
                short["k_rev"] = None if call["k_rev"] is None else _taps(edit, call["k_rev"], plan)
                result = overlap_save(edit, short, plan.block) if plan.block else convolve(edit, short)
                edit.replace(site.node, result)
                saved = 1 - sum(node_cost(node).flops for node in edit.made) / before
            numbers = {"taps": plan.taps, "of": plan.of, "bound": plan.bound, "gain": plan.gain}
            numbers |= {} if saved.free_symbols else {"saved": float(saved)}
            blocks = f", in blocks of {plan.block} samples" if plan.block else ""
            message = f"{plan.taps} of {plan.of} taps are kept{blocks}"
            ctx.passed(site, "truncated", message, rule="partial-convolution", numbers=numbers)

    def _plan(self, call: dict[str, Any], known: dict[fx.Node, Any]) -> _Plan | Decline:
        """How many taps of a site are kept, and what that may do."""
        length, lags, lag0 = fake_of(call["u"]).shape[-1], call["lags"], call["lag0"]
        filters = [call[name] for name in ("k", "k_rev") if call[name] is not None]
        if lags == "circular":
            return Decline("circular", "the transform of a circular convolution is as long as its period")
        if not isinstance(lag0, int):
            return Decline("lag-dynamic", "the first lag of the filter is symbolic")
        values = [evaluate(taps, known).detach().double() for taps in filters]
        if lags != "taps" and isinstance(length, int):
            values = [taps[..., :length] for taps in values]  # later taps reach no output
        if not all(bool(taps.isfinite().all()) for taps in values):
            return Decline("filter-not-finite", "the filter holds NaN or infinity: what is dropped has no bound")
        of = max(taps.shape[-1] for taps in values)
        gains, bounds = tails(values, lag0 if lags == "taps" else None)
        taps = self.taps or max(int((bounds > (self.tol or 0.0)).sum()), 1)
        if taps >= of:
            message = f"the filter has {of} taps, and {'all are needed' if self.tol else f'{taps} are to be kept'}"
            return Decline("nothing-to-drop", message, unblock="a larger tol" if self.tol else f"taps below {of}")
        start = window(taps, of, lag0) if lags == "taps" else 0
        lag = span(lags, taps, 0 if call["k_rev"] is None else taps, lag0 - start)
        if self.block is not None and self.block < 2 * lag.width:
            message = f"blocks of {self.block} samples are too short for filters over {lag.width} lags"
            return Decline("block-too-small", message, unblock=f"block of at least {2 * lag.width}")
        block = self.block or usual_block(length, lag)
        return _Plan(taps, of, start, float(bounds[taps]), float(gains[taps]), block)


def _dynamic(filters: list[fx.Node]) -> Decline | None:
    if all(isinstance(fake_of(taps).shape[-1], int) for taps in filters):
        return None
    return Decline("length-dynamic", "the filter is as long as the input, whose length is symbolic")


@dataclass(frozen=True)
class _Plan:
    """What becomes of one site: taps ``start`` to ``start + taps`` of each filter, and blocks of a size, or 0."""

    taps: int
    of: int
    start: int
    bound: float
    gain: float
    block: int


def _taps(edit: Edit, filter: fx.Node, plan: _Plan) -> fx.Node:
    return edit.call(torch.ops.aten.slice.Tensor, filter, fake_of(filter).dim() - 1, plan.start, plan.start + plan.taps)
