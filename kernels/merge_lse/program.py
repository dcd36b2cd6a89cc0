"""The tile programs of ``merge_lse``: rows of several outputs [rows, Dv] with their natural log-sum-exps [rows] to one.

    lse = log sum_i exp(lse_i),  w_i = exp(lse_i - lse),  out = sum_i w_i out_i

in f32, whatever the parts are, and (0, -inf) for a row that is empty in every part (Hydragen, arXiv 2402.05099, section
3.1). Backward, with s_i = <dout, out_i> taken over the features,

    dout_i = w_i dout,  dlse_i = w_i (s_i - sum_j w_j s_j + dlse).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from ...lowering.tile import Builder, Program, Tile, cdiv, span
from ...lowering.tile.index import Index

LOG2E, LN2 = math.log2(math.e), math.log(2)


@dataclass(frozen=True)
class Parts:
    """Types of the parts, their features, and the rows of a tile."""

    outs: tuple[str, ...]
    lses: tuple[str, ...]
    features: int
    rows: int = 16
    warps: int = 4


@functools.lru_cache(256)
def forward(parts: Parts) -> Program:
    """out in the type of the first part, lse in f32."""
    m = _Merge("merge_lse", "One attention from those of its parts.", parts)
    t = m.t
    out = t.output("out", (m.B, m.H, m.T, m.D), parts.outs[0])
    lse = t.output("lse", (m.B, m.H, m.T), "f32")
    weights, base, mass = m.weights()
    merged = m.part(0) * weights[0].col
    for at, weight in enumerate(weights[1:], start=1):
        merged = merged + m.part(at) * weight.col
    t.store(out, m.at, merged)
    t.store(lse, m.at[:3], base + t.map("log2", mass) * LN2)
    return t.program()


@functools.lru_cache(256)
def backward(parts: Parts, has_dlse: bool) -> Program:
    """The gradients of every part, each in the type of the part."""
    m = _Merge("merge_lse_backward", "Gradients of the parts of an attention.", parts)
    t = m.t
    dout = t.input("dout", (m.B, m.H, m.T, m.D), parts.outs[0])
    dlse = t.input("dlse", (m.B, m.H, m.T), "f32") if has_dlse else None
    douts = [t.output(f"dout{at}", (m.B, m.H, m.T, m.D), kind) for at, kind in enumerate(parts.outs)]
    dlses = [t.output(f"dlse{at}", (m.B, m.H, m.T), kind) for at, kind in enumerate(parts.lses)]
    weights, *_ = m.weights()
    cotangent = t.let("cotangent", t.load(dout, m.at, name="given").f32)
    products: list[Tile] = []
    mean = None
    for at, weight in enumerate(weights):
        products.append(t.let("product", (m.part(at) * cotangent).sum(1)))
        mean = weight * products[-1] if mean is None else mean + weight * products[-1]
        t.store(douts[at], m.at, cotangent * weight.col)
    assert mean is not None
    shift = t.let("shift", -mean if dlse is None else t.load(dlse, m.at[:3], name="given_lse") - mean)
    for at, weight in enumerate(weights):
        t.store(dlses[at], m.at[:3], weight * (products[at] + shift))
    return t.program()


class _Merge:
    """The parts, the place of a tile, and the weights of its rows."""

    def __init__(self, name: str, doc: str, parts: Parts) -> None:
        t = self.t = Builder(name, doc, warps=parts.warps, stages=1)
        self.B, self.H, self.T = t.sizes("B", "H", "T")
        self.D = t.constant("FEATURES", parts.features)
        padded = 1 << (parts.features - 1).bit_length()
        width = self.D if padded == parts.features else t.constant("BLOCK", padded)
        ROWS = t.constant("ROWS", parts.rows)
        shape: tuple[Index, ...] = (self.B, self.H, self.T, self.D)
        self.outs = [t.input(f"out{at}", shape, kind) for at, kind in enumerate(parts.outs)]
        self.lses = [t.input(f"lse{at}", shape[:3], kind) for at, kind in enumerate(parts.lses)]
        b, h, i = t.tasks(("b", self.B), ("h", self.H), ("i", cdiv(self.T, ROWS)))
        self.at = (b, h, span(i * ROWS, ROWS), span(0, width))

    def part(self, at: int) -> Tile:
        """An output in f32."""
        return self.t.load(self.outs[at], self.at, name="part").f32

    def weights(self) -> tuple[list[Tile], Tile, Tile]:
        """w_i, all 0 in an empty row; and lse as a base and the sum of exp(lse_i - base), which is 0 there."""
        t = self.t
        sums = [t.let("logsum", t.load(lse, self.at[:3], pad=-math.inf, name="given").f32) for lse in self.lses]
        base = sums[0]
        for other in sums[1:]:
            base = t.map("maximum", base, other, name="largest")
        base = t.map("where", t.map("eq", base, -math.inf), 0.0, base, name="base")
        masses = [t.map("exp2", (one - base) * LOG2E, name="mass") for one in sums]
        mass = masses[0]
        for other in masses[1:]:
            mass = mass + other
        mass = t.let("total", mass) if len(masses) > 1 else mass
        divisor = t.map("where", t.map("eq", mass, 0.0), 1.0, mass, name="divisor")
        return [t.let("weight", one / divisor) for one in masses], base, mass
