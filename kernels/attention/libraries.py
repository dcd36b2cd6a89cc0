"""``attention_lse`` through PyTorch's own flash kernels: what each takes, and how its results are made to agree.

A kernel that computes the output alone cannot be split; these also give the log-sum-exp, each in its own layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...compiler.ops.registry import known
from ...compiler.rules import Decline
from ...lowering.candidates import Call, Candidate, Config, Estimate
from ...lowering.targets import Target
from .candidates import foreign, on_cpu


@dataclass(frozen=True)
class AttentionLseFlash(Candidate):
    """PyTorch's flash attention for CPUs; every mask, as one that is added to the logits."""

    name: ClassVar[str] = "attention_lse.flash"
    kinds: ClassVar[frozenset[str]] = frozenset({"cpu"})
    reads_padding: ClassVar[bool] = False
    """Whether a NaN in a key past its length gets into the result."""

    def supports(self, call: Call, target: Target) -> Decline | None:
        """One dtype, equal features of keys and values, no soft cap, no gradient of a bias."""
        if target.kind not in self.kinds:
            return Decline("device", f"this is PyTorch's kernel for CPUs, not for {target.name}")
        return unsupported(call, (torch.float64, torch.float32, torch.float16, torch.bfloat16))

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """The time it takes eagerly, as no compiler changes it."""
        return on_cpu(call, target, self.own_name)

    def run(self, call: Call, config: Config, *constants: Tensor) -> Any:
        """Both results."""
        from .cpu import attention_lse

        q, k, v, lengths = call["q"], call["k"], call["v"], call["key_lengths"]
        given = (call["mask"], call["offset"], call["window"], scale_of(call))
        if q.dim() == 4:
            return attention_lse(q, k, v, call["bias"], lengths, *given)
        q, k, v = (each.unsqueeze(0) for each in (q, k, v))
        lengths = None if lengths is None else lengths.unsqueeze(0)
        out, lse = attention_lse(q, k, v, call["bias"], lengths, *given)
        return out.squeeze(0), lse.squeeze(0)


def unsupported(call: Call, dtypes: tuple[torch.dtype, ...]) -> Decline | None:
    """What none of these kernels takes."""
    q, k, v, bias = call["q"], call["k"], call["v"], call["bias"]
    decline = foreign(call, dtypes)
    if decline is not None:
        return decline
    if q.shape[-1] != v.shape[-1]:
        return Decline("head-dim", f"keys have {q.shape[-1]} features a head and values {v.shape[-1]}")
    if not q.shape[-1]:
        return Decline("head-dim", "heads have no features")
    if k.dim() == 4 and not known(k.shape[0] == v.shape[0]):
        return Decline("batch", f"keys have a batch of {k.shape[0]} and values one of {v.shape[0]}")
    if call["softcap"]:
        return Decline("softcap", "the kernel has no soft cap")
    if bias is not None and bias.dtype != torch.bool and call.training:
        return Decline("bias-gradient", "the kernel gives no gradient of a bias", unblock="a boolean mask")
    return None


def scale_of(call: Call) -> float:
    """The scale, its default filled in."""
    return call["q"].shape[-1] ** -0.5 if call["scale"] is None else float(call["scale"])
