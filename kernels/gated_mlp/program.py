"""Tile programs of the gated activation over rows gate and up [M, F], for every activation of the dialect.

    y = act(gate) up,  dgate = dy up act'(gate),  dup = dy act(gate)

in f32 ("GLU Variants Improve Transformer", arXiv 2002.05202). :data:`SLOPES` are the derivatives.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from ...lowering.candidates import power_of_two
from ...lowering.tile import Builder, Program, Tile, cdiv, span
from ...lowering.tile.index import Index
from ...lowering.tile.ir import Span

WIDEST = 1024
"""Columns of a tile."""


@dataclass(frozen=True)
class Gated:
    """What a program is made for. Dtypes by their short names."""

    activation: str
    width: int
    gate: str
    up: str
    out: str
    """Dtype of y."""
    rows: int = 0
    """Rows of a tile; 0 lets the width decide."""
    block: int = 0
    """Columns of a tile, a power of two; 0 takes all that fit."""


@functools.lru_cache(256)
def forward(kind: Gated) -> Program:
    """Tensors gate and up; gives y."""
    t, (M, F), at = _start(kind, f"y = {kind.activation}(gate) * up.", "")
    gate, up = t.input("gate", (M, F), kind.gate), t.input("up", (M, F), kind.up)
    y = t.output("y", (M, F), kind.out)
    x = t.load(gate, at, name="x").f32
    t.store(y, at, _activated(t, kind.activation, x) * t.load(up, at, name="factor").f32)
    return t.program()


@functools.lru_cache(256)
def backward(kind: Gated) -> Program:
    """Tensors dy, gate and up; gives dgate and dup."""
    t, (M, F), at = _start(kind, f"Gradients of {kind.activation}(gate) * up.", "_backward")
    dy = t.input("dy", (M, F), kind.out)
    gate, up = t.input("gate", (M, F), kind.gate), t.input("up", (M, F), kind.up)
    dgate, dup = t.output("dgate", (M, F), kind.gate), t.output("dup", (M, F), kind.up)
    x, given = t.load(gate, at, name="x").f32, t.load(dy, at, name="given").f32
    slope = SLOPES[kind.activation](t, x)
    along = given * t.load(up, at, name="factor").f32
    t.store(dgate, at, along if slope is None else along * slope)
    t.store(dup, at, given * _activated(t, kind.activation, x))
    return t.program()


def _silu(t: Builder, x: Tile) -> Tile:
    s = t.map("sigmoid", x, name="s")
    return s * (1.0 + x * (1.0 - s))


def _gelu(t: Builder, x: Tile) -> Tile:
    """The normal distribution and x times its density."""
    density = t.map("exp", x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
    return (t.map("erf", x * math.sqrt(0.5)) + 1.0) * 0.5 + x * density


def _gelu_tanh(t: Builder, x: Tile) -> Tile:
    """Of x sigmoid(2 u) with u = sqrt(2 / pi) (x + 0.044715 x^3), which is the same as 0.5 x (1 + tanh(u))."""
    scale, cubic = 2 * math.sqrt(2 / math.pi), 0.044715
    square = t.let("square", x * x)
    s = t.map("sigmoid", x * (square * cubic + 1.0) * scale, name="s")
    return s + x * s * (1.0 - s) * (square * (3 * cubic) + 1.0) * scale


def _relu(t: Builder, x: Tile) -> Tile:
    return t.map("where", t.map("le", x, 0.0), 0.0, t.full(x.value.shape, 1.0))


def _sigmoid(t: Builder, x: Tile) -> Tile:
    """s(x) s(-x), where s(x) (1 - s(x)) would cancel."""
    return t.map("sigmoid", x) * t.map("sigmoid", -x)


def _tanh(t: Builder, x: Tile) -> Tile:
    """1 - tanh(x)^2, which would cancel."""
    return _sigmoid(t, x * 2.0) * 4.0


def _identity(t: Builder, x: Tile) -> None:
    return None


SLOPES: dict[str, Callable[[Builder, Tile], Tile | None]] = {
    "identity": _identity,
    "silu": _silu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
}
"""act'(x) by the names of :data:`regraft.compiler.ops.activation.ACTIVATIONS`; ``None`` stands for 1."""


def _activated(t: Builder, activation: str, x: Tile) -> Tile:
    return x if activation == "identity" else t.map(activation, x, name="activated")


def _start(kind: Gated, doc: str, suffix: str) -> tuple[Builder, tuple[Index, Index], tuple[Span, Span]]:
    """A builder, the shape of every tensor, and the place of a tile of at least 2048 elements."""
    block = kind.block or min(power_of_two(kind.width), WIDEST)
    rows = kind.rows or min(max(2048 // block, 1), 64)
    t = Builder(f"gated_{kind.activation}{suffix}", doc, warps=min(max(rows * block // 512, 1), 8))
    (M,) = t.sizes("M")
    ROWS, F, BLOCK = t.constant("ROWS", rows), t.constant("WIDTH", kind.width), t.constant("BLOCK", block)
    row, column = t.tasks(("row", cdiv(M, ROWS)), ("column", cdiv(F, BLOCK)))
    return t, (M, F), (span(row * ROWS, ROWS), span(column * BLOCK, BLOCK))
