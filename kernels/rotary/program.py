"""The tile program of rotary position embedding over x [B, H, T, D] with cos and sin [B, H, T, R], R <= D.

Features pair up as i and i + R/2 (half-split) or 2i and 2i + 1 (interleaved). Of a pair (a, b), in f32,

    y_a = a cos_a - b sin_a,  y_b = b cos_b + a sin_b        (RoFormer, arXiv 2104.09864, section 3.2.2)

and features from R on are copied. The adjoint, which takes gradients back, is

    y_a = a cos_a + b sin_b,  y_b = b cos_b - a sin_a:

the rotation by the negative angle where both of a pair have the same cos and sin.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ...lowering.candidates import power_of_two
from ...lowering.tile import Builder, Program, cdiv, span


@dataclass(frozen=True)
class Rotary:
    """What a program is made for. Dtypes by their short names."""

    features: int
    width: int
    """Features that are rotated."""
    dtype: str
    cos: str
    sin: str
    out: str
    interleaved: bool = False
    adjoint: bool = False
    rows: int = 0
    """Rows of a tile; 0 lets the width decide."""


@functools.lru_cache(256)
def rotation(kind: Rotary) -> Program:
    """Tensors x, cos and sin; gives y."""
    half, rest = kind.width // 2, kind.features - kind.width
    block = power_of_two(max(half, rest))
    rows = kind.rows or min(max(1024 // block, 1), 64)
    t = Builder("rotary_adjoint" if kind.adjoint else "rotary", _title(kind), warps=min(max(rows * block // 256, 1), 8))
    B, H, T = t.sizes("B", "H", "T")
    D, R, ROWS = t.constant("FEATURES", kind.features), t.constant("WIDTH", kind.width), t.constant("ROWS", rows)
    PAIRS, BLOCK = t.constant("PAIRS", half), t.constant("BLOCK", power_of_two(half))
    x = t.input("x", (B, H, T, D), kind.dtype)
    cos, sin = t.input("cos", (B, H, T, R), kind.cos), t.input("sin", (B, H, T, R), kind.sin)
    y = t.output("y", (B, H, T, D), kind.out)
    b, h, i = t.tasks(("b", B), ("h", H), ("i", cdiv(T, ROWS)))
    where = (b, h, span(i * ROWS, ROWS))
    step, offset = (2, 1) if kind.interleaved else (1, PAIRS)
    # What pads a tile in one of the pairs' halves lies in the other half, or among features that are not rotated.
    ends = (R if kind.interleaved else PAIRS, R) if power_of_two(half) > half else (None, None)
    first, second = (span(start, BLOCK, step, limit=end) for start, end in zip((0, offset), ends, strict=True))
    pair = [
        [t.let(f"{name}_{side}", t.load(buffer, (*where, at)).f32) for side, at in (("a", first), ("b", second))]
        for name, buffer in (("x", x), ("cos", cos), ("sin", sin))
    ]
    (x_a, x_b), (cos_a, cos_b), (sin_a, sin_b) = pair
    if kind.adjoint:
        t.store(y, (*where, first), x_a * cos_a + x_b * sin_b)
        t.store(y, (*where, second), x_b * cos_b - x_a * sin_a)
    else:
        t.store(y, (*where, first), x_a * cos_a - x_b * sin_a)
        t.store(y, (*where, second), x_b * cos_b + x_a * sin_b)
    if rest:
        last = (*where, span(R, t.constant("REST", power_of_two(rest))))
        t.store(y, last, t.load(x, last, name="copied"))
    return t.program()


def _title(kind: Rotary) -> str:
    pairs = "2i and 2i + 1" if kind.interleaved else f"i and i + {kind.width // 2}"
    return f"{'The adjoint of r' if kind.adjoint else 'R'}otary position embedding of features {pairs}."
