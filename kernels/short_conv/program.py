"""Tile programs of the short causal depthwise convolution u [B, H, T], taps k [H, K], bias [H]:

    z[t] = bias + sum_j k[K-1-j] u[t-j],  y = act(z)

u is read once per tap, shifted: all but the first reading hit the cache, and what lies before time 0 reads as 0. The
sum is fp32 and is not rounded before the activation. Backward, z is computed again where the activation needs it, at
each of the K times that u[s] acts on, so that nothing but u is kept and every tensor is passed once:

    dz[t] = dy[t] act'(z[t]),  du[s] = sum_j k[K-1-j] dz[s+j],  dk[K-1-j] = sum_s dz[s+j] u[s],  dbias = sum_s dz[s]

Sums over time are taken by each instance over its own piece of one batch entry and written to ``partials``
[K (+ 1 with a bias), B, pieces, H], so that the result does not depend on the order in which they run.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy

from ...lowering.tile import Builder, Program, Tile, cdiv, span
from ...lowering.tile.index import Index

TURNS = 8
"""Tiles of time of one piece."""


@dataclass(frozen=True)
class ShortConv:
    """Which of the family: what a program is made for."""

    taps: int
    dtype: str
    bias: bool = False
    activation: str = "identity"
    channels: int = 4
    """Of a tile, a power of two."""
    times: int = 256
    """Of a tile, a power of two."""

    def warps(self, each: int) -> int:
        """For ``each`` elements a thread."""
        return min(max(self.channels * self.times // (32 * each), 1), 16)

    @property
    def title(self) -> str:
        """The formula."""
        made = f"{'bias + ' * self.bias}{self.taps} taps * u"
        return made if self.activation == "identity" else f"{self.activation}({made})"


@functools.lru_cache(256)
def forward(conv: ShortConv) -> Program:
    """Tensors u [B, H, T], k [H, K], bias [H]; gives y [B, H, T]. All of any strides."""
    t = Builder("short_conv", f"y = {conv.title}, causal along time.", warps=conv.warps(8))
    c = _Convolution(t, conv)
    y = t.output("y", c.shape, conv.dtype, contiguous=False)
    batch, channel, tile = t.tasks(("batch", c.batches), ("channel", c.channel_tiles), ("tile", c.tiles))
    c.begin(batch, channel)
    start = tile * c.times
    z = t.let("z", c.summed(c.reader(start), 0))
    t.store(y, c.at(start), z if conv.activation == "identity" else t.map(conv.activation, z))
    return t.program()


@functools.lru_cache(256)
def backward(conv: ShortConv) -> Program:
    """Tensors dy, u [B, H, T], k [H, K], bias [H]; gives du [B, H, T] and ``partials``."""
    # Half the elements: a thread holds all shifts of u and dy, and the sums.
    warps = conv.warps(4)
    t = Builder("short_conv_backward", f"Backward of y = {conv.title}, causal along time.", warps=warps)
    c = _Convolution(t, conv)
    dy = t.input("dy", c.shape, conv.dtype)
    du = t.output("du", c.shape, conv.dtype, contiguous=False)
    turns = t.constant("TURNS", TURNS)
    pieces = cdiv(c.tiles, turns)
    names = [f"dk_{tap}" for tap in range(conv.taps)] + ["dbias"] * conv.bias
    partials = t.output("partials", (len(names), c.batches, pieces, c.shape[1]), "f32")
    batch, channel, piece = t.tasks(("batch", c.batches), ("channel", c.channel_tiles), ("piece", pieces))
    c.begin(batch, channel)
    zeros = {name: t.zeros(c.channels, c.times) for name in names}
    stop = sympy.Min((piece + 1) * turns, c.tiles)
    with t.loop("tile", stop, start=piece * turns, **zeros) as loop:
        start = loop.index * c.times
        read = c.reader(start)
        parts: list[Tile] = []
        for lag in range(conv.taps):
            # Beyond the last time dy, and with it dz, is 0.
            given = t.load(dy, c.at(start + lag)).f32
            if conv.activation != "identity":
                z = t.let("z", c.summed(read, lag))
                given = given * derivative(t, conv.activation, z)
            dz = t.let("dz", given)
            tap = conv.taps - 1 - lag
            loop[f"dk_{tap}"] = loop[f"dk_{tap}"] + dz * read(0)
            if conv.bias and lag == 0:
                loop["dbias"] = loop["dbias"] + dz
            parts.append(dz * c.taps[tap])
        t.store(du, c.at(start), functools.reduce(Tile.__add__, parts))
    for number, name in enumerate(names):
        t.store(partials, (number, batch, piece, c.at_channels), loop[name].sum(1))
    return t.program()


class _Convolution:
    """What both programs read: u around a tile of channels and times, the taps and the bias of its channels."""

    taps: list[Tile]

    def __init__(self, t: Builder, conv: ShortConv) -> None:
        self.t, self.conv = t, conv
        self.shape = self.batches, heads, time = t.sizes("B", "H", "T")
        count = t.constant("TAPS", conv.taps)
        self.channels, self.times = t.constant("CHANNELS", conv.channels), t.constant("TIMES", conv.times)
        self.channel_tiles, self.tiles = cdiv(heads, self.channels), cdiv(time, self.times)
        self._u = t.input("u", self.shape, conv.dtype)
        self._k = t.input("k", (heads, count), conv.dtype)
        self._bias = t.input("bias", (heads,), conv.dtype) if conv.bias else None

    def begin(self, batch: Index, channel: Index) -> None:
        """Read the taps of a tile of channels."""
        self._batch, self.at_channels = batch, span(channel * self.channels, self.channels)
        self.taps = [self.t.load(self._k, (self.at_channels, tap), name=f"k_{tap}").f32.col
                     for tap in range(self.conv.taps)]  # fmt: skip
        self._offset = None
        if self._bias is not None:
            self._offset = self.t.let("offset", self.t.load(self._bias, (self.at_channels,)).f32.col)

    def at(self, start: Index) -> tuple[Any, ...]:
        """A tile of u, dy, du or y from a time on."""
        return self._batch, self.at_channels, span(start, self.times)

    def reader(self, start: Index) -> Callable[[int], Tile]:
        """The tile of u so many steps later than ``start``, each read once; earlier than time 0 is 0."""

        @functools.cache
        def read(later: int) -> Tile:
            return self.t.load(self._u, self.at(start + later), name="samples").f32

        return read

    def summed(self, read: Callable[[int], Tile], later: int) -> Tile:
        """z so many steps later."""
        terms = [] if self._offset is None else [self._offset]
        terms += [read(later - lag) * self.taps[self.conv.taps - 1 - lag] for lag in range(self.conv.taps)]
        return functools.reduce(Tile.__add__, terms)


def derivative(t: Builder, activation: str, z: Tile) -> Tile:
    """act'(z) of an activation of the dialect other than the identity."""
    if activation == "relu":
        return t.map("where", t.map("lt", 0.0, z), t.full(z.value.shape, 1.0), 0.0)
    if activation == "tanh":
        made = t.let("squashed", t.map("tanh", z))
        return 1.0 - made * made
    if activation == "gelu":
        density = t.map("exp", z * z * -0.5) * (1 / math.sqrt(2 * math.pi))
        return 0.5 * (1.0 + t.map("erf", z * math.sqrt(0.5))) + z * density
    if activation == "gelu_tanh":
        # gelu_tanh(z) = z sigmoid(2 c (z + a z^3)).
        scale, cubic = 2 * math.sqrt(2 / math.pi), 0.044715
        gate = t.let("gate", t.map("sigmoid", z * (1.0 + z * z * cubic) * scale))
        return gate * (1.0 + z * (1.0 - gate) * (1.0 + z * z * (3 * cubic)) * scale)
    gate = t.let("gate", t.map("sigmoid", z))
    if activation == "sigmoid":
        return gate * (1.0 - gate)
    assert activation == "silu", f"{activation} has no derivative here"
    return gate * (1.0 + z * (1.0 - gate))
