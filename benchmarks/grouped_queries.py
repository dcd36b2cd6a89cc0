"""One decode position of grouped-query attention: SDPA with ``enable_gqa`` against heads stacked as rows.

This is the measurement behind ``fold-grouped-queries``.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from .results import Row
from .timing import compare

F32, BF16 = torch.float32, torch.bfloat16
CASES = [
    (64, 16, 4, 64, 2048, F32),
    (64, 16, 4, 128, 2048, F32),
    (32, 16, 4, 96, 2048, F32),
    (1, 32, 8, 128, 4096, F32),
    (32, 16, 4, 64, 1024, BF16),
    (32, 16, 4, 128, 1024, BF16),
]


def run(device: str, quick: bool) -> list[Row]:
    """Time batches, heads and head sizes that people use."""
    rows: list[Row] = []
    for batch, heads, kv_heads, depth, length, dtype in [(2, 4, 2, 16, 64, F32)] if quick else CASES:
        torch.manual_seed(0)
        q = torch.randn(batch, heads, 1, depth, dtype=dtype, device=device)
        k, v = torch.randn(2, batch, kv_heads, length, depth, dtype=dtype, device=device)
        ways = {"enable_gqa": partial(grouped, q, k, v), "stacked": partial(stacked, q, k, v)}
        case = f"{batch} x {length}, {heads}/{kv_heads} heads of {depth}, {str(dtype).removeprefix('torch.')}"
        rows += compare(case, ways, baseline="enable_gqa", reference="enable_gqa", seconds=1 if quick else 4)
    return rows


@torch.no_grad()
def grouped(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """As ``raise-attention`` leaves it."""
    return scaled_dot_product_attention(q, k, v, enable_gqa=True)


@torch.no_grad()
def stacked(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """As ``fold-grouped-queries`` writes it."""
    batch, heads, queries, depth = q.shape
    rows = q.reshape(batch, k.shape[1], heads // k.shape[1] * queries, depth)
    return scaled_dot_product_attention(rows, k, v).reshape(q.shape)
