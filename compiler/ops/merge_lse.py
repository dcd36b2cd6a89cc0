"""Merging attention over disjoint sets of keys: the algebra that makes any split of the keys exact.

With out_i, lse_i the attention over part i and its log-sum-exp (natural log):

    lse = log sum_i exp(lse_i),    out = sum_i exp(lse_i - lse) out_i

This is associative and commutative with identity (0, -inf), so parts may be merged in any order and in any tree:
Hydragen (arXiv 2402.05099), section 3.1; FlashAttention's online softmax (arXiv 2205.14135), section 3.1.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .registry import Call, accumulation_dtype, declare, require


def merge_lse(outs: Sequence[Tensor], lses: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """One attention output and log-sum-exp from those of its parts.

    outs [..., T, Dv] each, in any floating-point dtypes; lses [..., T] each, -inf where a part saw no key. The merge is
    taken in fp32 (fp64 if any input is fp64); out comes in the dtype of outs[0], lse in the merge's dtype. A row that
    is empty in every part gives (0, -inf), and no NaN, forward or backward.

    Raises ``ValueError`` when there is no part, when the numbers of outs and lses differ, or when a rank does not fit.
    """
    require("merge_lse", "outs", len(outs) > 0, "at least one part", "none")
    require("merge_lse", "lses", len(lses) == len(outs), f"one per out ({len(outs)})", len(lses))
    for out, lse in zip(outs, lses, strict=True):
        require("merge_lse", "an lse", lse.dim() == out.dim() - 1, f"of rank {out.dim() - 1}", f"rank {lse.dim()}")
    dtype = accumulation_dtype([t.dtype for t in (*outs, *lses)])
    parts = torch.stack([lse.to(dtype) for lse in lses])
    # Whatever finite number is subtracted, the result is the same: no gradient goes through it.
    largest = parts.detach().amax(0)
    largest = largest.masked_fill(largest == -math.inf, 0.0)
    masses = (parts - largest).exp()
    mass = masses.sum(0)
    empty = mass == 0
    mass = mass.masked_fill(empty, 1.0)
    weights = (masses / mass).unsqueeze(-1)
    out = sum((weights[i] * outs[i].to(dtype) for i in range(1, len(outs))), weights[0] * outs[0].to(dtype))
    return out.to(outs[0].dtype), (largest + mass.log()).masked_fill(empty, -math.inf)


def _examples() -> list[Call]:
    def parts(count: int) -> Call:
        generator = torch.Generator().manual_seed(count)
        outs = [torch.randn(2, 3, 5, 4, generator=generator) for _ in range(count)]
        lses = [torch.randn(2, 3, 5, generator=generator) for _ in range(count)]
        return (outs, lses), {}

    return [parts(1), parts(2), parts(3)]


MERGE_LSE = declare(merge_lse, "(Tensor[] outs, Tensor[] lses) -> (Tensor out, Tensor lse)", _examples)
