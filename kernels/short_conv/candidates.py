"""``short_conv`` by one kernel that passes u once, activation included, in the layout that u has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ...compiler.rules import Decline
from ...lowering.candidates import Call, Candidate, Config, Estimate, Reference, traffic
from ...lowering.targets import Target
from .op import DTYPES, short_conv

MOST_TAPS = 8
LIBRARY_SLOWDOWN = 5.5
"""How many times longer than a kernel of one pass PyTorch's depthwise conv1d takes: the least of the 5.5 to 7.3 that
the README of FlashFFTConv (arXiv 2311.05908) gives for 5 taps on an H100. Taken for any number of taps and any GPU."""


@dataclass(frozen=True)
class ShortConvReference(Reference):
    """On a GPU ``aten.conv1d``, a library's call, with the activation in a kernel after it."""

    name: ClassVar[str] = "short_conv.inductor"  # type: ignore[misc]
    operator: str = "short_conv"

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """The traffic times :data:`LIBRARY_SLOWDOWN`."""
        roofline = super().estimate(call, target, config)
        if roofline is None:
            return None
        seconds = LIBRARY_SLOWDOWN * roofline.floor_seconds
        return Estimate(max(seconds, roofline.seconds), roofline.flops, roofline.bytes, roofline.floor_seconds)


@dataclass(frozen=True)
class ShortConvTile(Candidate):
    """Tiles of channels and times, read once per tap, shifted."""

    name: ClassVar[str] = "short_conv.tile"
    kinds: ClassVar[frozenset[str]] = frozenset({"cuda", "hip"})

    def supports(self, call: Call, target: Target) -> Decline | None:
        """One dtype, fp32 or a half, and a fixed number of taps up to :data:`MOST_TAPS`, outside autocast."""
        if target.kind not in self.kinds:
            return Decline("device", f"tile kernels run on GPUs, not on {target.name}")
        if call.autocast:
            return Decline("autocast", "autocast would cast the operands")
        dtypes = {tensor.dtype for tensor in call.tensors}
        if len(dtypes) > 1 or call.dtype not in DTYPES:
            return Decline("dtype", f"operands are {', '.join(sorted(map(str, dtypes)))}")
        taps = call["k"].shape[1]
        if not isinstance(taps, int) or not 1 <= taps <= MOST_TAPS:
            return Decline("many-taps", f"{taps} taps are not from 1 to {MOST_TAPS}", unblock="a long convolution")
        return None

    def configs(self, call: Call, target: Target) -> Sequence[Config]:
        """Tiles long in the dimension that lies together in memory, 1024 elements first."""
        *_, along_channels, along_time = (stride for stride in call["u"].stride())
        if _is_one(along_channels) and not _is_one(along_time):
            sides = (64, 16), (32, 32), (128, 16)
        else:
            sides = (4, 256), (1, 1024), (2, 256)
        return tuple({"channels": channels, "times": times} for channels, times in sides)

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """Its traffic, or where that takes longer, its reads from cache: a lane's for every tap of an element."""
        roofline = Reference(call.op).estimate(call, target, config)
        if roofline is None:
            return None
        reads = 4 * call["u"].numel() * call["k"].shape[1]
        seconds = max(roofline.seconds, reads / target.sram_rate)
        return Estimate(seconds, roofline.flops, traffic(call), roofline.floor_seconds)

    def run(self, call: Call, config: Config, *constants: Tensor) -> Tensor:
        """One call; u without a batch is a batch of one."""
        u, sides = call["u"], (config["channels"], config["times"])
        if u.dim() == 2:
            return short_conv(u.unsqueeze(0), call["k"], call["bias"], call["activation"], *sides).squeeze(0)
        return short_conv(u, call["k"], call["bias"], call["activation"], *sides)


def _is_one(stride: Any) -> bool:
    # A symbolic stride is not asked: that would settle its size.
    return isinstance(stride, int) and stride == 1
