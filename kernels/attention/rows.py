"""Stacking queries that read the same keys and values as rows, so that attention over them multiplies matrices.

q [B, Hq, Tq, D] and k [B or 1, Hkv, Tk, D] have G = Hq // Hkv query heads for each key head. Stacked, q is
[B, Hkv, G Tq, D]; where the whole batch shares k and nothing is masked, [1, Hkv, B G Tq, D]: Hydragen (arXiv
2402.05099), section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...compiler.ops.attention import combined_mask, key_mask


@dataclass(frozen=True)
class Stack:
    """How the rows of one call are stacked."""

    batch: int
    kv_heads: int
    group: int
    queries: int
    whole_batch: bool
    """Whether the rows of all batch elements are in one stack."""

    @classmethod
    def of(cls, q: Tensor, k: Tensor, *, masked: bool) -> Stack:
        """The largest stacks that the keys allow; rows of different batch elements do not mix where ``masked``."""
        batch, heads, queries = q.shape[:3]
        return cls(batch, k.shape[1], heads // k.shape[1], queries, k.shape[0] == 1 and not masked)

    def stack(self, tensor: Tensor) -> Tensor:
        """[B, Hq, Tq, ...] to rows."""
        split = tensor.unflatten(1, (self.kv_heads, self.group))
        return split.movedim(1, 0).flatten(1, 3).unsqueeze(0) if self.whole_batch else split.flatten(2, 3)

    def unstack(self, rows: Tensor) -> Tensor:
        """Rows to [B, Hq, Tq, ...]."""
        if self.whole_batch:
            return rows[0].unflatten(1, (self.batch, self.group, self.queries)).movedim(1, 0).flatten(1, 2)
        return rows.unflatten(2, (self.group, self.queries)).flatten(1, 2)

    def mask(self, mask: Tensor) -> Tensor:
        """A mask that broadcasts to [B, Hq, Tq, Tk], for the rows of each batch element."""
        mask = mask[(None,) * (4 - mask.dim())]
        if mask.shape[1] == mask.shape[2] == 1:
            return mask
        if mask.shape[1] == 1:
            return mask.expand(-1, self.group, -1, -1).flatten(1, 2).unsqueeze(1) if self.group > 1 else mask
        return mask.expand(-1, -1, self.queries, -1).unflatten(1, (self.kv_heads, self.group)).flatten(2, 3)


def additive_mask(
    q: Tensor, k: Tensor, bias: Tensor | None, key_lengths: Tensor | None, mask: str, offset: int, window: int
) -> Tensor | None:
    """All masks of a call in one that is added to the logits, in fp32 (fp64 for fp64); ``None`` if all is visible."""
    hidden = combined_mask(bias, key_mask(q, k, key_lengths, mask, offset, window))
    if hidden is None:
        return None
    dtype = torch.promote_types(q.dtype, torch.float32)
    if hidden.dtype == torch.bool:
        return torch.zeros_like(hidden, dtype=dtype).masked_fill_(~hidden, -torch.inf)
    return hidden.to(dtype)


def without_padding(k: Tensor, v: Tensor, key_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """k and v with zeros past each length: what is there may be NaN, which no weight of zero hides."""
    if k.shape[0] != key_lengths.shape[0]:
        return k, v
    past = torch.arange(k.shape[-2], device=k.device) >= key_lengths.unsqueeze(-1)
    past = past[:, None, :, None]
    return k.masked_fill(past, 0), v.masked_fill(past, 0)
