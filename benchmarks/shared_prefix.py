"""Attention over a shared prompt. Goals on a CPU in fp32.

The rival is the fair one: keys and values of every row side by side in one buffer that was filled before the clock
started, query heads of a group folded into rows, so that neither a ``cat`` nor a repetition is timed. Attention should
be 6x at (prefix 4096, batch 64, suffix 64) and 10x at batch 256; two levels of a tree 1.5x over one. ``bound`` is the
ratio of the keys and values that both have to read: what memory traffic alone allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .results import Row
from .timing import compare

HEADS, WIDTH = 8, 64


class SharedPrompt(nn.Module):
    """Attention as a user writes it: every level of keys and values repeated for its rows, then joined."""

    def forward(self, q: Tensor, keys: list[Tensor], values: list[Tensor]) -> Tensor:
        """q [B, H, T, D], each of keys and values [b, H, L, D] with b dividing B; [B, H, T, D]."""
        return F.scaled_dot_product_attention(q, _joined(keys, q), _joined(values, q))


def run(device: str, quick: bool) -> list[Row]:
    """Time attention over one shared prompt, over a tree, and where it does not pay."""
    cases = [(1024, 64, 64), (4096, 64, 64), (4096, 256, 64), (16384, 64, 64), (1024, 2, 64)]
    if device == "cuda":
        cases = [(4096, 64, 64), (8192, 256, 64), (16384, 1024, 64)]
    if quick:
        cases = [(512, 4, 16)]
    rows: list[Row] = []
    for prefix, batch, suffix in cases:
        rows += attention(prefix, batch, suffix, device, seconds=1 if quick else 10)
        torch._dynamo.reset()
    trees = [(256, 64, 2, 2, 16)] if quick else [(4096, 1024, 8, 16, 128), (4096, 512, 16, 8, 64)]
    for sizes in trees:
        rows += tree(*sizes, device, seconds=1 if quick else 10)
        torch._dynamo.reset()
    return rows


def attention(prefix: int, batch: int, suffix: int, device: str, seconds: float) -> list[Row]:
    """One query a row over ``prefix`` shared and ``suffix`` own positions."""
    levels = _levels([(1, prefix), (batch, suffix)], device)
    bound = batch * (prefix + suffix) / (prefix + batch * suffix)
    return _compare(
        f"attention, prefix {prefix}, batch {batch}, suffix {suffix}", batch, levels, bound, device, seconds
    )


def tree(root: int, branch: int, nodes: int, members: int, suffix: int, device: str, seconds: float) -> list[Row]:
    """A prompt of ``root`` positions, ``nodes`` continuations of ``branch``, ``members`` rows each."""
    batch = nodes * members
    levels = _levels([(1, root), (nodes, branch), (batch, suffix)], device)
    bound = batch * (root + branch + suffix) / (root + nodes * branch + batch * suffix)
    case = f"tree, {root} + {nodes} x {branch}, {members} rows each, suffix {suffix}"
    rest = [_joined(level[1:], torch.empty(batch, 0)) for level in levels]
    one = [[level[0], own] for level, own in zip(levels, rest, strict=True)]
    return _compare(case, batch, levels, bound, device, seconds, {"one level": one})


def _compare(
    case: str,
    batch: int,
    levels: list[list[Tensor]],
    bound: float,
    device: str,
    seconds: float,
    others: dict[str, list[list[Tensor]]] | None = None,
) -> list[Row]:
    generator = torch.Generator(device).manual_seed(0)
    q = torch.randn(batch, HEADS, 1, WIDTH, device=device, generator=generator, dtype=_dtype(device))
    whole = [_joined(level, q) for level in levels]
    compiled = torch.compile(F.scaled_dot_product_attention, dynamic=False)
    variants: dict[str, Callable[[], Any]] = {
        "eager, keys held whole": lambda: F.scaled_dot_product_attention(q, *whole),
        "inductor, keys held whole": lambda: compiled(q, *whole),
    }
    for name, parts in {**(others or {}), "share-prefix": levels}.items():
        variants[name] = _rewritten(q, parts)
    with torch.no_grad():
        return compare(
            case,
            variants,
            baseline="eager, keys held whole",
            reference="eager, keys held whole",
            seconds=seconds,
            notes={"share-prefix": {"bound": bound}},
        )


def _rewritten(q: Tensor, parts: list[list[Tensor]]) -> Callable[[], Any]:
    module = torch.compile(SharedPrompt(), backend="regraft", dynamic=False)
    return lambda: module(q, *parts)


def _levels(shapes: list[tuple[int, int]], device: str) -> list[list[Tensor]]:
    """Random keys and values, [copies, heads, length, width] for every level."""
    options: Any = {"device": device, "generator": torch.Generator(device).manual_seed(1), "dtype": _dtype(device)}
    return [[torch.randn(copies, HEADS, length, WIDTH, **options) for copies, length in shapes] for _ in range(2)]


def _dtype(device: str) -> torch.dtype:
    return torch.bfloat16 if device == "cuda" else torch.float32


def _joined(parts: list[Tensor], q: Tensor) -> Tensor:
    return torch.cat([_rows(part, q.shape[0]) for part in parts], 2)


def _rows(part: Tensor, rows: int) -> Tensor:
    return part.repeat_interleave(rows // part.shape[0], 0)
