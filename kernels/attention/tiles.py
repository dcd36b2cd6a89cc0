"""Which tiles attention is computed with: what fits an architecture, the likely best first.

The choices follow what FlashAttention-2 and Triton's own tutorial use; the shared memory of a program is its operands
in flight, the queries included from Hopper on, where products read them from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...lowering.targets import Target
from .program import AttentionTile, Form, power_of_two

FEW = 64
"""Up to so many rows the queries of all heads of a key head are stacked in one tile."""

_FORWARD = {
    64: ("128x64,w4,s3", "128x128,w8,s2", "128x64,w4,s2", "64x64,w4,s2"),
    128: ("128x64,w8,s3", "128x128,w8,s2", "128x64,w8,s2", "64x64,w4,s2", "64x32,w8,s2"),
    256: ("128x64,w8,s2", "64x64,w4,s2", "64x32,w8,s2", "64x32,w8,s1", "32x32,w8,s1"),
}
_FEW = ("{m}x64,w4,s3", "{m}x64,w4,s2", "{m}x128,w4,s2", "{m}x32,w8,s2", "{m}x32,w8,s1")
_BACKWARD = {
    64: ("64x128,w8,s2", "64x64,w4,s2", "32x64,w8,s2", "32x32,w8,s1"),
    128: ("64x64,w8,s2", "64x128,w8,s2", "32x64,w8,s1", "32x32,w8,s1"),
    256: ("64x64,w8,s1", "32x32,w8,s1", "16x32,w8,s1"),
}
_EXACT = ("64x32,w8,s2", "32x32,w8,s2", "32x16,w8,s1", "16x16,w8,s1")
"""For fp32, whose exact products run outside of the matrix units and keep their operands in registers."""


def forward_tiles(form: Form, target: Target, rows: int) -> list[AttentionTile]:
    """For ``rows`` queries of one head (of all heads of a key head, if packed); at least one."""
    side = power_of_two(max(form.head_dim, form.value_dim))
    texts = _EXACT if form.dtype == "f32" else _FORWARD[max(64, side)]
    if form.dtype != "f32" and rows <= FEW:
        # Sides of 32 with 4 warps are miscompiled on Hopper (triton#11366).
        texts = tuple(text.format(m=16 if rows <= 16 else 64) for text in _FEW)
    return _fitting(texts, lambda tile: _forward_bytes(form, tile, target), target)


def backward_tiles(form: Form, target: Target) -> list[AttentionTile]:
    """For both programs of the backward pass; at least one."""
    side = power_of_two(max(form.head_dim, form.value_dim))
    texts = _EXACT if form.dtype == "f32" else _BACKWARD[max(64, side)]
    if side <= 64 and target.capability < (9, 0) and form.dtype != "f32":
        # Before Hopper operands wait in registers, and the largest tile does not fit into them.
        texts = texts[1:]
    return _fitting(texts, lambda tile: _backward_bytes(form, tile), target)


def _fitting(texts: Sequence[str], size: Callable[[AttentionTile], int], target: Target) -> list[AttentionTile]:
    tiles = [AttentionTile.parse(text) for text in texts]
    return [tile for tile in tiles if size(tile) <= target.shared_bytes] or tiles[-1:]


def _forward_bytes(form: Form, tile: AttentionTile, target: Target) -> int:
    d, dv = power_of_two(form.head_dim), power_of_two(form.value_dim)
    queries = tile.block_m * d if target.capability >= (9, 0) else 0
    return (4 if form.dtype == "f32" else 2) * (queries + tile.stages * tile.block_n * (d + dv))


def _backward_bytes(form: Form, tile: AttentionTile) -> int:
    d, dv = power_of_two(form.head_dim), power_of_two(form.value_dim)
    resident = tile.block_n * (d + dv) + 2 * tile.block_m * tile.block_n
    return (4 if form.dtype == "f32" else 2) * (resident + tile.stages * tile.block_m * (d + dv))
