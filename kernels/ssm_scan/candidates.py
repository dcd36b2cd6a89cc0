"""``ssm_scan`` by one tile kernel, for :mod:`regraft.lowering.select`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...compiler.rules import Decline
from ...lowering.candidates import Call, Candidate, Config, Estimate, Reference, power_of_two, traffic
from ...lowering.targets import Target
from .op import DTYPES, ssm_scan

MOST_MODES = {"cuda": 32, "hip": 16}
"""More would spill."""


@dataclass(frozen=True)
class SsmScanReference(Reference):
    """The definition's products, in fp32 by a library, which fuses nothing into them."""

    name: ClassVar[str] = "ssm_scan.inductor"  # type: ignore[misc]
    operator: str = "ssm_scan"

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """Its three large products read u in fp32, and write what is then read again to be summed."""
        roofline = super().estimate(call, target, config)
        if roofline is None:
            return None
        u = call["u"]
        copies = 3 * 3 + (u.dtype != torch.float32)
        moved = traffic(call) + 4 * copies * u.numel()
        seconds = max(moved / target.memory_rate, roofline.flops / target.general_rate)
        return Estimate(seconds, roofline.flops, moved, roofline.floor_seconds)


@dataclass(frozen=True)
class SsmScanTile(Candidate):
    """u is read once and y written once; states stay in registers."""

    name: ClassVar[str] = "ssm_scan.tile"
    kinds: ClassVar[frozenset[str]] = frozenset({"cuda", "hip"})
    features: ClassVar[frozenset[str]] = frozenset({"several-dots", "chunk-scan"})

    def supports(self, call: Call, target: Target) -> Decline | None:
        """u in fp32 or a half, nothing in fp64, and no more than :data:`MOST_MODES`, on a GPU outside autocast."""
        if target.kind not in self.kinds:
            return Decline("device", f"tile kernels run on GPUs, not on {target.name}")
        if call.autocast:
            return Decline("autocast", "autocast would multiply in a lower precision")
        if call["u"].dtype not in DTYPES:
            return Decline("dtype", f"u is {call['u'].dtype}")
        if any(tensor.dtype == torch.float64 for tensor in call.tensors):
            return Decline("dtype", "a parameter or state in fp64 asks for fp64 throughout")
        modes, most = call["angle"].shape[-1], MOST_MODES[target.kind]
        if not isinstance(modes, int) or not 1 <= modes <= most:
            return Decline("many-modes", f"{modes} modes are not from 1 to {most}", unblock="fewer modes")
        return None

    def configs(self, call: Call, target: Target) -> Sequence[Config]:
        """Blocks of 16 chunks of 64 steps: the least a product takes on one side."""
        modes = max(16, power_of_two(call["angle"].shape[-1]))
        return ({"modes": modes, "chunk": 64, "chunks": 16, "num_warps": modes // 4},)

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """Its traffic, or its products: those with the states are in fp32."""
        roofline = Reference(call.op).estimate(call, target, config)
        if roofline is None:
            return None
        by_states = (8 * config["modes"] + 8 * config["chunks"] * config["modes"] / config["chunk"]) * call["u"].numel()
        within = 2 * config["chunk"] * call["u"].numel()
        work = by_states / target.general_rate + within / target.matmul_rate(call["u"].dtype)
        moved = traffic(call)
        seconds = max(moved / target.memory_rate, work)
        return Estimate(seconds, roofline.flops, moved, roofline.floor_seconds)

    def run(self, call: Call, config: Config, *constants: Tensor) -> Any:
        """The kernel; ``chunk`` of the call is the reference's affair."""
        tensors = [call["u"], *(call[name] for name in ("log_radius", "angle", "residue_re", "residue_im"))]
        sides = (config[name] for name in ("modes", "chunk", "chunks", "num_warps"))
        return ssm_scan(*tensors, call["skip"], call["initial_state"], *sides)
