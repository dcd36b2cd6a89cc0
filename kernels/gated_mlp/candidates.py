"""``gated_mlp`` with act(gate) * up by one kernel; its three linear layers stay those of ATen.

Inductor fuses the same pointwise part into one kernel, so the estimate is no better than the reference's: a block is
taken over only where it was measured to be faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ...compiler.rules import Decline
from ...lowering.candidates import Call, Candidate, Config, Estimate, Reference
from ...lowering.targets import Target

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class GatedMlpTile(Candidate):
    """Gate and up read once, the hidden layer written once."""

    name: ClassVar[str] = "gated_mlp.tile"
    kinds: ClassVar[frozenset[str]] = frozenset({"cuda", "hip"})

    def supports(self, call: Call, target: Target) -> Decline | None:
        """fp32 and halves, a hidden layer of a fixed width, an activation the kernel has, on a GPU outside autocast."""
        from .program import SLOPES

        if target.kind not in self.kinds:
            return Decline("device", f"tile kernels run on GPUs, not on {target.name}")
        if call.autocast:
            return Decline("autocast", "autocast would cast the operands")
        if other := [tensor.dtype for tensor in call.tensors if tensor.dtype not in DTYPES]:
            return Decline("dtype", f"an operand is {other[0]}")
        if call["activation"] not in SLOPES:
            return Decline("activation", f"the kernel has no {call['activation']}")
        width = call["down_weight"].shape[1]
        if not isinstance(width, int) or width == 0:
            return Decline("width", f"the hidden layer has {width} features", unblock="a fixed number of features")
        return None

    def configs(self, call: Call, target: Target) -> Sequence[Config]:
        """The rows of a tile that the width suggests, then one and four."""
        return {"rows": 0}, {"rows": 1}, {"rows": 4}

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """That of the reference, and the hidden layer three times (gate, up, product) written and read."""
        roofline = Reference(call.op).estimate(call, target, config)
        if roofline is None:
            return None
        x, hidden = call["x"], call["down_weight"].shape[1]
        between = 6.0 * x.numel() // max(x.shape[-1], 1) * hidden * x.element_size()
        seconds = roofline.seconds + between / target.memory_rate
        return Estimate(seconds, roofline.flops, roofline.bytes + between, roofline.floor_seconds)

    def run(self, call: Call, config: Config, *constants: Tensor) -> Any:
        """Two linear layers or a fused one, the kernel, a linear layer."""
        from .op import gated_activation

        gate = F.linear(call["x"], call["gate_weight"], call["gate_bias"])
        if call["up_weight"] is None:
            gate, up = gate.chunk(2, dim=-1)
        else:
            up = F.linear(call["x"], call["up_weight"], call["up_bias"])
        hidden = gated_activation(gate, up, call["activation"], config["rows"])
        return F.linear(hidden, call["down_weight"], call["down_bias"])
