"""A long convolution as one tile program: a transform of N = n1 n2 points in two matrix products each way.

For a channel, with x = pre_gate u of L samples seen as rows of n2 (FlashFFTConv, arXiv 2311.05908, section 3)::

    A = F1 x          [k1, n2]    only the columns of F1 that meet samples
    X = (A T) F2      [k1, k2]    T the twiddle
    w = (X K) conj(F2) conj(T)    K the filter's spectrum in the same order
    y = post_gate (conj(F1) w + skip x)    only the rows with outputs

Two sequences of a batch are the real and the imaginary part of one x: as the filter is real, so are they of y. The
filter's spectrum, roots and twiddle are loaded once for a task that goes through several pairs. u and the gates are
[B, H, L] with any strides and any L up to N; products are in the type of u, everything else in fp32.

The backward program computes both transforms again, from u, the gates and g = post_gate dy: with v the same inverse of
G conj(K), dx = v + skip g. The gradient of K is conj(X) G, summed over a task's pairs and then over tasks. Of a pair
that is the wanted sum over its two sequences plus i times the spectrum of a real signal, which goes away where the
gradient meets the real filter (:func:`.tables.spectrum_tiles`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sympy

from ...lowering.tile import Builder, Complex, Program, Tile, cdiv, floordiv, span, spans
from ...lowering.tile.build import Carried
from ...lowering.tile.ir import Buffer
from . import fourier
from .fourier import ConvTile


@dataclass(frozen=True)
class Options:
    """What a convolution has besides u and the filter."""

    pre_gate: bool = False
    post_gate: bool = False
    skip: bool = False


@functools.lru_cache(256)
def forward(tile: ConvTile, options: Options) -> Program:
    """y [B, H, T], the first T samples of the convolution."""
    t = Builder("long_conv", "y = post_gate * (k conv x + skip * x), x = pre_gate * u.", warps=tile.warps)
    s = _Sequences(t, tile)
    u = t.input("u", (s.B, s.H, s.L), tile.dtype)
    pre_gate = t.input("pre_gate", (s.B, s.H, s.L), tile.dtype) if options.pre_gate else None
    post_gate = t.input("post_gate", (s.B, s.H, s.T), tile.dtype) if options.post_gate else None
    filters = _Filters(t, s, tile, options)
    y = t.output("y", (s.B, s.H, s.T), tile.dtype)
    s.start()
    transform, k, skip = filters.load()
    with s.turns() as turn:
        x = turn.product(u, pre_gate, "x")
        out = transform.inverse(transform.forward(x) * k, real=not tile.paired)
        for part, value in enumerate(out):
            value = value if skip is None else value + skip * x[part].f32
            if post_gate is not None:
                value = value * turn.load(post_gate, part).f32
            turn.store(y, part, value)
    return t.program()


@functools.lru_cache(256)
def backward(tile: ConvTile, options: Options, *, filter_gradient: bool = True) -> Program:
    """du, dpre_gate [B, H, L], dpost_gate [B, H, T]; by groups of turns dspectrum [G, H, 2, k1, k2], dskip [G, H]."""
    t = Builder("long_conv_backward", "Gradients of y = post_gate * (k conv x + skip * x), x = pre_gate * u.",
                warps=tile.warps)  # fmt: skip
    s = _Sequences(t, tile)
    dy = t.input("dy", (s.B, s.H, s.T), tile.dtype)
    u = t.input("u", (s.B, s.H, s.L), tile.dtype)
    pre_gate = t.input("pre_gate", (s.B, s.H, s.L), tile.dtype) if options.pre_gate else None
    post_gate = t.input("post_gate", (s.B, s.H, s.T), tile.dtype) if options.post_gate else None
    filters = _Filters(t, s, tile, options)
    du = t.output("du", (s.B, s.H, s.L), tile.dtype)
    dpre_gate = t.output("dpre_gate", (s.B, s.H, s.L), tile.dtype) if options.pre_gate else None
    dpost_gate = t.output("dpost_gate", (s.B, s.H, s.T), tile.dtype) if options.post_gate else None
    dspectrum = t.output("dspectrum", (s.groups, s.H, 2, tile.k1, tile.k2), "f32") if filter_gradient else None
    dskip = t.output("dskip", (s.groups, s.H), "f32") if options.skip else None
    h, group = s.start()
    transform, k, skip = filters.load()
    sums: dict[str, Tile] = {}
    if dspectrum is not None:
        sums |= {name: t.zeros(tile.k1, tile.k2) for name in ("dk_re", "dk_im")}
    if dskip is not None:
        sums["dd"] = t.zeros(tile.n2)
    with s.turns(**sums) as turn:
        x = turn.product(u, pre_gate, "x")
        g = turn.product(dy, post_gate, "g")
        if dspectrum is not None or dpost_gate is not None:
            x_f = transform.forward(x)
        g_f = transform.forward(g, "g")
        if dspectrum is not None:
            turn.sums["dk_re"] = turn.sums["dk_re"] + (x_f.re * g_f.re + x_f.im * g_f.im)
            turn.sums["dk_im"] = turn.sums["dk_im"] + (x_f.re * g_f.im - x_f.im * g_f.re)
        for part, value in enumerate(transform.inverse(g_f * k.conj, real=not tile.paired, name="dx")):
            dx = value if skip is None else value + skip * g[part].f32
            if pre_gate is not None and dpre_gate is not None:
                turn.store(dpre_gate, part, dx * turn.load(u, part).f32)
                dx = dx * turn.load(pre_gate, part).f32
            turn.store(du, part, dx)
            if dskip is not None:
                turn.sums["dd"] = turn.sums["dd"] + (x[part].f32 * g[part].f32).sum(0)
        if dpost_gate is not None:
            for part, value in enumerate(transform.inverse(x_f * k, real=not tile.paired)):
                value = value if skip is None else value + skip * x[part].f32
                turn.store(dpost_gate, part, value * turn.load(dy, part).f32)
    for part, name in enumerate(("dk_re", "dk_im")) if dspectrum is not None else ():
        t.store(dspectrum, (group, h, part, span(0, tile.k1), span(0, tile.k2)), turn.sums[name])
    if dskip is not None:
        t.store(dskip, (group, h), turn.sums["dd"].sum(0))
    return t.program()


class _Sequences:
    """The sizes B, H, L and T, the tasks, and the walk of a task through pairs of sequences."""

    def __init__(self, t: Builder, tile: ConvTile) -> None:
        self.t, self.tile = t, tile
        self.B, self.H, self.L, self.T = t.sizes("B", "H", "L", "T")
        self.pairs = floordiv(self.B + 1, 2) if tile.paired else self.B
        self.groups = cdiv(self.pairs, tile.turns)

    def start(self) -> tuple[Any, Any]:
        """Declare the tasks."""
        self.h, self.group = self.t.tasks(("h", self.H), ("group", self.groups))
        return self.h, self.group

    @contextmanager
    def turns(self, **sums: Tile) -> Iterator[_Turn]:
        """A loop over the pairs of a task, or none where it has but one; ``sums`` are carried."""
        if self.tile.turns == 1:
            yield self._turn(self.group, Carried(self.group, dict(sums)))
            return
        name, first = "pair" if self.tile.paired else "b", self.group * self.tile.turns
        with self.t.loop(name, sympy.Min(first + self.tile.turns, self.pairs), start=first, **sums) as loop:
            yield self._turn(loop.index, loop)

    def _turn(self, pair: Any, sums: Carried) -> _Turn:
        if not self.tile.paired:
            return _Turn(self, (pair,), (1,), sums)
        first, left = 2 * pair, self.t.define("left", self.B - 1 - 2 * pair)
        return _Turn(self, (first, first + sympy.Min(1, left)), (1, left), sums)


@dataclass(frozen=True)
class _Turn:
    """One pair of sequences, or one sequence."""

    s: _Sequences
    places: tuple[Any, ...]
    left: tuple[Any, ...]
    """0 for a second sequence that is missing: it has no samples, and its place is the first one's."""
    sums: Carried

    def at(self, buffer: Buffer, part: int) -> tuple[Any, ...]:
        """The place of a sequence."""
        tile, left, length = self.s.tile, self.left[part], buffer.shape[2]
        limit = None if left == 1 else sympy.Min(length, length * left)
        return (self.places[part], self.s.h, spans(0, (tile.rows, tile.n2), (tile.n2, 1), limit=limit))

    def load(self, buffer: Buffer, part: int, name: str | None = None) -> Tile:
        return self.s.t.load(buffer, self.at(buffer, part), name=name)

    def store(self, buffer: Buffer, part: int, value: Tile) -> None:
        self.s.t.store(buffer, self.at(buffer, part), value)

    def product(self, a: Buffer, b: Buffer | None, name: str) -> list[Tile]:
        """a, or a b in fp32, in the type of products, for each sequence."""
        t, tile, parts = self.s.t, self.s.tile, range(len(self.places))
        names = [f"{name}{part}" if tile.paired else name for part in parts]
        if b is None:
            return [self.load(a, part, names[part]) for part in parts]
        return [t.let(names[part], (self.load(a, part).f32 * self.load(b, part).f32).cast(tile.dtype))
                for part in parts]  # fmt: skip


class _Filters:
    """The spectrum, the skip weights and the transform's tables."""

    def __init__(self, t: Builder, s: _Sequences, tile: ConvTile, options: Options) -> None:
        self.t, self.s, self.tile = t, s, tile
        self.spectrum = t.input("spectrum", (s.H, 2, tile.k1, tile.k2), "f32")
        self.skip = t.input("skip", (s.H,), "f32") if options.skip else None
        self.roots, self.twiddle = fourier.inputs(t, tile)

    def load(self) -> tuple[fourier.Fourier, Complex, Tile | None]:
        t, tile, h = self.t, self.tile, self.s.h
        transform = fourier.load(t, tile, self.roots, self.twiddle)
        where = (span(0, tile.k1), span(0, tile.k2))
        k = fourier.pair(lambda part, name: t.load(self.spectrum, (h, part, *where), name=name), "k")
        return transform, k, None if self.skip is None else t.load(self.skip, (h,), name="d")
