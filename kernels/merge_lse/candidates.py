"""``merge_lse`` as a tile program: every part is read once, where Inductor stacks the log-sum-exps first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...compiler.rules import Decline
from ...lowering.candidates import Call, Candidate, Config, Estimate, traffic
from ...lowering.targets import Target

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
MOST_PARTS, MOST_FEATURES = 16, 1024


@dataclass(frozen=True)
class MergeLseTiles(Candidate):
    """Rows of all parts to rows of the result."""

    name: ClassVar[str] = "merge_lse.tile"
    kinds: ClassVar[frozenset[str]] = frozenset({"cuda", "hip"})

    def supports(self, call: Call, target: Target) -> Decline | None:
        """A few parts of one shape, in fp32 or halves, of up to 1024 features."""
        outs, lses = call["outs"], call["lses"]
        if target.kind not in self.kinds:
            return Decline("device", f"tile kernels run on GPUs, not on {target.name}")
        odd = next((tensor.dtype for tensor in (*outs, *lses) if tensor.dtype not in DTYPES), None)
        if odd is not None:
            return Decline("dtype", f"a part is {odd}")
        if len(outs) > MOST_PARTS:
            return Decline("parts", f"{len(outs)} parts are more than {MOST_PARTS}", unblock="merge them in a tree")
        features = outs[0].shape[-1]
        if not isinstance(features, int) or not 1 <= features <= MOST_FEATURES:
            return Decline("head-dim", f"{features} features are not from 1 to {MOST_FEATURES}")
        if any(tensor.dim() != 4 for tensor in outs):
            return Decline("rank", "the parts are not [batch, heads, time, features]")
        shapes = {str(tuple(tensor.shape)) for tensor in outs}, {str(tuple(tensor.shape)) for tensor in lses}
        if max(map(len, shapes)) > 1:
            return Decline("shapes", "the parts differ in shape, and broadcast")
        return None

    def configs(self, call: Call, target: Target) -> Sequence[Config]:
        """Rows for some 2048 elements a tile."""
        width = 1 << (call["outs"][0].shape[-1] - 1).bit_length()
        rows = max(1, min(64, 2048 // width))
        return tuple({"rows": n, "num_warps": 4} for n in dict.fromkeys((rows, max(1, rows // 4))))

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """The traffic."""
        if not target.known:
            return None
        moved = traffic(call)
        floor = moved / target.memory_rate
        return Estimate(floor, 3.0 * sum(out.numel() for out in call["outs"]), moved, floor)

    def run(self, call: Call, config: Config, *constants: Tensor) -> Any:
        """Merge."""
        from .op import merge_lse

        return merge_lse(call["outs"], call["lses"], config["rows"], config["num_warps"])
