"""Merging attention over keys that lie on different processes, as ``merge_lse`` does for parts on one.

Every process has the same queries and its own shard of the keys, so it knows its part of the output and of the
log-sum-exp. Two collectives make both whole, whatever the number of processes: the largest log-sum-exp, then the sums
of weighted outputs and of weights in one buffer. Hydragen (arXiv 2402.05099), section 3.1, read over a process group.
"""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
from torch import Tensor


def merge_across(out: Tensor, lse: Tensor, group: dist.ProcessGroup | None = None) -> tuple[Tensor, Tensor]:
    """The attention over the keys of every process of ``group`` (the default group if None), the same on all of them.

    out [..., T, Dv] and lse [..., T] are this process's part, with the same shapes everywhere; lse is natural log and
    -inf where the part saw no key. The merge is taken in fp32 (fp64 if lse is); out comes back in its dtype, lse in
    the merge's. A row that is empty everywhere gives (0, -inf). There is no gradient through the collectives.

    Raises ``ValueError`` where lse is not out without its last dimension.
    """
    if lse.shape != out.shape[:-1]:
        raise ValueError(f"merge_across: lse is {tuple(lse.shape)}, but out is {tuple(out.shape)}")
    dtype = torch.promote_types(lse.dtype, torch.float32)
    own = lse.detach().to(dtype)
    largest = own.clone()
    dist.all_reduce(largest, dist.ReduceOp.MAX, group)
    finite = largest.masked_fill(largest == -math.inf, 0.0)
    weight = (own - finite).exp().unsqueeze(-1)
    sums = torch.cat([out.detach().to(dtype) * weight, weight], -1)
    dist.all_reduce(sums, dist.ReduceOp.SUM, group)
    weighted, mass = sums[..., :-1], sums[..., -1]
    empty = mass == 0
    mass = mass.masked_fill(empty, 1.0)
    return (weighted / mass.unsqueeze(-1)).to(out.dtype), (finite + mass.log()).masked_fill(empty, -math.inf)
