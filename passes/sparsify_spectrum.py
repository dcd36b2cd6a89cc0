"""Zero blocks of the spectra of long filters, so that matrix products of the transform can be left out.

Seen as the matrix (k1, k2) of a transform of N = n1 n2 points, k = k1 + n1 k2, a spectrum loses rows and columns
(frequency-sparse convolutions, FlashFFTConv, arXiv 2311.05908, section 3.3); ``SpectrumBlocks`` says which, why it
stays real, and how the products shrink. The site becomes a ``long_conv_spectrum`` that names its blocks; run by FFT it
takes as long as before, and a kernel made of products skips what is zero.

With R what is removed from the spectrum k_f of a channel and x its gated input, the remark of a site gives, of the
worst channel:

- ``gain`` max|R|: the convolution changes by at most gain ||x||_2 in l2; ``bound`` is its ratio to max|k_f|;
- ``peak`` ||irfft(R)||_1: the convolution changes by at most peak max|x| anywhere;
- ``ahead``: how much of that comes from inputs later than the output, over ||k||_1. A filter of few frequencies has no
  sharp start, so a causal model comes to see a little of its future: where this is large its likelihoods flatter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from ..compiler.analysis.constants import constants, evaluate, weight_values
from ..compiler.calls import bind
from ..compiler.ops.spectrum_blocks import SpectrumBlocks
from ..compiler.passes import Numerics, Pass, PassContext
from ..compiler.program import Program
from ..compiler.rules import Decline
from .fold_filters import unsettled

LONG_CONV = torch.ops.regraft.long_conv.default
LONG_CONV_SPECTRUM = torch.ops.regraft.long_conv_spectrum.default

TILE = 16
"""The least side of a matrix product on tensor cores: a fraction is rounded up to whole tiles where there are any."""


@dataclass(frozen=True)
class SparsifySpectrum(Pass):
    """Zero blocks of the spectra of long filters, and say how large the error can be."""

    name: ClassVar[str] = "sparsify-spectrum"
    numerics: ClassVar[Numerics] = Numerics.BOUNDED
    builds_on: ClassVar[tuple[str, ...]] = ("raise-long-conv", "fold-filters")
    keep: float | None = None
    """The fraction of the columns to keep, those of low frequency."""
    rows: int | None = None
    """Rows to keep: values of the first, finest digit of the frequency."""
    columns: int | None = None
    """Columns to keep: values of the last, coarsest digit of the frequency."""
    order: int = 2
    """Stages of the transform, 2 or 3; of a third, the middle one, everything is kept."""
    bound: float | None = None
    """Largest relative l2 error of an output of the program that the numeric check lets pass."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        if (self.keep is None) == (self.rows is None and self.columns is None):
            raise ValueError("give either keep, or rows and columns")
        if self.keep is not None and not 0 < self.keep <= 1:
            raise ValueError(f"keep must be above 0 and at most 1, got {self.keep}")
        for name, count in (("rows", self.rows), ("columns", self.columns)):
            if count is not None and count < 1:
                raise ValueError(f"{name} must be at least 1, got {count}")
        if self.order not in (2, 3):
            raise ValueError(f"order must be 2 or 3, got {self.order}")

    def run(self, program: Program, ctx: PassContext) -> None:
        """Sparsify every site whose spectrum is known."""
        unfolded, sites = ctx.sites(program, LONG_CONV), ctx.sites(program, LONG_CONV_SPECTRUM)
        for site in unfolded:
            message = "the spectrum of the filter is not folded"
            ctx.missed(site, "not-folded", message, unblock=f"fold-filters before {self.name}")
        if not (sites or unfolded):
            ctx.note("", "no-sites", f"there are no folded spectra; {','.join(self.builds_on)} makes them")
        settled = constants(program).weights_only if sites else {}
        known = weight_values(program) if sites and program.weights is not None else {}
        for site in sites:
            call = bind(site.node)
            blocks = unsettled(program, site.module, [call["k_f"]], settled) or self._blocks(call)
            numbers = blocks if isinstance(blocks, Decline) else _numbers(call, blocks, known)
            if isinstance(numbers, Decline):
                ctx.missed(site, numbers.code, numbers.message, numbers=numbers.numbers, unblock=numbers.unblock)
                continue
            assert isinstance(blocks, SpectrumBlocks)
            operands = [call[name] for name in ("u", "k_f", "skip", "pre_gate", "post_gate")]
            sizes = {"fft_size": call["fft_size"], "length": call["length"]}
            with ctx.edit(site.node, "spectrum-blocks", site) as edit:
                pattern = {"factors": list(blocks.factors), "kept": list(blocks.kept)}
                edit.replace(site.node, edit.call(LONG_CONV_SPECTRUM, *operands, **sizes, **pattern))
            kept, factors = (" x ".join(map(str, counts)) for counts in (blocks.kept, blocks.factors))
            message = f"{kept} of {factors} frequencies are kept"
            ctx.passed(site, "sparsified", message, rule="spectrum-blocks", numbers=numbers)

    def _blocks(self, call: dict[str, Any]) -> SpectrumBlocks | Decline:
        """The blocks of a site's spectrum."""
        size = call["fft_size"]
        if call["factors"]:
            return Decline("already-sparse", "blocks of the spectrum are zero already")
        if not isinstance(size, int):
            return Decline("length-dynamic", "the size of the transform is symbolic")
        factors = balanced(size, self.order)
        if min(factors) < 2:
            message = f"{size} points are no product of {self.order} factors"
            return Decline("size-prime", message, {"fft_size": size}, unblock="another fft_size")
        rows, columns = self.rows or factors[0], self.columns or factors[-1]
        if self.keep is not None:
            columns = _whole_tiles(self.keep * factors[-1], factors[-1])
        if rows >= factors[0] and columns >= factors[-1]:
            limits = {"rows": factors[0], "columns": factors[-1]}
            message = f"the {size} frequencies are {factors[0]} rows and {factors[-1]} columns: all would be kept"
            return Decline("nothing-to-drop", message, limits, unblock="fewer rows or columns")
        return SpectrumBlocks(factors, (min(rows, factors[0]), *factors[1:-1], min(columns, factors[-1])))


def balanced(size: int, order: int) -> tuple[int, ...]:
    """``size`` as ``order`` factors, ascending and as near to each other as can be; some are 1 if they have to be."""
    if order == 1:
        return (size,)
    first = next(f for f in range(int(round(size ** (1 / order), 6)), 0, -1) if size % f == 0)
    return (first, *balanced(size // first, order - 1))


def _whole_tiles(wanted: float, most: int) -> int:
    tile = TILE if most > TILE and most % TILE == 0 else 2
    return min(-int(-wanted // tile) * tile, most)


def _numbers(call: dict[str, Any], blocks: SpectrumBlocks, known: dict[fx.Node, Any]) -> dict[str, float] | Decline:
    """What zeroing all but the blocks does to a site, and what it saves."""
    k_f: Tensor = evaluate(call["k_f"], known).detach().to(torch.complex128)
    if not bool(k_f.isfinite().all()):
        return Decline("filter-not-finite", "the spectrum holds NaN or infinity: nothing bounds what would be removed")
    mask = blocks.mask(k_f.device)
    removed = k_f * ~mask
    filter, change = (torch.fft.irfft(each, n=blocks.size).abs() for each in (k_f, removed))

    def worst(part: Tensor, total: Tensor) -> float:
        return float(torch.where(total > 0, part / total, 0.0).max())

    numbers = {
        "bound": worst(removed.abs().amax(-1), k_f.abs().amax(-1)),
        "gain": float(removed.abs().max()),
        "peak": float(change.sum(-1).max()),
        "kept": float(mask.sum()) / mask.numel(),
        "saved": 1 - blocks.multiply_adds / blocks.dense.multiply_adds,
    }
    later = blocks.size - int(call["length"]) + 1
    if later >= call["length"]:  # a shorter transform wraps around: every lag is also one ahead
        numbers["ahead"] = worst(change[..., later:].sum(-1), filter.sum(-1))
    return numbers
