"""Attention over listed tiles: block-sparse masks, of which only the tiles that are there are visited.

A mask of tiles ``visible`` [tiles of queries, tiles of keys] becomes, for each tile of queries, the keys it visits, and
for each tile of keys the queries that visit it: a count and that many entries of a row. Nothing is read back from the
device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .op import attention_forward
from .program import AttentionTile


def tile_lists(visible: Tensor) -> list[Tensor]:
    """The ``lists`` of ``attention_forward``: counts and entries by queries, then by keys; all int32."""
    found: list[Tensor] = []
    for rows in (visible, visible.mT):
        entries = rows.to(torch.int8).argsort(dim=1, descending=True, stable=True)
        found += [rows.sum(1, dtype=torch.int32), entries.to(torch.int32).contiguous()]
    return found


def block_sparse_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    visible: Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    tile: AttentionTile = AttentionTile(64, 64, 4, 2),  # noqa: B008
) -> tuple[Tensor, Tensor]:
    """Attention in which queries of tile i see keys of tile j where ``visible[i, j]``; gives out and lse.

    Tiles have ``tile.block_m`` queries and ``tile.block_n`` keys; within them ``causal`` hides keys after the query.
    Raises :class:`regraft.lowering.tile.TileError` where ``visible`` has not one entry for each tile.
    """
    mask, scale = "causal" if causal else "none", q.shape[-1] ** -0.5 if scale is None else scale
    return attention_forward(q, k, v, None, None, tile_lists(visible), mask, 0, 0, scale, 0.0, str(tile))
