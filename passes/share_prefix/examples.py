"""Examples of ``share-prefix``: what it must fire on, and what it must leave."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...compiler.rules import Example
from .split import ATTENTION, ATTENTION_LSE, MERGE_LSE


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, **attributes: Any) -> Tensor:
    return ATTENTION(q, k, v, bias, **attributes)


def _beside(sink: Tensor, out: Tensor, lse: Tensor) -> Tensor:
    """One more logit a head, [H], that has no value: it is counted once, whatever the parts."""
    return MERGE_LSE([out, torch.zeros_like(out)], [lse, sink[:, None].expand_as(lse)])[0]


def _rows(x: Tensor, rows: int) -> Tensor:
    return x.repeat_interleave(rows // x.shape[0], 0)


def _after(prefix: Tensor, suffix: Tensor) -> Tensor:
    return torch.cat([prefix.expand(suffix.shape[0], -1, -1, -1), suffix], 2)


EXAMPLES = (
    Example(
        "completions of one prompt",
        lambda q, kp, vp, ks, vs: _attend(q, _after(kp, ks), _after(vp, vs)),
        ("f32[32, 2, 1, 8]", *["f32[1, 2, 4096, 8]"] * 2, *["f32[32, 2, 5, 8]"] * 2),
    ),
    Example(
        "grouped queries, two new positions, a soft cap",
        lambda q, kp, vp, ks, vs: _attend(
            q, _after(kp, ks), _after(vp, vs), mask="causal", offset=4097, scale=0.5, softcap=9.0
        ),
        ("f32[32, 4, 2, 8]", *["f32[1, 2, 4096, 8]"] * 2, *["f32[32, 2, 3, 8]"] * 2),
    ),
    Example(
        "beams over encoder states",
        lambda q, k, v: _attend(q, k.repeat_interleave(32, 0), v.repeat_interleave(32, 0)),
        ("f32[32, 2, 1, 8]", "f32[1, 2, 4096, 8]", "f32[1, 2, 4096, 5]"),
    ),
    Example(
        "a padding mask",
        lambda q, kp, vp, ks, vs, m: _attend(q, _after(kp, ks), _after(vp, vs), m[:, None, None]),
        ("f32[32, 2, 1, 8]", *["f32[1, 2, 4096, 8]"] * 2, *["f32[32, 2, 5, 8]"] * 2, "b1[32, 4101]"),
    ),
    Example(
        "prompts of a tree",
        lambda q, k0, k1, k2: _attend(q, *[torch.cat([_rows(k0, 32), _rows(k1, 32), k2], 2)] * 2),
        ("f32[32, 2, 1, 8]", "f32[1, 2, 4096, 8]", "f32[4, 2, 2048, 8]", "f32[32, 2, 5, 8]"),
    ),
    Example(
        "a level too short for a part of its own",
        lambda q, k0, k1, k2: _attend(q, *[torch.cat([_rows(k0, 32), _rows(k1, 32), k2], 2)] * 2, softcap=3.0),
        ("f32[32, 2, 1, 8]", "f32[1, 2, 4096, 8]", "f32[4, 2, 3, 8]", "f32[32, 2, 5, 8]"),
    ),
    Example(
        "a sink beside the keys",
        lambda q, kp, vp, ks, vs, sink: _beside(sink, *ATTENTION_LSE(q, _after(kp, ks), _after(vp, vs))),
        ("f32[32, 2, 1, 8]", *["f32[1, 2, 4096, 8]"] * 2, *["f32[32, 2, 5, 8]"] * 2, "f32[2]"),
    ),
    Example(
        "dynamic batch and suffix",
        lambda q, kp, vp, ks, vs: _attend(q, _after(kp, ks), _after(vp, vs)),
        ("f32[b=32, 2, 1, 8]", *["f32[1, 2, 4096, 8]"] * 2, *["f32[b=32, 2, t=5, 8]"] * 2),
    ),
    Example(
        "rows of their own",
        lambda q, k, v: _attend(q, k, v),
        ("f32[4, 2, 1, 8]", *["f32[4, 2, 300, 8]"] * 2),
        declines="not-shared",
    ),
    Example(
        "a short prompt",
        lambda q, kp, vp, ks, vs: _attend(q, _after(kp, ks), _after(vp, vs)),
        ("f32[32, 2, 1, 8]", *["f32[1, 2, 64, 8]"] * 2, *["f32[32, 2, 5, 8]"] * 2),
        declines="short-prefix",
    ),
    Example(
        "two rows",
        lambda q, kp, vp, ks, vs: _attend(q, _after(kp, ks), _after(vp, vs)),
        ("f32[2, 2, 1, 8]", *["f32[1, 2, 1024, 8]"] * 2, *["f32[2, 2, 5, 8]"] * 2),
        declines="few-rows",
    ),
    Example(
        "upper-left causality hides the prompt",
        lambda q, kp, vp, ks, vs: _attend(q, _after(kp, ks), _after(vp, vs), mask="causal"),
        ("f32[32, 2, 3, 8]", *["f32[1, 2, 1024, 8]"] * 2, *["f32[32, 2, 3, 8]"] * 2),
        declines="prefix-hidden",
    ),
    Example(
        "a sliding window that does not reach",
        lambda q, kp, vp, ks, vs: _attend(q, _after(kp, ks), _after(vp, vs), mask="sliding", offset=1028, window=512),
        ("f32[32, 2, 1, 8]", *["f32[1, 2, 1024, 8]"] * 2, *["f32[32, 2, 5, 8]"] * 2),
        declines="prefix-hidden",
    ),
    Example(
        "dropout",
        lambda q, kp, vp, ks, vs: _attend(q, _after(kp, ks), _after(vp, vs), dropout=0.1),
        ("f32[32, 2, 1, 8]", *["f32[1, 2, 4096, 8]"] * 2, *["f32[32, 2, 5, 8]"] * 2),
        declines="dropout",
    ),
    Example(
        "keys shared, values not",
        lambda q, kp, v: _attend(q, _rows(kp, 32), v),
        ("f32[32, 2, 1, 8]", "f32[1, 2, 1024, 8]", "f32[32, 2, 1024, 8]"),
        declines="not-shared",
    ),
)
