"""What the two rules fire on, and the near misses on which they decline."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...compiler.rules import Example

_QKV = ("f32[2, 4, 5, 8]", "f32[2, 4, 7, 8]", "f32[2, 4, 7, 8]")
_SQUARE = ("f32[2, 4, 7, 8]", "f32[2, 4, 7, 8]", "f32[2, 4, 7, 8]")
_GROUPED = ("f32[2, 4, 7, 8]", "f32[2, 2, 7, 8]", "f32[2, 2, 7, 8]")
_MERGED = ("f32[8, 5, 8]", "f32[8, 7, 8]", "f32[8, 7, 8]")

_LOWEST = torch.finfo(torch.float32).min


def _causal(queries: int, keys: int, offset: int = 0) -> Tensor:
    return torch.arange(queries)[:, None] + offset >= torch.arange(keys)


def _repeat(x: Tensor, times: int) -> Tensor:
    batch, heads, length, depth = x.shape
    return x[:, :, None].expand(batch, heads, times, length, depth).reshape(batch, heads * times, length, depth)


def _sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, **options: Any) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, mask, **options)


def _logits(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])


def _plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _logits(q, k).softmax(-1) @ v


def _as_hf_eager(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Logits scaled by a product, lowest finite number as the mask, softmax in fp32 and back."""
    hidden = torch.where(_causal(7, 7), 0.0, torch.finfo(q.dtype).min).to(q.dtype)
    logits = torch.matmul(q, _repeat(k, 2).transpose(2, 3)) * 0.25 + hidden
    weights = F.dropout(F.softmax(logits, dim=-1, dtype=torch.float32).to(q.dtype), 0.1, training=False)
    return torch.matmul(weights, _repeat(v, 2))


def _as_opt(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """bmm over merged batch and heads, the mask over separate ones."""
    logits = torch.bmm(q * 0.35, k.transpose(1, 2)).view(2, 4, 5, 7) + torch.where(_causal(5, 7), 0.0, _LOWEST)
    return torch.bmm(logits.view(8, 5, 7).softmax(-1, dtype=torch.float32).to(q.dtype), v)


def _as_bloom(q: Tensor, k: Tensor, v: Tensor, alibi: Tensor) -> Tensor:
    """baddbmm with a bias per head and key."""
    logits = torch.baddbmm(alibi.exp(), q, k.transpose(1, 2), beta=1.0, alpha=0.35).view(2, 4, 5, 7)
    weights = F.softmax(logits.masked_fill(~_causal(5, 7), torch.finfo(q.dtype).min), dim=-1).view(8, 5, 7)
    return torch.bmm(weights, v)


def _capped(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (torch.tanh(_logits(q, k) / 5.0) * 5.0).masked_fill(~_causal(7, 7), -math.inf).softmax(-1) @ v


def _einsum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = (torch.einsum("bthd,bshd->bhts", q, k) * 0.35).softmax(-1)
    return torch.einsum("bhts,bshd->bthd", weights, v)


def _with_weights(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    weights = _logits(q, k).softmax(-1)
    return weights @ v, weights


def _filled(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, fill: float) -> Tensor:
    return _logits(q, k).masked_fill(~mask, fill).softmax(-1) @ v


def _windowed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    i, j = torch.arange(7)[:, None], torch.arange(7)
    return torch.where((j <= i) & (j > i - 3), _logits(q, k), torch.full((), -math.inf, dtype=q.dtype)).softmax(-1) @ v


def _twice(q: Tensor, k: Tensor, v: Tensor, masks: Tensor) -> Tensor:
    logits = _logits(q, k).masked_fill(masks[0], _LOWEST).masked_fill(masks[1], _LOWEST)
    return logits.softmax(-1) @ v


def _written_between(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    k = k.clone()
    weights = _logits(q, k).softmax(-1)
    k.mul_(2.0)
    return weights @ v + k.sum()


SDPA = (
    Example("plain", _sdpa, _QKV),
    Example("causal flag with fewer queries than keys", lambda q, k, v: _sdpa(q, k, v, is_causal=True), _QKV),
    Example("scale", lambda q, k, v: _sdpa(q, k, v, scale=0.5), _QKV),
    Example("causal mask", lambda q, k, v: _sdpa(q, k, v, _causal(5, 7, 2)), _QKV),
    Example(
        "causal mask of numbers",
        lambda q, k, v: _sdpa(q, k, v, torch.zeros(7, 7, dtype=q.dtype).masked_fill(~_causal(7, 7), -math.inf)),
        _SQUARE,
    ),
    Example("mask given", _sdpa, (*_QKV, "b1[2, 1, 5, 7]")),
    Example("bias given", _sdpa, (*_QKV, "f32[4, 5, 7]")),
    Example(
        "causal and padding",
        lambda q, k, v, m: _sdpa(q, k, v, _causal(7, 7) & m[:, None, None]),
        (*_SQUARE, "b1[2, 7]"),
    ),
    Example("a row that sees nothing", lambda q, k, v: _sdpa(q, k, v, _causal(7, 7, -2)), _SQUARE),
    Example("grouped by flag", lambda q, k, v: _sdpa(q, k, v, is_causal=True, enable_gqa=True), _GROUPED),
    Example("grouped by expand and reshape", lambda q, k, v: _sdpa(q, _repeat(k, 2), _repeat(v, 2)), _GROUPED),
    Example(
        "grouped by repeat_interleave",
        lambda q, k, v: _sdpa(q, k.repeat_interleave(2, dim=1), v.repeat_interleave(2, dim=1)),
        _GROUPED,
    ),
    Example(
        "grouped before transposition",
        lambda q, k, v: _sdpa(q, *(x.repeat_interleave(2, dim=2).transpose(1, 2) for x in (k, v))),
        ("f32[2, 4, 7, 8]", "f32[2, 7, 2, 8]", "f32[2, 7, 2, 8]"),
    ),
    Example(
        "heads tiled, which is no grouping",
        lambda q, k, v: _sdpa(q, k.repeat(1, 2, 1, 1), v.repeat(1, 2, 1, 1)),
        _GROUPED,
    ),
    Example("values of another size", _sdpa, ("f32[2, 4, 5, 8]", "f32[2, 4, 7, 8]", "f32[2, 4, 7, 3]")),
    Example("dynamic", _sdpa, ("f32[b=2, 4, t=5, 8]", "f32[b=2, 4, s=7, 8]", "f32[b=2, 4, s=7, 8]")),
    Example("no heads", _sdpa, ("f32[5, 8]", "f32[7, 8]", "f32[7, 8]"), declines="rank"),
)

WRITTEN_OUT = (
    Example("plain", _plain, _QKV),
    Example("Hugging Face's eager attention", _as_hf_eager, _GROUPED),
    Example("bmm, mask over separate heads", _as_opt, _MERGED),
    Example("baddbmm with a bias", _as_bloom, (*_MERGED, "f32[8, 1, 7]")),
    Example("soft cap", _capped, _SQUARE),
    Example("einsum", _einsum, ("f32[2, 5, 4, 8]", "f32[2, 7, 4, 8]", "f32[2, 7, 4, 8]")),
    Example("one key head for all", _plain, ("f32[2, 4, 5, 8]", "f32[2, 1, 11, 8]", "f32[2, 1, 11, 8]")),
    Example("values of another size", _plain, ("f32[2, 4, 5, 8]", "f32[2, 4, 7, 8]", "f32[2, 4, 7, 3]")),
    Example("dynamic", _plain, ("f32[b=2, 4, t=5, 8]", "f32[b=2, 4, s=7, 8]", "f32[b=2, 4, s=7, 8]")),
    Example(
        "queries and keys widened",
        lambda q, k, v: _logits(q.float(), k.float()).softmax(-1).to(v.dtype) @ v,
        _QKV,
    ),
    Example(
        "scaled twice",
        lambda q, k, v: ((q * 0.5 @ k.mT) * 0.5 / 1.5).softmax(-1) @ v,
        _QKV,
    ),
    Example("sliding window chosen with where", _windowed, _SQUARE),
    Example(
        "padding filled with the lowest number",
        lambda q, k, v, m: _filled(q, k, v, m[:, None, None], _LOWEST),
        (*_QKV, "b1[2, 7]"),
        dtypes=("f32",),
    ),
    Example("probabilities returned", _with_weights, _QKV, declines="interior-used"),
    Example("softmax over the queries", lambda q, k, v: _logits(q, k).softmax(-2) @ v, _QKV, declines="softmax-dim"),
    Example(
        "scaled after the mask",
        lambda q, k, v, b: ((q @ k.mT + b.exp()) * 0.5).softmax(-1) @ v,
        (*_QKV, "f32[5, 7]"),
        declines="scale-after-mask",
    ),
    Example(
        "masked before the cap",
        lambda q, k, v, b: torch.tanh(q @ k.mT + b.exp()).softmax(-1) @ v,
        (*_QKV, "f32[5, 7]"),
        declines="mask-under-cap",
    ),
    Example(
        "padding may hide a whole row",
        lambda q, k, v, m: _filled(q, k, v, m[:, None, None], -math.inf),
        (*_QKV, "b1[2, 7]"),
        declines="rows-may-be-empty",
    ),
    Example(
        "a row that sees nothing",
        lambda q, k, v: _filled(q, k, v, _causal(7, 7, -2), -math.inf),
        _SQUARE,
        declines="rows-may-be-empty",
    ),
    Example(
        "mask of numbers given",
        lambda q, k, v, b: (q @ k.mT + b).softmax(-1) @ v,
        (*_QKV, "f32[5, 7]"),
        declines="rows-may-be-empty",
    ),
    Example(
        "hidden by a number that may be all there is",
        lambda q, k, v, m: _filled(q, k, v, m[:, None, None], -1e4),
        (*_QKV, "b1[2, 7]"),
        declines="soft-mask",
    ),
    Example(
        "dropout",
        lambda q, k, v: F.dropout(_logits(q, k).softmax(-1), 0.5, training=True) @ v,
        _QKV,
        declines="dropout",
    ),
    Example(
        "queries shared by the batch",
        _plain,
        ("f32[1, 4, 5, 8]", "f32[2, 4, 7, 8]", "f32[2, 4, 7, 8]"),
        declines="broadcast",
    ),
    Example(
        "two masks that depend on the input",
        _twice,
        (*_QKV, "b1[2, 5, 7]"),
        declines="two-masks",
    ),
    Example(
        "written in place between",
        _written_between,
        _QKV,
        declines="mutated-between",
    ),
)
