"""``rotary`` by one kernel that reads both features of a pair once.

Inductor fuses a rotation with its neighbours, too, and both are bound by the same traffic: the kernel's estimate is no
better than the reference's, so that it is taken only where it was measured to be faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...compiler.ops.registry import known
from ...compiler.rules import Decline
from ...lowering.candidates import Call, Candidate, Config, Estimate, Reference
from ...lowering.targets import Target

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
MOST_FEATURES = 1024


@dataclass(frozen=True)
class RotaryTile(Candidate):
    """Rows of one head at a time."""

    name: ClassVar[str] = "rotary.tile"
    kinds: ClassVar[frozenset[str]] = frozenset({"cuda", "hip"})

    def supports(self, call: Call, target: Target) -> Decline | None:
        """Up to four dimensions and 1024 features, in fp32 or halves, tables that broadcast to x, on a GPU."""
        if target.kind not in self.kinds:
            return Decline("device", f"tile kernels run on GPUs, not on {target.name}")
        if call.autocast:
            return Decline("autocast", "autocast would cast the operands")
        if other := [tensor.dtype for tensor in call.tensors if tensor.dtype not in DTYPES]:
            return Decline("dtype", f"an operand is {other[0]}")
        x, tables = call["x"], (call["cos"], call["sin"])
        if not 1 <= x.dim() <= 4:
            return Decline("rank", f"x has {x.dim()} dimensions, not 1 to 4", unblock="flatten the leading ones")
        fixed = [tensor.shape[-1] for tensor in (*tables, x)]
        if not all(isinstance(size, int) and 2 <= size <= MOST_FEATURES for size in fixed):
            return Decline("head-dim", f"x has {fixed[-1]} features, cos {fixed[0]}; tiles take from 2 to 1024")
        if any(not _broadcasts(table, x) for table in tables):
            return Decline("shapes", "cos or sin is larger than x along some dimension, and x would broadcast")
        return None

    def configs(self, call: Call, target: Target) -> Sequence[Config]:
        """The rows of a tile that the width suggests, then few and many."""
        return {"rows": 0}, {"rows": 4}, {"rows": 64}

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """That of the reference: the traffic."""
        return Reference(call.op).estimate(call, target, config)

    def run(self, call: Call, config: Config, *constants: Tensor) -> Any:
        """Rotate."""
        from .op import rotary

        return rotary(call["x"], call["cos"], call["sin"], call["interleaved"], False, "", config["rows"])


def _broadcasts(table: Tensor, x: Tensor) -> bool:
    """Whether every dimension of a table but the last is 1 or that of x, whatever symbolic sizes come to."""
    if table.dim() > x.dim():
        return False
    sizes = zip(reversed(table.shape[:-1]), reversed(x.shape[:-1]), strict=False)
    return all((isinstance(mine, int) and mine == 1) or known(mine == theirs) for mine, theirs in sizes)
