"""Long convolutions whose transform no program holds: an outer stage through device memory, round one that fits.

A transform of N = n0 M points, M = n1 n2, in four steps (FlashFFTConv, arXiv 2311.05908, sections 3.1 and 3.2). With x
of L samples seen as rows of M, for a channel and a pair of sequences as in :mod:`.program`::

    z = T0 (F0 x)                     [k0, M]    outer_forward: T0 the outer twiddle; rows of zeros are not multiplied
    z = conj(T0) conv(z, K)           [k0, M]    inner: each row by its own slice of the spectrum, circularly
    y = post_gate (conj(F0) z + skip x)          outer_inverse: only the rows with outputs

z is [pairs, H, k0, 2, M], in the type of products: every value in it is a factor of the next stage's product, so that
halves lose nothing that they would not lose there. Outer stages are products in blocks, of any n0.

Gradients take the same programs: those of u and the gates are convolutions by the conjugate spectrum, or by itself.
:func:`inner_gradient` sums conj(X) G, the filter's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...lowering.tile import Builder, Complex, Program, Tile, cdiv, span, spans
from ...lowering.tile.ir import Buffer
from . import fourier
from .fourier import ConvTile
from .sequences import Samples, Sequences, Work, behind, turns

BLOCK = 64
"""Most rows of a tile of an outer stage, and its columns."""

Parts = Sequence[Tile | None]
"""Sums so far; ``None`` for 0."""


@dataclass(frozen=True)
class OuterTile:
    """The configuration of an outer stage of n0 points for rows of ``width`` samples."""

    n0: int
    k0: int
    """Frequencies that are computed."""
    width: int
    rows: int
    """Of samples in a tile: a power of two from 16 to :data:`BLOCK`."""
    dtype: str
    paired: bool = True
    turns: int = 1
    warps: int = 4

    @property
    def block(self) -> int:
        """Frequencies in a tile."""
        return min(self.k0, BLOCK)

    def samples(self, first: Any, columns: Any) -> Samples:
        """Of the rows from ``first`` and the columns from ``columns`` on."""
        return (first * self.width + columns, (self.rows, self.width), (BLOCK, 1))


@functools.lru_cache(256)
def outer_forward(tile: OuterTile, *, pre_gate: bool, many: bool = False) -> Program:
    """z = T0 (F0 x), x = pre_gate u of [B, H, L]; ``many`` if x has more rows than a tile."""
    t = Builder("long_conv_outer_forward", "z = twiddle * (F0 x), x = pre_gate * u.", warps=tile.warps)
    s = Sequences(t, tile.dtype, paired=tile.paired, turns=tile.turns)
    L = t.size("L")
    u = t.input("u", (s.B, s.H, L), tile.dtype)
    gate = t.input("pre_gate", (s.B, s.H, L), tile.dtype) if pre_gate else None
    roots = _roots(t, tile)
    twiddle = t.input("twiddle", (2, tile.k0, tile.width), "f32", contiguous=True)
    z = t.output("z", (s.pairs, s.H, tile.k0, 2, tile.width), tile.dtype)
    blocks = tile.k0 // tile.block
    _, _, *found, c = s.start(*([("j", blocks)] if blocks > 1 else []), ("c", tile.width // BLOCK))
    j = found[0] if found else 0
    rows, columns = span(j * tile.block, tile.block), span(c * BLOCK, BLOCK)

    def matrix(i: Any) -> Complex:
        start = j * tile.block * tile.n0 + i * tile.rows
        return _matrix(t, tile, roots, "f0", start, (tile.block, tile.n0), (tile.rows, 1))

    def factor() -> Complex:
        return fourier.pair(lambda part, name: t.load(twiddle, (part, rows, columns), name=name), "twiddle")

    # What every turn needs is loaded once, unless a loop runs meanwhile that has no registers left for it.
    whole, held = (None, None) if many else (matrix(0), factor())
    with s.turns(tile.samples(0, c * BLOCK)) as turn:

        def add(i: Any, sums: Parts) -> list[Tile]:
            x = turn.at(tile.samples(i * tile.rows, c * BLOCK)).product(u, gate, "x")
            f, (re, im) = whole or matrix(i), sums
            if len(x) == 1:
                return [t.dot(f.re, x[0], re), t.dot(f.im, x[0], im)]
            return [t.dot(f.im, -x[1], t.dot(f.re, x[0], re)), t.dot(f.im, x[0], t.dot(f.re, x[1], im))]

        count = cdiv(L, tile.rows * tile.width) if many else 1
        a = Complex(*_summed(t, count, [t.zeros(tile.block, BLOCK) for _ in range(2)] if many else [None, None], add))
        for part, value in enumerate(_parts(a * (held or factor()))):
            t.store(z, (turn.pair, s.h, rows, part, columns), value)
    return t.program()


@functools.lru_cache(256)
def outer_inverse(
    tile: OuterTile,
    *,
    pre_gate: bool,
    post_gate: bool,
    skip: bool,
    epilogue: str = "",
    outputs: tuple[str, ...] = (),
    extras: tuple[str, ...] = (),
) -> Program:
    """y = post_gate (conj(F0) z + skip x), x = pre_gate u; u is there where skip is.

    The work behind it is as in :class:`.program.Options`.
    """
    doc = "y = post_gate * (conj(F0) z + skip * x), x = pre_gate * u." + behind(epilogue)
    t = Builder("long_conv_outer_inverse", doc, warps=tile.warps)
    s = Sequences(t, tile.dtype, paired=tile.paired, turns=tile.turns)
    T = t.size("T")
    L = t.size("L") if skip else T
    z = t.input("z", (s.pairs, s.H, tile.k0, 2, tile.width), tile.dtype, contiguous=True)
    u = t.input("u", (s.B, s.H, L), tile.dtype) if skip else None
    before = t.input("pre_gate", (s.B, s.H, L), tile.dtype) if skip and pre_gate else None
    weights = t.input("skip", (s.H,), "f32") if skip else None
    after = t.input("post_gate", (s.B, s.H, T), tile.dtype) if post_gate else None
    roots = _roots(t, tile)
    work = Work.of(t, (s.B, s.H, T), epilogue, outputs, extras, tile.dtype)
    h, _, i, c = s.start(("i", cdiv(T, tile.rows * tile.width)), ("c", tile.width // BLOCK))
    columns = span(c * BLOCK, BLOCK)

    def matrix(j: Any) -> Complex:
        start = j * tile.block * tile.n0 + i * tile.rows
        return _matrix(t, tile, roots, "f0_t", start, (tile.rows, 1), (tile.block, tile.n0))

    blocks = tile.k0 // tile.block
    whole = matrix(0) if blocks == 1 else None
    d = None if weights is None else t.load(weights, (h,), name="d")
    with s.turns(tile.samples(i * tile.rows, c * BLOCK)) as turn:

        def add(j: Any, sums: Parts) -> list[Tile]:
            at = span(j * tile.block, tile.block)
            w = fourier.pair(lambda part, name: t.load(z, (turn.pair, h, at, part, columns), name=name), "z")
            f = whole or matrix(j)
            parts = [t.dot(f.im, w.im, t.dot(f.re, w.re, sums[0]))]
            if tile.paired:
                parts.append(t.dot(f.im, -w.re, t.dot(f.re, w.im, sums[1])))
            return parts

        count = 2 if tile.paired else 1
        zeros = [t.zeros(tile.rows, BLOCK) if blocks > 1 else None for _ in range(count)]
        out = _summed(t, blocks, zeros, add)
        x = turn.product(u, before, "x") if u is not None else []
        for part, value in enumerate(out):
            value = value if d is None else value + d * x[part].f32
            if after is not None:
                value = value * turn.load(after, part).f32
            turn.finish(part, value, work)
    return t.program()


@functools.lru_cache(256)
def inner(tile: ConvTile, k0: int, *, conjugate: bool = False) -> Program:
    """out = conj(T0) conv(z, K), by the conjugate of K if asked; out may be z."""
    t = Builder("long_conv_inner", "out = conj(twiddle) * (k conv z), circularly, for each row.", warps=tile.warps)
    P, H = t.sizes("P", "H")
    z = _rows(t, "z", P, H, k0, tile)
    spectrum = t.input("spectrum", (H, k0, 2, tile.k1, tile.k2), "f32")
    roots, twiddle = fourier.inputs(t, tile)
    outer = t.input("outer_twiddle", (2, k0, tile.n1 * tile.n2), "f32", contiguous=True)
    out = t.output("out", z.shape, tile.dtype)
    h, j, group = t.tasks(("h", H), ("j", k0), ("group", cdiv(P, tile.turns)))
    row = spans(0, (tile.n1, tile.n2), (tile.n2, 1))
    transform = fourier.load(t, tile, roots, twiddle)
    where = (span(0, tile.k1), span(0, tile.k2))
    k = fourier.pair(lambda part, name: t.load(spectrum, (h, j, part, *where), name=name), "k")
    factor = fourier.pair(lambda part, name: t.load(outer, (part, j, row), name=name), "outer")
    with turns(t, "pair", group, tile.turns, P) as loop:
        x = fourier.pair(lambda part, name: t.load(z, (loop.index, h, j, part, row), name=name), "z")
        w = transform.inverse(transform.forward((x.re, x.im)) * (k.conj if conjugate else k), real=False)
        w = Complex(*w) * factor.conj
        for part, value in enumerate(_parts(w)):
            t.store(out, (loop.index, h, j, part, row), value)
    return t.program()


@functools.lru_cache(256)
def inner_gradient(tile: ConvTile, k0: int) -> Program:
    """dspectrum [G, H, k0, 2, k1, k2]: conj(X) G of z, from x, and of zg, from g, by groups of turns."""
    t = Builder("long_conv_inner_gradient", "dspectrum = sum of conj(X) G over pairs.", warps=tile.warps)
    P, H = t.sizes("P", "H")
    z, zg = _rows(t, "z", P, H, k0, tile), _rows(t, "zg", P, H, k0, tile)
    roots, twiddle = fourier.inputs(t, tile)
    groups = cdiv(P, tile.turns)
    dspectrum = t.output("dspectrum", (groups, H, k0, 2, tile.k1, tile.k2), "f32")
    h, j, group = t.tasks(("h", H), ("j", k0), ("group", groups))
    row = spans(0, (tile.n1, tile.n2), (tile.n2, 1))
    transform = fourier.load(t, tile, roots, twiddle)
    sums = {name: t.zeros(tile.k1, tile.k2) for name in ("dk_re", "dk_im")}
    with turns(t, "pair", group, tile.turns, P, **sums) as loop:
        x, g = (fourier.pair(lambda part, name, b=b: t.load(b, (loop.index, h, j, part, row), name=name), b.name)
                for b in (z, zg))  # fmt: skip
        dk = transform.forward((x.re, x.im)).conj * transform.forward((g.re, g.im), "g")
        loop["dk_re"] = loop["dk_re"] + dk.re
        loop["dk_im"] = loop["dk_im"] + dk.im
    for part, name in enumerate(sums):
        t.store(dspectrum, (group, h, j, part, span(0, tile.k1), span(0, tile.k2)), loop[name])
    return t.program()


def _roots(t: Builder, tile: OuterTile) -> Buffer:
    return t.input("roots", (2 * tile.k0 * tile.n0,), tile.dtype, contiguous=True)


def _matrix(t: Builder, tile: OuterTile, roots: Buffer, name: str, start: Any, *axes: tuple[int, int]) -> Complex:
    """A tile of F0, or of its transpose, from element ``start`` on."""
    size = tile.k0 * tile.n0
    return fourier.pair(lambda part, name: t.load(roots, (spans(start + part * size, *axes),), name=name), name)


def _summed(t: Builder, count: Any, zeros: Parts, add: Callable[[Any, Parts], list[Tile]]) -> list[Tile]:
    """The sums that ``add`` makes of ``count`` blocks; of one, without a loop or zeros."""
    given = {f"sum{part}": zero for part, zero in enumerate(zeros) if zero is not None}
    if not given:
        return add(0, zeros)
    with t.loop("block", count, **given) as loop:
        for name, value in zip(given, add(loop.index, [loop[name] for name in given]), strict=True):
            loop[name] = value
    return [loop[name] for name in given]


def _rows(t: Builder, name: str, P: Any, H: Any, k0: int, tile: ConvTile) -> Buffer:
    return t.input(name, (P, H, k0, 2, tile.n1 * tile.n2), tile.dtype, contiguous=True)


def _parts(x: Complex) -> tuple[Tile, Tile]:
    return x.re, x.im
