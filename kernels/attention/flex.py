"""``attention_lse`` through PyTorch's ``flex_attention`` (FlexAttention, arXiv 2412.05496), compiled on its own.

The kernel operator ``regraft_flex::attention_lse`` takes q [B, Hq, Tq, D], k [B or 1, Hkv, Tk, D] and v [B or 1, Hkv,
Tk, Dv] of any strides in fp32, fp16 or bf16 and gives out [B, Hq, Tq, Dv] in q's dtype and lse [B, Hq, Tq] in fp32,
both contiguous, as :mod:`regraft.compiler.ops.attention` defines them; no gradients. Biases and soft caps modify the
scores; mask kinds, key lengths and boolean masks are a block mask, whose blocks are counted and never looked at one
pair at a time. Products of fp32 are exact unless ``torch.set_float32_matmul_precision`` asks for less.

PyTorch (2.13) compiles it with a log-sum-exp for GPUs only. On CPU tensors its eager definition runs, which tests use:
it says that what is handed over here, and what comes back, means the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...compiler.ops.attention import sees
from ...compiler.rules import Decline
from ...lowering.candidates import GPUS, Call, Candidate, Config
from ...lowering.targets import Target
from .candidates import DTYPES, foreign
from .libraries import scale_of
from .masks import Visible
from .rows import Stack

FEWEST_FEATURES = 16
"""Sides of a Triton product are not less."""
BLOCK = 128
"""Rows and keys of a block of the block mask."""
MOST_VARIANTS = 64
"""Kernels of different masks, biases and shapes that one process may compile; past them it is an error."""


@dataclass(frozen=True)
class AttentionLseFlex(Candidate):
    """PyTorch's compiled flex_attention. Nobody knows what it takes but by measuring: it has no estimate."""

    name: ClassVar[str] = "attention_lse.flex"
    kinds: ClassVar[frozenset[str]] = GPUS

    def supports(self, call: Call, target: Target) -> Decline | None:
        """Every mask, bias and soft cap; heads of 16 features or more, one dtype, no gradient."""
        q, v, bias = call["q"], call["v"], call["bias"]
        if target.kind not in self.kinds:
            return Decline("device", f"flex_attention gives its log-sum-exp on GPUs, not on {target.name}")
        decline = foreign(call, DTYPES)
        if decline is not None:
            return decline
        if q.dim() != 4:
            return Decline("rank", "there is no batch dimension", unblock="add one of size 1")
        if min(q.shape[-1], v.shape[-1]) < FEWEST_FEATURES:
            return Decline("head-dim", f"{min(q.shape[-1], v.shape[-1])} features a head are under {FEWEST_FEATURES}")
        if bias is not None and bias.dtype not in (torch.bool, *DTYPES):
            return Decline("dtype", f"the bias is {bias.dtype}")
        if call.training:
            return Decline("gradient", "the operator gives no gradient")
        return None

    def run(self, call: Call, config: Config, *constants: Tensor) -> Any:
        """Both results."""
        tensors = (call[name] for name in ("q", "k", "v", "bias", "key_lengths"))
        masks = call["mask"], call["offset"], call["window"]
        return attention_lse(*tensors, *masks, scale_of(call), float(call["softcap"]))


@torch.library.custom_op("regraft_flex::attention_lse", mutates_args=())
def attention_lse(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    mask: str,
    offset: int,
    window: int,
    scale: float,
    softcap: float,
) -> tuple[Tensor, Tensor]:
    """Attention and its natural log-sum-exp; arguments as for ``regraft::attention_lse``."""
    out, lse = _results(q, v)
    keys = k.shape[2]
    if 0 in (out.numel(), keys):
        return out.zero_(), lse.fill_(-torch.inf)
    masked = key_lengths is not None or not (mask == "none" or (mask == "causal" and offset >= keys - 1))
    # Without a bias, queries that read the same keys are rows of one product; with one, they are told apart.
    stack = Stack.of(q, k, masked=False) if bias is None and not masked else None
    if stack is None:
        k, v = (each.expand(q.shape[0], -1, -1, -1) for each in (k, v))
    rows = q if stack is None else stack.stack(q)
    bias = None if bias is None else bias.expand(*q.shape[:3], keys)
    allowed = bias if bias is not None and bias.dtype == torch.bool else None
    added = bias if allowed is None else None
    blocks = None
    if masked or allowed is not None:
        blocks = _block_mask(q, keys, allowed, key_lengths, mask, offset, window)
    made = _attend(rows, k, v, _modified(added, softcap), blocks, scale)
    if stack is not None:
        made = tuple(stack.unstack(each) for each in made)
    out.copy_(made[0])
    lse.copy_(made[1])
    return out, lse


@attention_lse.register_fake
def _(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    mask: str,
    offset: int,
    window: int,
    scale: float,
    softcap: float,
) -> tuple[Tensor, Tensor]:
    return _results(q, v)


def _results(q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    return q.new_empty((*q.shape[:-1], v.shape[-1])), q.new_empty(q.shape[:-1], dtype=torch.float32)


def _attend(q: Tensor, k: Tensor, v: Tensor, score: Any, blocks: Any, scale: float) -> tuple[Tensor, Tensor]:
    """flex_attention: compiled on a GPU, where a kernel that cannot be compiled is an error and never written out."""
    from torch._dynamo import config
    from torch.nn.attention.flex_attention import AuxRequest, flex_attention

    attend: Any = flex_attention if q.device.type == "cpu" else _compiled()
    with torch.no_grad(), config.patch(recompile_limit=MOST_VARIANTS):
        out, also = attend(
            *(each.detach() for each in (q, k, v)),
            score_mod=score,
            block_mask=blocks,
            scale=scale,
            enable_gqa=q.shape[1] != k.shape[1],
            return_aux=AuxRequest(lse=True),
        )
    return out, also.lse


@functools.cache
def _compiled() -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, fullgraph=True)


def _modified(bias: Tensor | None, softcap: float) -> Callable[..., Tensor] | None:
    """What becomes of a score; ``bias`` is [B, Hq, Tq, Tk]."""
    if bias is None and not softcap:
        return None

    def score(logit: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        capped = softcap * torch.tanh(logit / softcap) if softcap else logit
        return capped if bias is None else capped + bias[b, h, i, j]

    return score


def _block_mask(
    q: Tensor, keys: int, allowed: Tensor | None, lengths: Tensor | None, mask: str, offset: int, window: int
) -> Any:
    """Which blocks of keys each block of queries visits, and which of them without a mask."""
    from torch.nn.attention.flex_attention import BlockMask

    def visible(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        seen = j >= 0 if mask == "none" else sees(i + offset, j, mask, window)
        seen = seen if lengths is None else seen & (j < lengths[b])
        return seen if allowed is None else seen & allowed[b, h, i, j]

    begin, full, full_end, end = _intervals(mask, offset, window, q.shape[2], keys, q.device)
    if lengths is not None:
        ends = lengths.clamp(0, keys).to(torch.int32)[:, None, None]
        end, full_end = torch.minimum(end, (ends + BLOCK - 1) // BLOCK), torch.minimum(full_end, ends // BLOCK)
    if allowed is not None:
        full_end = torch.zeros_like(full_end)
    end = torch.maximum(begin, end)
    full = torch.minimum(full, end)
    full_end = torch.maximum(full, torch.minimum(full_end, end))
    each = torch.arange(-(-keys // BLOCK), dtype=torch.int32, device=q.device)
    before = (full - begin).unsqueeze(-1)
    partial = torch.where(each < before, begin.unsqueeze(-1) + each, full_end.unsqueeze(-1) + each - before)
    whole = full.unsqueeze(-1) + each
    last = each.numel() - 1
    return BlockMask.from_kv_blocks(
        (full - begin) + (end - full_end),
        partial.clamp(max=last),
        full_end - full,
        whole.clamp(max=last),
        BLOCK_SIZE=BLOCK,
        mask_mod=visible,
        seq_lengths=(q.shape[2], keys),
    )


@functools.lru_cache(maxsize=64)
def _intervals(
    mask: str, offset: int, window: int, queries: int, keys: int, device: torch.device
) -> tuple[Tensor, ...]:
    """Of each block of queries the blocks of keys that it sees, and those all of it sees: int32 [1, 1, blocks] each."""
    seen, rows = Visible(mask, offset, window), []
    for start in range(0, queries, BLOCK):
        last = min(start + BLOCK, queries) - 1
        first, all_first = (0 if found is None else max(int(found), 0) for found in map(seen.first, (start, last)))
        until, all_until = (
            keys if found is None else min(int(found) + 1, keys) for found in map(seen.last, (last, start))
        )
        # The queries past the last one see nothing.
        whole = all_until // BLOCK if start + BLOCK <= queries else 0
        rows.append((first // BLOCK, -(-all_first // BLOCK), whole, -(-until // BLOCK)))
    return tuple(torch.tensor(rows, dtype=torch.int32, device=device).T[:, None, None])
