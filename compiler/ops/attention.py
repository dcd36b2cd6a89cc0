"""Scaled dot-product attention with its mask spelled out, and the form that also gives the log-sum-exp.

Shapes (B stands for any leading batch dimensions, which may be 1 in k and v to be shared by the whole batch):
q [B, Hq, Tq, D], k [B, Hkv, Tk, D], v [B, Hkv, Tk, Dv], out [B, Hq, Tq, Dv]. Query head h reads key/value head
h // (Hq // Hkv). Which keys j a query i may see, with r = i + offset its position among the keys:

=======================  ==============================
mask                     visible
=======================  ==============================
none                     every j
causal                   j <= r
sliding                  r - window < j <= r
sliding_bidirectional    abs(j - r) < window
prefix                   j <= r or j < window
block_diagonal           j // window == r // window
block_causal             j // window <= r // window
=======================  ==============================

``offset=0`` is upper-left causality, as ``is_causal`` of SDPA; lower-right is ``offset = Tk - Tq``. ``bias`` broadcasts
to [B, Hq, Tq, Tk]; it is added to the logits if floating-point, and True where attending if boolean. ``key_lengths``
(int64 [B]) hides keys j >= length. A key is visible when all three allow it. A row that sees no key gives 0, as SDPA's
math and CPU flash paths do for boolean and -inf masks (torch 2.13), and passes no gradient.

The log-sum-exp is what parts of an attention need to be merged exactly: Hydragen (arXiv 2402.05099), section 3.1.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .registry import Call, accumulation_dtype, declare, known, one_of, require

MASKS = ("none", "causal", "sliding", "sliding_bidirectional", "prefix", "block_diagonal", "block_causal")
WINDOWED = MASKS[2:]

_TENSORS = "Tensor q, Tensor k, Tensor v, Tensor? bias=None, Tensor? key_lengths=None"
_ATTRIBUTES = 'str mask="none", SymInt offset=0, SymInt window=0, float? scale=None, float softcap=0.0'


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None = None,
    key_lengths: Tensor | None = None,
    *,
    mask: str = "none",
    offset: int = 0,
    window: int = 0,
    scale: float | None = None,
    softcap: float = 0.0,
    dropout: float = 0.0,
) -> Tensor:
    """Softmax attention of q over the visible keys: [B, Hq, Tq, Dv] in q's dtype.

    ``scale`` defaults to 1 / sqrt(D). ``softcap`` c > 0 turns the logits into c * tanh(logits / c) before masking.
    ``dropout`` is applied to the probabilities whenever it is not zero, as SDPA does. Without a soft cap this is
    ``aten.scaled_dot_product_attention`` with the cheapest arguments that say the same; with one it is written out,
    softmax in fp32.

    Raises ``ValueError`` for an unknown mask, a window or offset that the mask does not use, a window that is missing,
    ranks that do not fit, or query heads that are no multiple of the key heads.
    """
    _check("attention", q, k, v, bias, key_lengths, mask, offset, window, softcap)
    require("attention", "dropout", 0.0 <= dropout <= 1.0, "a probability", dropout)
    k, v = _share_batch(q, k), _share_batch(q, v)
    upper_left = mask == "causal" and bias is None and key_lengths is None and known(offset == 0)
    if softcap:
        logits = _logits(q, k, scale, softcap)
        visible = key_mask(q, k, key_lengths, mask, offset, window)
        dtype = accumulation_dtype([q.dtype])
        if bias is None and key_lengths is None and _every_row_sees(q, k, mask, offset):
            logits = logits if visible is None else torch.where(visible, logits, -math.inf)
            weights = logits.softmax(-1, dtype=dtype).to(q.dtype)
        else:
            logits, empty = _hide(logits, bias, visible)
            weights = logits.softmax(-1, dtype=dtype).masked_fill(empty, 0.0).to(q.dtype)
        return _grouped_matmul(F.dropout(weights, dropout) if dropout else weights, v)
    return F.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=None if upper_left else combined_mask(bias, key_mask(q, k, key_lengths, mask, offset, window)),
        dropout_p=dropout,
        is_causal=upper_left,
        scale=scale,
        enable_gqa=not known(q.shape[-3] == k.shape[-3]),
    )


def attention_lse(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None = None,
    key_lengths: Tensor | None = None,
    *,
    mask: str = "none",
    offset: int = 0,
    window: int = 0,
    scale: float | None = None,
    softcap: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Attention and the natural log-sum-exp of its (scaled, capped, masked) logits, for merging with other parts.

    out is [B, Hq, Tq, Dv] in q's dtype, lse contiguous [B, Hq, Tq] in fp32 (fp64 for fp64 inputs). A row that sees no
    key has out 0 and lse -inf, never NaN, in the gradients too; Tk may be 0. Logits, softmax and the sum over the
    values are taken in lse's dtype. Arguments and errors are those of ``attention``.
    """
    _check("attention_lse", q, k, v, bias, key_lengths, mask, offset, window, softcap)
    k, v = _share_batch(q, k), _share_batch(q, v)
    dtype = accumulation_dtype([q.dtype, k.dtype, v.dtype])
    logits = _logits(q.to(dtype), k.to(dtype), scale, softcap)
    visible = key_mask(q, k, key_lengths, mask, offset, window)
    if bias is None and key_lengths is None and _every_row_sees(q, k, mask, offset):
        logits = logits if visible is None else torch.where(visible, logits, -math.inf)
        out = _grouped_matmul(logits.softmax(-1), v.to(dtype)).to(q.dtype)
        return out, logits.logsumexp(-1).contiguous()
    logits, empty = _hide(logits, bias, visible)
    lse = logits.logsumexp(-1, keepdim=True)
    weights = logits.softmax(-1).masked_fill(empty, 0.0)
    out = _grouped_matmul(weights, v.to(dtype)).to(q.dtype)
    return out, lse.masked_fill(empty, -math.inf).squeeze(-1).contiguous()


def _logits(q: Tensor, k: Tensor, scale: float | None, softcap: float) -> Tensor:
    logits = _grouped_matmul(q, k.mT) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    return torch.tanh(logits / softcap) * softcap if softcap else logits


def _grouped_matmul(a: Tensor, b: Tensor) -> Tensor:
    """[.., Hq, M, K] @ [.., Hkv, K, N], the query heads of one key head stacked as rows so that b is never repeated."""
    heads, kv_heads = a.shape[-3], b.shape[-3]
    if known(heads == kv_heads):
        return a @ b
    # einsum, since to stack them by hand is to guard on the number of rows
    grouped = torch.unflatten(a, -3, (kv_heads, heads // kv_heads))
    return torch.einsum("...gmk,...kn->...gmn", grouped, b).flatten(-4, -3)


def _share_batch(q: Tensor, kv: Tensor) -> Tensor:
    """Expand the batch dimensions of size 1 to q's, as a view."""
    batch = list(zip(q.shape[:-3], kv.shape[:-3], strict=True))
    if not any(known(theirs == 1) and not known(ours == 1) for ours, theirs in batch):
        return kv
    return kv.expand(*[ours if known(theirs == 1) else theirs for ours, theirs in batch], *kv.shape[-3:])


def key_mask(q: Tensor, k: Tensor, key_lengths: Tensor | None, mask: str, offset: int, window: int) -> Tensor | None:
    """The boolean mask that the mask kind and the key lengths stand for; None if every key is visible."""
    queries, keys = q.shape[-2], k.shape[-2]
    unmasked = mask == "none" or (mask == "causal" and known(offset >= keys - 1))
    if unmasked and key_lengths is None:
        return None
    j = torch.arange(keys, device=q.device)
    visible = None
    if not unmasked:
        visible = sees(torch.arange(queries, device=q.device).unsqueeze(-1) + offset, j, mask, window)
    return visible if key_lengths is None else combined_mask(visible, j < key_lengths[..., None, None, None])


def sees(r: Tensor, j: Tensor, mask: str, window: int) -> Tensor:
    """Whether a query whose position among the keys is r sees key j, by a mask kind other than none."""
    if mask == "causal":
        return j <= r
    if mask == "sliding":
        return (j <= r) & (j > r - window)
    if mask == "sliding_bidirectional":
        return (j - r).abs() < window
    if mask == "prefix":
        return (j <= r) | (j < window)
    if mask == "block_diagonal":
        return j // window == r // window
    return j // window <= r // window


def _every_row_sees(q: Tensor, k: Tensor, mask: str, offset: int) -> bool:
    """Whether the mask kind alone is known to leave every query a key, so that no row need be looked at."""
    if mask in ("none", "causal", "prefix"):
        return known(k.shape[-2] >= 1) and (mask == "none" or known(offset >= 0))
    return known(offset >= 0) and known(q.shape[-2] + offset <= k.shape[-2])


def combined_mask(bias: Tensor | None, visible: Tensor | None) -> Tensor | None:
    """One mask for SDPA: boolean if ``bias`` is, else additive with -inf where not visible."""
    if bias is None or visible is None:
        return visible if bias is None else bias
    return bias & visible if bias.dtype == torch.bool else torch.where(visible, bias, -math.inf)


def _hide(logits: Tensor, bias: Tensor | None, visible: Tensor | None) -> tuple[Tensor, Tensor]:
    """Masked logits, and which rows are empty. An empty row comes back as zeros, so that no gradient turns to NaN."""
    hidden = combined_mask(bias, visible)
    if hidden is not None:
        is_bool = hidden.dtype == torch.bool
        logits = torch.where(hidden, logits, -math.inf) if is_bool else logits + hidden.to(logits.dtype)
    empty = (logits == -math.inf).all(-1, keepdim=True)
    return logits.masked_fill(empty, 0.0), empty


def _check(
    name: str,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    mask: str,
    offset: int,
    window: int,
    softcap: float,
) -> None:
    ranks = q.dim(), k.dim(), v.dim()
    require(name, "q, k and v", min(ranks) == max(ranks) >= 3, "[..., heads, time, features] of one rank", ranks)
    heads, kv_heads = q.shape[-3], k.shape[-3]
    ratio = f"a multiple of the {kv_heads} key heads"
    require(name, "the number of query heads", not known(heads % kv_heads != 0), ratio, heads)
    if bias is not None:
        require(name, "bias", bias.dim() <= q.dim(), f"of rank at most {q.dim()}", f"rank {bias.dim()}")
    if key_lengths is not None:
        rank = q.dim() - 3
        require(name, "key_lengths", key_lengths.dim() == rank, f"of rank {rank}, one per batch row", key_lengths.dim())
    one_of(name, "mask", mask, MASKS)
    if mask not in WINDOWED:
        require(name, "window", not known(window != 0), f"0 for mask {mask!r}", window)
    elif mask == "prefix":
        require(name, "window", not known(window < 0), "the length of the prefix", window)
    else:
        require(name, "window", not known(window < 1), f"at least 1 for mask {mask!r}", window)
    require(name, "offset", mask != "none" or not known(offset != 0), "0 for mask 'none'", offset)
    require(name, "softcap", softcap >= 0.0, "at least 0 (0 for none)", softcap)


def _example(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def _examples() -> list[Call]:
    q, k, v = _example(2, 4, 5, 8), _example(2, 2, 7, 8), _example(2, 2, 7, 8)
    lengths = torch.tensor([7, 3])
    return [
        ((q, k, v), {}),
        ((q, k, v), {"mask": "causal"}),
        ((q, k, v), {"mask": "causal", "offset": 2, "scale": 0.5}),
        ((q, k, v, _example(5, 7), lengths), {"mask": "sliding", "offset": 2, "window": 3}),
        ((q, k[:1], v[:1]), {"mask": "prefix", "window": 2, "softcap": 5.0}),
    ]


ATTENTION = declare(attention, f"({_TENSORS}, *, {_ATTRIBUTES}, float dropout=0.0) -> Tensor", _examples)
ATTENTION_LSE = declare(attention_lse, f"({_TENSORS}, *, {_ATTRIBUTES}) -> (Tensor out, Tensor lse)", _examples)
