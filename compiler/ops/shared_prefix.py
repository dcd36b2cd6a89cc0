"""Keys or values of a batch whose rows begin alike: one prefix a group, and what each row has after it.

prefix [G, .., P, ..] and suffix [B, .., S, ..] differ in the batch (dimension 0, B a multiple of G) and along ``dim``;
rows come in G consecutive groups of B // G. This is how a cache that holds a prompt once says so in a traced graph:
where attention is all that reads the result, the copies never come to be (Hydragen, arXiv 2402.05099, section 3).
"""

import torch
from torch import Tensor

from .registry import Call, declare, known, require


def shared_prefix_cat(prefix: Tensor, suffix: Tensor, dim: int) -> Tensor:
    """Each group's prefix before the suffix of each of its rows: [B, .., P + S, ..].

    Raises ``ValueError`` when ranks or dtypes differ, ``dim`` is the batch or no dimension, or B is no multiple of
    G > 0.
    """
    rank = suffix.dim()
    name, (groups, rows) = "shared_prefix_cat", (prefix.shape[0], suffix.shape[0])
    require(name, "prefix", prefix.dim() == rank, f"of suffix's rank {rank}", f"rank {prefix.dim()}")
    require(name, "prefix", prefix.dtype == suffix.dtype, f"of suffix's dtype {suffix.dtype}", prefix.dtype)
    require(name, "dim", -rank <= dim < rank and dim % rank != 0, "a dimension other than the batch", dim)
    require(name, "prefix", not known(groups == 0), "of at least one group", groups)
    require(name, "the batch", not known(rows % groups != 0), f"a multiple of the {groups} groups", rows)
    copies = prefix.unsqueeze(1).expand(-1, rows // groups, *prefix.shape[1:]).flatten(0, 1)
    return torch.cat([copies, suffix], dim)


def _examples() -> list[Call]:
    def call(groups: int, rows: int, prefix: int, suffix: int) -> Call:
        generator = torch.Generator().manual_seed(rows)
        parts = (groups, 2, prefix, 4), (rows, 2, suffix, 4)
        return tuple(torch.randn(shape, generator=generator) for shape in parts), {"dim": 2}

    return [call(1, 3, 5, 2), call(2, 6, 3, 1), call(1, 1, 1, 4)]


SHARED_PREFIX_CAT = declare(shared_prefix_cat, "(Tensor prefix, Tensor suffix, int dim) -> Tensor", _examples)
