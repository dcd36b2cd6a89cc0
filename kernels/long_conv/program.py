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
from dataclasses import dataclass

from ...lowering.tile import Builder, Complex, Program, Tile, span
from . import fourier
from .fourier import ConvTile
from .sequences import Samples, Sequences, Work, behind


@dataclass(frozen=True)
class Options:
    """What a convolution has besides u and the filter."""

    pre_gate: bool = False
    post_gate: bool = False
    skip: bool = False
    epilogue: str = ""
    """Forward: a chain on y, whose results of the types ``outputs``, out0, out1, ..., take its place."""
    outputs: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    """The types of the chain's operands, all of the shape of y."""


@functools.lru_cache(256)
def forward(tile: ConvTile, options: Options) -> Program:
    """y [B, H, T], the first T samples of the convolution."""
    doc = "y = post_gate * (k conv x + skip * x), x = pre_gate * u." + behind(options.epilogue)
    t = Builder("long_conv", doc, warps=tile.warps)
    s = Sequences(t, tile.dtype, paired=tile.paired, turns=tile.turns)
    L, T = t.sizes("L", "T")
    u = t.input("u", (s.B, s.H, L), tile.dtype)
    pre_gate = t.input("pre_gate", (s.B, s.H, L), tile.dtype) if options.pre_gate else None
    post_gate = t.input("post_gate", (s.B, s.H, T), tile.dtype) if options.post_gate else None
    filters = _Filters(t, s, tile, options)
    work = Work.of(t, (s.B, s.H, T), options.epilogue, options.outputs, options.extras, tile.dtype)
    s.start()
    transform, k, skip = filters.load()
    with s.turns(_samples(tile)) as turn:
        x = turn.product(u, pre_gate, "x")
        out = transform.inverse(transform.forward(x) * k, real=not tile.paired)
        for part, value in enumerate(out):
            value = value if skip is None else value + skip * x[part].f32
            if post_gate is not None:
                value = value * turn.load(post_gate, part).f32
            turn.finish(part, value, work)
    return t.program()


@functools.lru_cache(256)
def backward(tile: ConvTile, options: Options, *, filter_gradient: bool = True) -> Program:
    """du, dpre_gate [B, H, L], dpost_gate [B, H, T]; by groups of turns dspectrum [G, H, 2, k1, k2], dskip [G, H]."""
    t = Builder("long_conv_backward", "Gradients of y = post_gate * (k conv x + skip * x), x = pre_gate * u.",
                warps=tile.warps)  # fmt: skip
    s = Sequences(t, tile.dtype, paired=tile.paired, turns=tile.turns)
    L, T = t.sizes("L", "T")
    dy = t.input("dy", (s.B, s.H, T), tile.dtype)
    u = t.input("u", (s.B, s.H, L), tile.dtype)
    pre_gate = t.input("pre_gate", (s.B, s.H, L), tile.dtype) if options.pre_gate else None
    post_gate = t.input("post_gate", (s.B, s.H, T), tile.dtype) if options.post_gate else None
    filters = _Filters(t, s, tile, options)
    du = t.output("du", (s.B, s.H, L), tile.dtype)
    dpre_gate = t.output("dpre_gate", (s.B, s.H, L), tile.dtype) if options.pre_gate else None
    dpost_gate = t.output("dpost_gate", (s.B, s.H, T), tile.dtype) if options.post_gate else None
    dspectrum = t.output("dspectrum", (s.groups, s.H, 2, tile.k1, tile.k2), "f32") if filter_gradient else None
    dskip = t.output("dskip", (s.groups, s.H), "f32") if options.skip else None
    h, group = s.start()
    transform, k, skip = filters.load()
    sums: dict[str, Tile] = {}
    if dspectrum is not None:
        sums |= {name: t.zeros(tile.k1, tile.k2) for name in ("dk_re", "dk_im")}
    if dskip is not None:
        sums["dd"] = t.zeros(tile.n2)
    with s.turns(_samples(tile), **sums) as turn:
        x = turn.product(u, pre_gate, "x")
        g = turn.product(dy, post_gate, "g")
        x_f = transform.forward(x) if filter_gradient or options.post_gate else None
        g_f = transform.forward(g, "g")
        if dspectrum is not None and x_f is not None:
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
        if dpost_gate is not None and x_f is not None:
            for part, value in enumerate(transform.inverse(x_f * k, real=not tile.paired)):
                value = value if skip is None else value + skip * x[part].f32
                turn.store(dpost_gate, part, value * turn.load(dy, part).f32)
    if dspectrum is not None:
        for part, name in enumerate(("dk_re", "dk_im")):
            t.store(dspectrum, (group, h, part, span(0, tile.k1), span(0, tile.k2)), turn.sums[name])
    if dskip is not None:
        t.store(dskip, (group, h), turn.sums["dd"].sum(0))
    return t.program()


def _samples(tile: ConvTile) -> Samples:
    return (0, (tile.rows, tile.n2), (tile.n2, 1))


class _Filters:
    """The spectrum, the skip weights and the transform's tables."""

    def __init__(self, t: Builder, s: Sequences, tile: ConvTile, options: Options) -> None:
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
