"""``attention_lse`` through PyTorch's flash and memory-efficient attention on NVIDIA GPUs, as ATen calls in a graph.

``aten._scaled_dot_product_flash_attention`` takes no mask, and causality of as many queries as keys;
``aten._scaled_dot_product_efficient_attention`` an additive mask, whose rows have to begin at multiples of 16 bytes.
Both give the natural log-sum-exp in fp32: flash attention [B, H, Tq], the other padded to a multiple of 32, and
neither promises -inf on a row that sees no key. Both want head sizes that are multiples of 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ...compiler.ops.registry import known
from ...compiler.rules import Decline
from ...lowering.candidates import Call, Candidate, Config
from ...lowering.targets import Target
from .libraries import scale_of, unsupported
from .rows import Stack, additive_mask

_flash = torch.ops.aten._scaled_dot_product_flash_attention.default
_efficient = torch.ops.aten._scaled_dot_product_efficient_attention.default

MULTIPLE = 8
"""Of the head size, and of a row of a mask, in halves."""
MOST_FEATURES = 256


@dataclass(frozen=True)
class AttentionLseSdpa(Candidate):
    """Flash attention where nothing but plain causality masks, memory-efficient attention elsewhere."""

    name: ClassVar[str] = "attention_lse.sdpa"
    kinds: ClassVar[frozenset[str]] = frozenset({"cuda"})

    def supports(self, call: Call, target: Target) -> Decline | None:
        """Halves, equal features of keys and values, some keys, no soft cap, no gradient."""
        if target.kind not in self.kinds or target.capability < (8, 0):
            return Decline("device", f"PyTorch's flash attention needs an NVIDIA GPU from sm_80 on, not {target.name}")
        decline = unsupported(call, (torch.float16, torch.bfloat16))
        if decline is not None:
            return decline
        if call["q"].dim() != 4:
            return Decline("rank", "there is no batch dimension", unblock="add one of size 1")
        if call["q"].shape[-1] > MOST_FEATURES:
            return Decline("head-dim", f"{call['q'].shape[-1]} features a head are more than {MOST_FEATURES}")
        if call.training:
            return Decline("gradient", "ATen gives no gradient of the log-sum-exp")
        if not known(call["k"].shape[-2] > 0) or not known(call["q"].shape[-2] > 0):
            return Decline("empty", "the kernels want at least one query and one key, and there may be none")
        return None

    def run(self, call: Call, config: Config, *constants: Tensor) -> Any:
        """Both results."""
        q, k, v = call["q"], call["k"], call["v"]
        features, keys = q.shape[-1], k.shape[-2]
        plain = call["bias"] is None and call["key_lengths"] is None
        causal = plain and call["mask"] == "causal" and known(call["offset"] == 0) and known(q.shape[-2] == keys)
        mask = None
        if not causal:
            masks = (call["bias"], call["key_lengths"], call["mask"], call["offset"], call["window"])
            mask = additive_mask(q, k, *masks)
        whole = q.shape[:3]
        if causal:
            stack = Stack(q.shape[0], q.shape[1], 1, q.shape[2], whole_batch=False)
            k, v = (each.repeat_interleave(q.shape[1] // k.shape[1], 1) for each in (k, v))
        else:
            stack = Stack.of(q, k, masked=mask is not None)
            mask = None if mask is None else stack.mask(mask)
        rows = stack.stack(q)
        k, v = (each.expand(rows.shape[0], -1, -1, -1) for each in (k, v))
        rows, k, v = (F.pad(each, (0, -features % MULTIPLE)) for each in (rows, k, v))
        if mask is None:
            out, lse, *_ = _flash(rows, k, v, 0.0, causal, False, scale=scale_of(call))
            lse = lse[..., : rows.shape[-2]]
        else:
            out, lse, *_ = _efficient(rows, k, v, _aligned(mask, rows, keys), True, 0.0, False, scale=scale_of(call))
            empty = (mask == -torch.inf).all(-1)
            out = out.masked_fill(empty.unsqueeze(-1), 0.0)
            lse = lse[..., : rows.shape[-2]].masked_fill(empty, -torch.inf)
        out, lse = stack.unstack(out[..., :features]), stack.unstack(lse)
        return out.reshape(*whole, features), lse.reshape(whole).contiguous()


def _aligned(mask: Tensor, rows: Tensor, keys: Any) -> Tensor:
    """The mask in the rows' dtype, expanded to the logits, in memory whose rows begin at multiples of 16 bytes."""
    whole = mask.to(rows.dtype).expand(*mask.shape[:-1], keys)
    return F.pad(whole, (0, -keys % MULTIPLE)).contiguous()[..., :keys].expand(*rows.shape[:3], keys)
