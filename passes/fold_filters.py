"""Compute the spectra of long filters once, before the call, where the filters depend on weights alone.

Hyena's filters are the output of an MLP over positions (arXiv 2302.10866, section 3.3), S4's and M2's of a kernel
generator: at batch 1 computing them costs more than applying them. In eval programs with weights at hand the filter,
its lag map and its transform move into the prelude, and the site becomes ``long_conv_spectrum``. The runner repeats
the prelude whenever a weight it reads has changed, and lets gradients through it.

A filter so short that convolving directly is predicted to beat a transform with its spectrum at hand stays as it is,
for ``select-kernels`` to apply; ``fold-constants`` still moves what computes it into the prelude.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from ..compiler.analysis.constants import constants
from ..compiler.calls import bind
from ..compiler.inline import inline
from ..compiler.ops.long_conv import spectrum, transform_size
from ..compiler.ops.registry import accumulation_dtype
from ..compiler.passes import Numerics, Pass, PassContext
from ..compiler.prelude import hoist
from ..compiler.program import Program, fake_of
from ..compiler.rewriter import Edit
from ..compiler.rules import Decline
from ..kernels import candidates
from ..lowering.candidates import Call, call_of
from ..lowering.select import MARGIN, decide
from ..lowering.targets import target_of

LONG_CONV = torch.ops.regraft.long_conv.default
LONG_CONV_SPECTRUM = torch.ops.regraft.long_conv_spectrum.default


@dataclass(frozen=True)
class FoldFilters(Pass):
    """Compute the spectra of long filters once, before the call, where they depend on weights alone."""

    name: ClassVar[str] = "fold-filters"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    may_change_inputs: ClassVar[bool] = True
    max_bytes: int = 256 * 2**20
    """Spectra larger than this are computed at every call."""
    keep_short: bool = True
    """Leave filters that are quicker to apply directly to ``select-kernels``."""

    def run(self, program: Program, ctx: PassContext) -> None:
        """Fold every site whose filter is settled before the call."""
        sites = ctx.sites(program, LONG_CONV)
        settled = constants(program).weights_only if sites else {}
        folded: dict[Any, fx.Node] = {}
        for site in sites:
            call = bind(site.node)
            reason = _unfit(program, site.module, call, settled) or self._too_large(call)
            if reason is not None:
                details = {"numbers": reason.numbers, "unblock": reason.unblock}
                ctx.missed(site, reason.code, reason.message, **details)
                continue
            if self.keep_short and (direct := _quicker_directly(site.node, ctx)) is not None:
                ctx.missed(site, "short-filter", direct.message, numbers=direct.numbers, unblock=direct.unblock)
                continue
            with ctx.edit(site.node, "filter-spectrum", site) as edit:
                key = (*(call[name] for name in ("k", "k_rev", "lags", "lag0")), _size(call), _dtype(call))
                if key not in folded:
                    folded[key] = _spectrum(edit, call)
                (length,) = fake_of(call["u"]).shape[-1:]
                args = (call["u"], folded[key], call["skip"], call["pre_gate"], call["post_gate"])
                result = edit.call(LONG_CONV_SPECTRUM, *args, fft_size=_size(call), length=length)
                edit.replace(site.node, result)
                if folded[key].op != "placeholder":
                    (folded[key],) = hoist(program, edit, [folded[key]])
            message = f"the spectrum of {_size(call)} points depends on weights alone"
            ctx.passed(site, "folded", message, rule="filter-spectrum", numbers={"bytes": _bytes(call)})

    def _too_large(self, call: dict[str, Any]) -> Decline | None:
        size = _bytes(call)
        if size <= self.max_bytes:
            return None
        numbers = {"bytes": size, "max_bytes": self.max_bytes}
        message = f"the spectrum would take {size} bytes, more than {self.max_bytes}"
        return Decline("too-large", message, numbers, unblock=f"fold-filters{{max-bytes={size}}}")


def _unfit(program: Program, module: fx.GraphModule, call: dict[str, Any], settled: Any) -> Decline | None:
    """Why the filter of a site cannot be computed before the call, if it cannot."""
    if program.training:
        return Decline("training-mode", "the filter changes while training", unblock="model.eval()")
    reason = unsettled(program, module, [call["k"], call["k_rev"]], settled)
    if reason is not None:
        return reason
    sizes = [fake_of(call["u"]).shape[-1], *fake_of(call["k"]).shape, call["fft_size"], call["lag0"]]
    if not all(isinstance(size, int) for size in sizes):
        return Decline("length-dynamic", "the size of the transform depends on a symbolic length")
    return None


def unsettled(program: Program, module: fx.GraphModule, filters: Iterable[Any], settled: Any) -> Decline | None:
    """Why the values of filters (``None`` for none) are not known before the call, if they are not."""
    if program.weights is None:
        return Decline(
            "weights-not-at-hand",
            "the graph was captured without the values of its weights",
            unblock="regraft.optimize(model, example_inputs)",
        )
    if module is not program.module:
        return Decline("nested-body", "the convolution is inside a nested region")
    for node in filters:
        if node is not None and node not in settled:
            return Decline("filter-from-input", f"{node.name} depends on the inputs of the call")
    return None


def _quicker_directly(node: fx.Node, ctx: PassContext) -> Decline | None:
    """Why the filter is better left as it is: convolving with it beats doing so with its spectrum at hand."""
    target, call = target_of(ctx.device), call_of(node, compiled=ctx.compiled)
    if call.free_sizes:
        return None
    folded = decide(_folded(call, bind(node)), target, candidates)
    direct, spectral = decide(call, target, candidates).chosen, folded.chosen or folded.reference
    if direct is None or spectral is None or direct.seconds * MARGIN > spectral.seconds:
        return None
    name, times = direct.candidate.own_name, (1e3 * direct.seconds, 1e3 * spectral.seconds)
    message = f"{name} takes {times[0]:.3g} ms with so short a filter, a folded spectrum {times[1]:.3g} ms"
    numbers = {f"{name}_ms": times[0], "folded_ms": times[1]}
    return Decline("short-filter", message, numbers, unblock="fold-filters{keep-short=false}")


def _folded(call: Call, bound: dict[str, Any]) -> Call:
    """The call as it would be with its spectrum at hand."""
    size, k = _size(bound), call["k"]
    k_f = torch.empty(*k.shape[:-1], size // 2 + 1, dtype=_dtype(bound).to_complex(), device="meta")
    shared = {name: call[name] for name in ("u", "skip", "pre_gate", "post_gate")}
    arguments = {**shared, "k_f": k_f, "fft_size": size, "length": call["u"].shape[-1]}
    return replace(call, op="long_conv_spectrum", target=LONG_CONV_SPECTRUM, arguments=arguments)


def _spectrum(edit: Edit, call: dict[str, Any]) -> fx.Node:
    """Insert the computation of a site's spectrum."""
    dtype, size, length = _dtype(call), _size(call), fake_of(call["u"]).shape[-1]
    causal = call["lags"] == "causal"

    def compute(*filters: Tensor) -> Tensor:
        cast = [taps if taps.dtype == dtype else taps.to(dtype) for taps in filters]
        k, k_rev = cast[0], cast[1] if len(cast) == 2 else None
        if causal and k.shape[-1] > length:
            k = k[..., :length]  # later taps reach no output, but would wrap around
        return spectrum(k, k_rev, lags=call["lags"], fft_size=size, lag0=call["lag0"])

    return inline(edit, compute, *(call[name] for name in ("k", "k_rev") if call[name] is not None))


def _size(call: dict[str, Any]) -> int:
    taps_rev = 0 if call["k_rev"] is None else fake_of(call["k_rev"]).shape[-1]
    lengths = (fake_of(call["u"]).shape[-1], fake_of(call["k"]).shape[-1], taps_rev)
    return transform_size(*lengths, call["lags"], call["fft_size"], call["lag0"])


def _dtype(call: dict[str, Any]) -> torch.dtype:
    tensors = [fake_of(call[name]) for name in ("u", "pre_gate", "k") if call[name] is not None]
    return call["compute_dtype"] or accumulation_dtype([tensor.dtype for tensor in tensors])


def _bytes(call: dict[str, Any]) -> int:
    rows = fake_of(call["k"]).numel() // fake_of(call["k"]).shape[-1]
    return rows * (_size(call) // 2 + 1) * 2 * _dtype(call).itemsize
