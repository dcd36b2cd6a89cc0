"""``long_conv`` and ``long_conv_spectrum`` by the tile kernel: candidates for GPUs.

A transform of N = n1 n2 points is in one program: a power of two from 256 to 4096, to 2048 in fp32, to half of that
with gradients. Longer ones take three programs (:mod:`.four_step`), to 4M points in halves, to 128K in fp32 or with
gradients; what is longer still is declined. Any lag map is placed in it without wrap-around, a circular one of another
period by its taps at every lag that is seen. A spectrum with zero blocks is multiplied by what is left where its
factors are those of a tile.

Halves are multiplied as halves, so that the error is relative to the energy of the whole sequence, and of the sequence
it is paired with: after louder later samples the first outputs have fewer good digits than an FFT in fp32 would give
them (docs/long_conv.md has a table). That is the bargain of a model in halves. u in fp32 is multiplied in fp32, never
TF32; nothing that is in fp32 is rounded to halves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from ...compiler.calls import bind
from ...compiler.ops.long_conv import spectrum, transform_size
from ...compiler.ops.spectrum_blocks import SpectrumBlocks
from ...compiler.program import tensor_of
from ...compiler.rules import Decline
from ...lowering.absorbing import Absorbing, Epilogue
from ...lowering.candidates import Call, Config, Estimate, traffic
from ...lowering.targets import Target
from .cost import fft_conv_seconds, shared_bytes
from .tables import replaced, roots, spectrum_tiles

SMALLEST = 256
LARGEST = {torch.bfloat16: 4096, torch.float16: 4096, torch.float32: 2048}
"""Points of the transforms that one program takes; half as many with gradients, whose two spectra would spill."""

LONGEST, LONGEST_TRAINED = {torch.bfloat16: 1 << 22, torch.float16: 1 << 22, torch.float32: 1 << 17}, 1 << 17
"""Points of the transforms that three programs take, and with gradients: there the outer stage would have more than
128 points around the 1024 whose spectra a gradient's program holds."""

SIDES = (16, 32, 64)
"""Of the last two stages, as a spectrum with zero blocks must have them to be multiplied by what is left."""

INNER, WIDE_INNER = 1024, 4096
"""Points within an outer stage of at most 128 points, and of more."""


@dataclass(frozen=True)
class Transform:
    """The transform a call is computed by."""

    blocks: SpectrumBlocks
    period: int = 0
    """Of the filter's own spectrum, where it has to be placed in a larger transform; 0 where it is of this size."""


class _LongConv(Absorbing):
    """What both operators share."""

    kinds: ClassVar[frozenset[str]] = frozenset({"cuda", "hip"})
    features: ClassVar[frozenset[str]] = frozenset({"several-dots"})

    def transform(self, call: Call) -> Transform:
        """How the call, of fixed length, is transformed; of any size, also one that does not fit."""
        raise NotImplementedError

    def filter_spectrum(self, call: Call, transform: Transform) -> Tensor:
        """The filter's spectrum, of the transform's size or period."""
        raise NotImplementedError

    def supports(self, call: Call, target: Target) -> Decline | None:
        """Fixed lengths, one filter a channel, operands of one type, and a transform that fits the target."""
        if target.kind not in self.kinds:
            return Decline("device", f"tile kernels run on GPUs, not on {target.name}")
        u, filters = call["u"], [call.arguments[n] for n in ("k", "k_rev", "k_f") if call.arguments.get(n) is not None]
        gates = [gate for gate in (call["pre_gate"], call["post_gate"]) if gate is not None]
        if u.dtype not in LARGEST or any(gate.dtype != u.dtype for gate in gates):
            return Decline("dtype", f"u and gates are {', '.join(str(t.dtype) for t in (u, *gates))}")
        wide = (torch.float64, torch.complex128)
        if call.arguments.get("compute_dtype") not in (None, torch.float32) or any(k.dtype in wide for k in filters):
            return Decline("dtype", "the convolution is to be computed in fp64")
        fixed = [*u.shape[-2:], *(size for k in filters for size in k.shape), *_numbers(call)]
        if not all(isinstance(size, int) for size in fixed):
            return Decline("length-dynamic", "the transform is made for one length")
        if 0 in fixed[:2]:
            return Decline("empty", "there is nothing to compute")
        if any(size != 1 for k in (*filters, call["skip"]) if k is not None for size in _leading(k, call["skip"])):
            return Decline("filter-per-sample", "each sample has its own filter")
        if any(tuple(gate.shape[-2:-1]) not in ((), (1,), (u.shape[-2],)) for gate in gates):
            return Decline("shape", "u broadcasts to the channels of a gate")
        blocks = self.transform(call).blocks
        longest = min(LONGEST[u.dtype], LONGEST_TRAINED) if call.training else LONGEST[u.dtype]
        if blocks.size > longest:
            where = f"an outer stage in {u.dtype}{' with gradients' if call.training else ''}"
            return Decline("size", f"{blocks.size} points are more than the {longest} of {where}")
        # The gradients take a fifth tile.
        points = math.prod(blocks.factors[-2:])
        needed = shared_bytes(points, u.dtype) * (5 if call.training else 4) // 4
        if needed > target.shared_bytes:
            message = f"{points} points in {u.dtype} need {needed} bytes of shared memory, {target.name} has"
            numbers = {"bytes": needed, "limit": target.shared_bytes}
            return Decline("shared-memory", f"{message} {target.shared_bytes}", numbers)
        return None

    def configs(self, call: Call, target: Target) -> Sequence[Config]:
        """Pairs of sequences and as many turns as leave every processor a task; a lone sequence stays alone."""
        batch = math.prod(call["u"].shape[:-2])
        paired = not isinstance(batch, int) or batch > 1
        pairs = (batch + 1) // 2 if paired else batch
        *outer, n1, n2 = self.transform(call).blocks.factors
        tasks, turns = call["u"].shape[-2] * math.prod(outer), 8
        while isinstance(pairs, int) and turns > 1 and -(-pairs // turns) * tasks < 2 * target.multiprocessors:
            turns //= 2
        tile = {**({"block_n0": outer[0]} if outer else {}), "block_n1": n1, "block_n2": n2, "paired": paired}
        found = [{**tile, "turns": turns, "num_warps": warps} for warps in ((8, 4) if n1 * n2 > 512 else (4,))]
        return [*found, *([{**found[0], "turns": 1}] if turns > 1 else [])]

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """Inputs and outputs once, and FlashFFTConv's model of the stages for a sequence of each pair.

        An outer stage's results, both ways, are written and read once more.
        """
        if not target.known:
            return None
        *leading, channels, _ = call["u"].shape
        rows, outer = math.prod(leading), "block_n0" in config
        factors = tuple(config[name] for name in ("block_n0", "block_n1", "block_n2") if name in config)
        pairs = (rows + 1) // 2 if config["paired"] else rows
        size = math.prod(factors)
        moved = traffic(call) + (8 * call.dtype.itemsize * pairs * channels * size if outer else 0)
        floor = moved / target.memory_rate
        busy = fft_conv_seconds(pairs, channels, factors, target, call.dtype, outer=0)
        return Estimate(floor + busy, 16.0 * pairs * channels * size * sum(factors), moved, floor)

    def configured(self, call: Call, config: Config) -> Transform:
        """How a configuration transforms the call: it tells what a call in a graph does not, if it is for gradients."""
        factors = tuple(config[name] for name in ("block_n0", "block_n1", "block_n2") if name in config)
        found = self.transform(call)
        return found if found.blocks.factors == factors else self.transform(replace(call, training=not call.training))

    def constants(self, call: Call, config: Config) -> tuple[Tensor, ...]:
        """Roots of unity and twiddle."""
        return roots(self.configured(call, config).blocks, call["u"].dtype, call["u"].device)

    def run(self, call: Call, config: Config, *constants: Tensor) -> Tensor:
        """The kernel operator over sequences [B, H, L]."""
        from .op import tile_long_conv

        before, after = self.arguments(call, config)
        y = tile_long_conv(*before[:2], *constants, *before[2:], *after)
        return y.reshape(*call["u"].shape[:-1], after[0])

    def takes_work(self, node: fx.Node) -> bool:
        """With one batch dimension."""
        u = tensor_of(bind(node)["u"])
        return u is not None and u.dim() == 3

    def run_with(self, call: Call, config: Config, work: Epilogue, *constants: Tensor) -> Sequence[Tensor]:
        """The operator that does the work, too."""
        from .epilogue import long_conv_epilogue

        before, after = self.arguments(call, config)
        return long_conv_epilogue(
            *before[:2], *constants, *before[2:], work.extras, work.text, work.outputs, *after
        )  # fmt: skip

    def arguments(self, call: Call, config: Config) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Of the operators: u, spectrum, skip and gates; length, blocks, paired, turns and warps."""
        from .op import blocks_text

        u, transform = call["u"], self.configured(call, config)
        channels, length = u.shape[-2], call.arguments.get("length", u.shape[-1])
        k_f = self.filter_spectrum(call, transform)
        if transform.period:
            k_f = replaced(k_f, transform.period, transform.blocks.size, u.shape[-1], length)
        tiles = spectrum_tiles(_rows(k_f), transform.blocks)
        skip = call["skip"]
        if skip is not None:
            skip = skip.reshape(-1).float().expand(channels)
        gates = _sequences(call["pre_gate"], u, u.shape[-1]), _sequences(call["post_gate"], u, length)
        before = u.reshape(-1, *u.shape[-2:]), tiles.expand(channels, *tiles.shape[1:]), skip, *gates
        return before, (length, blocks_text(transform.blocks), config["paired"], config["turns"], config["num_warps"])


@dataclass(frozen=True)
class LongConvTile(_LongConv):
    """The kernel with the spectrum computed at every call."""

    name: ClassVar[str] = "long_conv.tile"

    def transform(self, call: Call) -> Transform:
        """The next power of two where lags do not wrap around."""
        length, taps = call["u"].shape[-1], call["k"].shape[-1]
        taps_rev = 0 if call["k_rev"] is None else call["k_rev"].shape[-1]
        asked = call["fft_size"] if call["lags"] == "circular" else 0
        size = transform_size(length, taps, taps_rev, call["lags"], asked, call["lag0"])
        if call["lags"] == "circular":
            return _circular(call, size, length, length)
        return Transform(_factored(call, size))

    def filter_spectrum(self, call: Call, transform: Transform) -> Tensor:
        """By one FFT in fp32."""
        k, k_rev, size = call["k"].float(), call["k_rev"], transform.period or transform.blocks.size
        if call["lags"] == "causal":
            k = k[..., : call["u"].shape[-1]]
        if call["lags"] == "circular":
            k = k[..., :size]
        behind = None if k_rev is None else k_rev.float()
        return spectrum(k, behind, lags=call["lags"], fft_size=size, lag0=call["lag0"])


@dataclass(frozen=True)
class LongConvSpectrumTile(_LongConv):
    """The kernel with a spectrum that is at hand."""

    name: ClassVar[str] = "long_conv_spectrum.tile"

    def transform(self, call: Call) -> Transform:
        """The spectrum's own where that is a tile's; only there are zero blocks left out."""
        factors: tuple[int, ...] = tuple(call["factors"] or ())
        kept: tuple[int, ...] = tuple(call["kept"] or ())
        if len(factors) in (2, 3) and all(side in SIDES for side in factors[-2:]):
            # An outer stage has a power of two from 16 on.
            outer, points = factors[:-2], math.prod(factors[-2:])
            largest = _inner(call["fft_size"]) if outer else _one_program(call)
            if points <= largest and all(n0 >= SIDES[0] and n0 & (n0 - 1) == 0 for n0 in outer):
                return Transform(SpectrumBlocks(factors, kept))
        return _circular(call, call["fft_size"], call["u"].shape[-1], call["length"])

    def filter_spectrum(self, call: Call, transform: Transform) -> Tensor:
        """As it is, without what its blocks leave out."""
        k_f, factors, kept = call["k_f"].to(torch.complex64), call["factors"], call["kept"]
        if factors and transform.blocks == transform.blocks.dense:
            k_f = k_f * SpectrumBlocks(tuple(factors), tuple(kept)).mask(k_f.device)
        return k_f


def _circular(call: Call, period: int, length: int, outputs: int) -> Transform:
    """At the period itself where a tile has it, else where all lags between inputs and outputs fit."""
    if period >= SMALLEST and (blocks := _factored(call, period)).size == period:
        return Transform(blocks)
    return Transform(_factored(call, length + outputs - 1), period)


def _one_program(call: Call) -> int:
    """Points of the largest transform in one program."""
    return LARGEST[call["u"].dtype] // (2 if call.training else 1)


def _inner(size: int) -> int:
    """Most points within an outer stage."""
    return WIDE_INNER if size > 128 * INNER else INNER


def _factored(call: Call, size: int) -> SpectrumBlocks:
    """The nearly square factors, the larger first, of the next power of two, within an outer stage if it is long."""
    bits = (max(size, SMALLEST) - 1).bit_length()
    outer: tuple[int, ...] = ()
    if 1 << bits > _one_program(call):
        # Three stages have no fewer points than this.
        bits = max(bits, (SIDES[0] ** 3).bit_length() - 1)
        outer = (max(SIDES[0], (1 << bits) // _inner(1 << bits)),)
    bits -= sum(n0.bit_length() - 1 for n0 in outer)
    factors = (*outer, 1 << (bits - bits // 2), 1 << (bits // 2))
    return SpectrumBlocks(factors, factors)


def _numbers(call: Call) -> list[Any]:
    return [call.arguments[name] for name in ("fft_size", "lag0", "length") if name in call.arguments]


def _leading(k: Tensor, skip: Tensor | None) -> tuple[Any, ...]:
    """The dimensions of a filter, or of skip, before its channels."""
    return tuple(k.shape[:-1] if k is skip else k.shape[:-2])


def _rows(k_f: Tensor) -> Tensor:
    """A filter for each channel, or one for all: [H or 1, bins]."""
    return k_f.reshape(-1, k_f.shape[-1])


def _sequences(gate: Tensor | None, u: Tensor, length: int) -> Tensor | None:
    return None if gate is None else gate.expand(*u.shape[:-1], length).reshape(-1, u.shape[-2], length)
