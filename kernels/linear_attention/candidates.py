"""``linear_attention`` by tile kernels, for :mod:`regraft.lowering.select`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...compiler.rules import Decline
from ...lowering.candidates import Call, Candidate, Config, Estimate, Reference, power_of_two, traffic
from ...lowering.targets import Target
from .op import DTYPES, linear_attention

WIDEST = 256


@dataclass(frozen=True)
class LinearAttentionTile(Candidate):
    """Two kernels forward: the states chunk after chunk, then the outputs of all chunks at once."""

    name: ClassVar[str] = "linear_attention.tile"
    kinds: ClassVar[frozenset[str]] = frozenset({"cuda", "hip"})
    features: ClassVar[frozenset[str]] = frozenset({"several-dots", "chunk-scan"})

    def supports(self, call: Call, target: Target) -> Decline | None:
        """q, k and v of one dtype, fp32 or halves, of a fixed width up to 256, on a GPU outside autocast."""
        if target.kind not in self.kinds:
            return Decline("device", f"tile kernels run on GPUs, not on {target.name}")
        if call.autocast:
            return Decline("autocast", "autocast would multiply in a lower precision")
        dtypes = {call[name].dtype for name in ("q", "k", "v")}
        if len(dtypes) > 1 or not dtypes <= set(DTYPES):
            return Decline("dtype", f"q, k and v are {', '.join(sorted(map(str, dtypes)))}")
        kept = (call["decay"], call["initial_state"])
        if any(tensor is not None and tensor.dtype == torch.float64 for tensor in kept):
            return Decline("dtype", "a decay or state in fp64 asks for fp64 throughout")
        fixed = [*(call[name].shape[1] for name in ("q", "k", "v")), call["q"].shape[-1], call["v"].shape[-1]]
        if not all(isinstance(size, int) and size > 0 for size in fixed):
            return Decline("width", "heads or widths are symbolic or 0", unblock="fixed numbers of heads and widths")
        if max(fixed[-2:]) > WIDEST:
            return Decline("width", f"a head is {max(fixed[-2:])} wide; tiles are for up to {WIDEST}")
        return None

    def configs(self, call: Call, target: Target) -> Sequence[Config]:
        """Chunks of 64 in tiles of 64; fp32, which the matrix units do not take, in chunks of 16.

        Where products accumulate in the registers of a warp, the backward of a chunk of 64 would spill: 32 there.
        """
        k, v = (max(16, power_of_two(call[name].shape[-1])) for name in ("q", "v"))
        if call.dtype == torch.float32:
            return (_config(16, min(k, 64), min(v, 32), 4),)
        whole_blocks = target.kind == "hip" or target.capability[0] in (9, 10)
        usual = _config(64 if whole_blocks else 32, min(k, 64), min(v, 64), 8)
        if k <= 64 or target.capability[0] not in (9, 10):
            return (usual,)
        return usual, _config(64, 128, min(v, 64), 8)

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """Its traffic with the states written and read once, or its products."""
        roofline = Reference(call.op).estimate(call, target, config)
        if roofline is None:
            return None
        state = call.result[1]
        chunks = -(-call["q"].shape[2] // config["chunk"])
        kept = 2 * chunks * state.numel() * (2 if call.dtype == torch.bfloat16 else 4)
        moved = traffic(call) + kept
        seconds = max(moved / target.memory_rate, roofline.seconds)
        return Estimate(seconds, roofline.flops, moved, roofline.floor_seconds)

    def run(self, call: Call, config: Config, *constants: Tensor) -> Any:
        """The kernels; ``chunk`` of the call is the reference's affair."""
        tensors = (call[name] for name in ("q", "k", "v", "decay", "initial_state"))
        sides = (config[name] for name in ("chunk", "block_k", "block_v", "num_warps", "num_stages"))
        return linear_attention(*tensors, call["scale"], *sides)


def _config(chunk: int, block_k: int, block_v: int, warps: int) -> Config:
    return {"chunk": chunk, "block_k": block_k, "block_v": block_v, "num_warps": warps, "num_stages": 1}
