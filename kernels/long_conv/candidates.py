"""The ways to compute ``long_conv``, for :mod:`regraft.lowering.select`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ...compiler.analysis.cost_rules import OTHERS
from ...compiler.rules import Decline
from ...lowering.candidates import Call, Candidate, Config, Estimate, Reference, first_tensor, traffic
from ...lowering.targets import Target
from .direct import LAGS, direct_conv, taps_of
from .monarch import compute_dtype, dft_tables, monarch_conv, size_of


@dataclass(frozen=True)
class LongConvReference(Reference):
    """cuFFT or pocketfft, between pointwise kernels that they do not fuse with."""

    name: ClassVar[str] = "long_conv.inductor"  # type: ignore[misc]
    fused: ClassVar[bool] = False
    operator: str = "long_conv"

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """Fourteen passes over u in fp32: PyTorch's FFT convolution makes 12 to 16 (FlashFFTConv, section 3)."""
        if not target.known:
            return None
        rest, _ = OTHERS["regraft", call.op](call.arguments.__getitem__, first_tensor(call.result))
        moved, passes = traffic(call), 14 * 4 * call["u"].numel()
        floor, flops = moved / target.memory_rate, float(rest)
        return Estimate(max(passes / target.memory_rate, flops / target.general_rate), flops, passes, floor)

    def bucket(self, call: Call) -> str:
        """Rows, length and taps."""
        u = call["u"]
        return bucket(u.numel() // max(u.shape[-1], 1), u.shape[-1], taps_of(call.arguments))


@dataclass(frozen=True)
class FoldedReference(LongConvReference):
    """The same with the filter's spectrum at hand."""

    name: ClassVar[str] = "long_conv_spectrum.inductor"  # type: ignore[misc]
    operator: str = "long_conv_spectrum"

    def bucket(self, call: Call) -> str:
        """Rows, length, and whether the transform is about as long as the input or about twice that."""
        u = call["u"]
        rows, _, _ = bucket(u.numel() // max(u.shape[-1], 1), u.shape[-1], 1).rpartition(", ")
        return f"{rows}, {'padded' if 2 * call['fft_size'] > 3 * u.shape[-1] else 'close'}"


LENGTHS = tuple(4**n for n in range(4, 9))
ROWS = tuple(4**n for n in range(7))
TAPS = tuple(2**n for n in range(2, 10))
MOST_ELEMENTS = 2**22


def bucket(rows: int, length: int, taps: int) -> str:
    """``"rows 256, length 4096, taps 64"``: the least of :data:`ROWS`, :data:`LENGTHS`, :data:`TAPS` not below.

    Beyond the last, and beyond :data:`MOST_ELEMENTS`, ratios no longer change, and the last stands for all; of more
    taps, which only a transform can be quick with, ``"taps all"`` is as many as there are samples.
    """
    shown = _least(TAPS, min(taps, length)) if min(taps, length) <= TAPS[-1] else "all"
    long = _least(LENGTHS, length)
    return f"rows {min(_least(ROWS, rows), MOST_ELEMENTS // long)}, length {long}, taps {shown}"


def _least(sizes: tuple[int, ...], size: int) -> int:
    return next((known for known in sizes if known >= size), sizes[-1])


@dataclass(frozen=True)
class Direct(Candidate):
    """A grouped conv1d. Not for GPUs, where it may round fp32 to TF32."""

    name: ClassVar[str] = "long_conv.direct"
    kinds: ClassVar[frozenset[str]] = frozenset({"cpu"})

    def supports(self, call: Call, target: Target) -> Decline | None:
        """Linear lag maps, one filter of fixed length a channel."""
        if call.autocast:
            return Decline("autocast", "autocast would compute the convolution in a lower precision")
        if call["lags"] not in LAGS:
            return Decline("circular", f"{call['lags']} lags wrap around")
        filters = [k for k in (call["k"], call["k_rev"]) if k is not None]
        fixed = [*(size for k in filters for size in k.shape), call["u"].shape[-2], call["lag0"]]
        if not all(isinstance(size, int) for size in fixed):
            return Decline("filter-dynamic", "the number of taps or channels is symbolic")
        if any(size != 1 for k in filters for size in k.shape[:-2]):
            return Decline("filter-per-sample", "each sample has its own filter")
        if any(_channels(k) not in (1, call["u"].shape[-2]) for k in filters):
            return Decline("filter-per-sample", "u broadcasts to the channels of the filter")
        if call["lags"] == "taps" and not 0 <= call["lag0"] < call["k"].shape[-1]:
            return Decline("lag-outside", "no tap is at lag 0")
        return None

    def run(self, call: Call, config: Config, *constants: Tensor) -> Tensor:
        """Pad and convolve."""
        return direct_conv(call.arguments)


@dataclass(frozen=True)
class Monarch(Candidate):
    """Two matrix products each way. Not for GPUs, where a tile kernel fuses them."""

    name: ClassVar[str] = "long_conv.monarch"
    kinds: ClassVar[frozenset[str]] = frozenset({"cpu"})

    def supports(self, call: Call, target: Target) -> Decline | None:
        """Fixed sizes that are powers of two, or may be made so."""
        if call.autocast:
            return Decline("autocast", "autocast would multiply the matrices in a lower precision")
        if call.free_sizes:
            return Decline("length-dynamic", "the matrices are made for one length")
        if (size := size_of(call.arguments)) & (size - 1):
            return Decline("size-odd", f"a period of {size} is no power of two")
        return None

    def constants(self, call: Call, config: Config) -> tuple[Tensor, ...]:
        """The DFT matrices and twiddles."""
        return dft_tables(size_of(call.arguments), compute_dtype(call.arguments), call["u"].device)

    def run(self, call: Call, config: Config, *constants: Tensor) -> Tensor:
        """Multiply matrices."""
        return monarch_conv(call.arguments, *constants)


def _channels(k: Tensor) -> Any:
    return k.shape[-2] if k.dim() > 1 else 1
