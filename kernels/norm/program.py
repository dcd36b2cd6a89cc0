"""Tile programs of RMSNorm and LayerNorm over rows x [M, N].

Statistics are fp32 in two passes over what is in registers: the mean, then the squared deviations. The mean itself is
rounded, which shows when it is large beside the deviation; the mean of the deviations, ``shift``, corrects for it
(Chan, Golub, LeVeque, "Algorithms for Computing the Sample Variance", 1983, eq. 1.7):

    d = x - mean(x),  shift = mean(d),  var = mean(d^2) - shift^2,  n = (d - shift) / sqrt(var + eps),  y = n w + b

RMSNorm has neither mean nor shift. ``statistics`` [1 or 3, M] keeps 1 / sqrt(...), mean and shift for the backward:

    g = w dy,  dx = (g - mean(g) - n mean(g n)) / sqrt(var + eps),  dw = sum over rows of dy n,  db = of dy

(RMSNorm: without mean(g)). Sums over rows are taken by each of ``WORKERS`` instances over its own rows and written to
``partials`` [weight and bias, WORKERS, N], so that the result does not depend on the order in which they run.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

from ...lowering.candidates import power_of_two
from ...lowering.tile import Builder, Program, Tile, cdiv, span
from ...lowering.tile.chain import chain
from ...lowering.tile.index import Index
from ...lowering.tile.ir import Span
from .columns import Columns, Part, columns

WORKERS = 256
"""Instances that share the rows of a backward between them."""
WIDEST, WIDEST_BACKWARD = 16384, 8192
"""Columns that fit one tile, forward and backward: beyond, rows are read more than once."""


@dataclass(frozen=True)
class Norm:
    """Which of the family: what a program is made for. Dtypes by their short names, ``""`` for what is absent."""

    width: int
    dtype: str
    out: str
    """Dtype of y."""
    weight: str = ""
    bias: str = ""
    centred: bool = False
    """LayerNorm; otherwise RMSNorm."""
    residual: bool = False
    """Whether x is added to a residual first, in its dtype, and the sum is a result too."""
    late: bool = False
    """Whether n is rounded to x's dtype before it is multiplied by the weight."""
    offset: float = 0.0
    """Added to the weight."""
    rows: int = 0
    """Rows of a tile; 0 lets the width decide."""
    block: int = 0
    """Columns of a tile, a power of two; 0 takes all that fit."""
    workers: int = WORKERS

    @property
    def kept(self) -> int:
        """How many statistics a row has."""
        return 3 if self.centred else 1

    @property
    def learned(self) -> tuple[str, ...]:
        """What is summed over rows for those of weight and bias there are."""
        return ("weight_sum",) * bool(self.weight) + ("bias_sum",) * bool(self.bias)

    @property
    def name(self) -> str:
        """``"layer_norm"``, or with what it adds: ``"add_rms_norm"``."""
        return f"{'add_' if self.residual else ''}{'layer' if self.centred else 'rms'}_norm"


@functools.lru_cache(256)
def forward(norm: Norm, epilogue: str = "", outputs: tuple[str, ...] = (), extras: tuple[str, ...] = ()) -> Program:
    """Tensors x, residual [M, N], weight, bias [N]; gives y, total (x + residual) [M, N] and statistics.

    With an ``epilogue``, a chain on y, it gives out0, out1, ... of the types ``outputs`` in place of y, and no
    statistics. The chain's operands are of the types ``extras``: [M, N] for ``full``, [N] for ``row``, [M] for
    ``column``.
    """
    rows, block, warps = _sides(norm, WIDEST)
    after = chain(epilogue or "x")
    t = Builder(norm.name, _title(norm, epilogue), warps=warps)
    (M,) = t.sizes("M")
    c = columns(t, norm.width, rows, block)
    x = t.input("x", (M, c.width), norm.dtype)
    residual = t.input("residual", (M, c.width), norm.dtype) if norm.residual else None
    weight = t.input("weight", (c.width,), norm.weight) if norm.weight else None
    bias = t.input("bias", (c.width,), norm.bias) if norm.bias else None
    along = {"full": (M, c.width), "row": (c.width,), "column": (M,)}
    beside = {name: t.input(name, along[name.rstrip("0123456789")], kind)
              for name, kind in zip(after.extras, extras, strict=True)}  # fmt: skip
    kinds = {f"out{at}": kind for at, kind in enumerate(outputs)} if epilogue else {"y": norm.out}
    results = [t.output(name, (M, c.width), kind) for name, kind in kinds.items()]
    total = t.output("total", (M, c.width), norm.dtype) if norm.residual else None
    statistics = None if epilogue else t.output("statistics", (norm.kept, M), "f32")
    (row,) = t.tasks(("row", cdiv(M, c.rows)))
    eps = t.scalar("eps")
    at_rows = span(row * c.rows, c.rows)

    @functools.cache
    def summed(at: Span) -> Tile:
        tile = t.load(x, (at_rows, at), name="values")
        if residual is None:
            return tile
        return t.let("summed", (tile.f32 + t.load(residual, (at_rows, at)).f32).cast(norm.dtype))

    @functools.cache
    def deviation(at: Span) -> Tile:
        if not norm.centred:
            return t.let("wide", summed(at).f32) if norm.dtype != "f32" else summed(at)
        return t.let("deviation", c.inside(summed(at).f32 - mean.col, at))

    def squared(at: Span) -> Tile:
        return deviation(at) * deviation(at)

    shift: Tile | None = None
    if norm.centred:
        mean = t.let("mean", c.sums(lambda at: summed(at).f32)[0] * (1 / norm.width))
        shift, square = (part * (1 / norm.width) for part in c.sums(deviation, squared))
        t.let("shift", shift)
        rstd = t.map("rsqrt", square - shift * shift + eps, name="rstd")
        kept = (rstd, mean, shift)
    else:
        rstd = t.map("rsqrt", c.sums(squared)[0] * (1 / norm.width) + eps, name="rstd")
        kept = (rstd,)
    if statistics is not None:
        for number, value in enumerate(kept):
            t.store(statistics, (number, at_rows), value)

    def load(name: str, at: Span) -> Tile:
        if name.startswith("row"):
            return t.load(beside[name], (at,), name=name).row
        if name.startswith("column"):
            return t.load(beside[name], (at_rows,), name=name).col
        return t.load(beside[name], (at_rows, at), name=name)

    def write(at: Span) -> None:
        made = (deviation(at) if shift is None else deviation(at) - shift.col) * rstd.col
        if norm.late and norm.dtype != "f32":
            made = made.cast(norm.dtype).f32
        if weight is not None:
            made = made * _offset(t.load(weight, (at,)).f32, norm.offset).row
        if bias is not None:
            made = made + t.load(bias, (at,)).f32.row
        for result, value in zip(results, after.apply(t, made, lambda name: load(name, at)), strict=True):
            t.store(result, (at_rows, at), value)
        if total is not None:
            t.store(total, (at_rows, at), summed(at))

    c.each(write)
    return t.program()


@functools.lru_cache(256)
def backward(norm: Norm) -> Program:
    """Tensors dy, x [M, N] (the sum, where there is a residual), weight, statistics, d_total; gives dx.

    Where the columns fit one tile it gives ``partials``, too; :func:`learned` is for the rest.
    """
    rows, block, warps = _sides(norm, WIDEST_BACKWARD)
    t = Builder(f"{norm.name}_backward", f"Backward of {_title(norm)}", warps=warps)
    (M,) = t.sizes("M")
    c = columns(t, norm.width, rows, block)
    workers = t.constant("WORKERS", norm.workers)
    dy = t.input("dy", (M, c.width), norm.out)
    weight = t.input("weight", (c.width,), norm.weight) if norm.weight else None
    normed = _normed(t, norm, M, c)
    d_total = t.input("d_total", (M, c.width), norm.dtype) if norm.residual else None
    dx = t.output("dx", (M, c.width), norm.dtype)
    zeros = {name: t.zeros(c.rows, c.block) for name in norm.learned if c.whole}
    everything = span(0, c.block)
    partials = t.output("partials", (len(zeros), workers, c.width), "f32") if zeros else None
    (worker,) = t.tasks(("worker", workers))
    with t.loop("turn", cdiv(cdiv(M, c.rows), workers), **zeros) as loop:
        at_rows = span((loop.index * workers + worker) * c.rows, c.rows)
        n, rstd = normed(at_rows)

        @functools.cache
        def given(at: Span) -> Tile:
            return t.let("given", t.load(dy, (at_rows, at)).f32)

        @functools.cache
        def weighed(at: Span) -> Tile:
            if weight is None:
                return given(at)
            return t.let("weighed", given(at) * _offset(t.load(weight, (at,)).f32, norm.offset).row)

        sums = c.sums(lambda at: weighed(at) * n(at), *((weighed,) if norm.centred else ()))
        along, *level = (part * (1 / norm.width) for part in sums)

        def write(at: Span) -> None:
            made = weighed(at) - n(at) * along.col
            made = (made - level[0].col if level else made) * rstd.col
            if d_total is not None:
                made = made + t.load(d_total, (at_rows, at)).f32
            t.store(dx, (at_rows, at), made)

        c.each(write)
        for name in zeros:
            loop[name] = loop[name] + (given(everything) * n(everything) if name == "weight_sum" else given(everything))
    for number, name in enumerate(zeros):
        assert partials is not None
        t.store(partials, (number, worker, everything), loop[name].sum(0))
    return t.program()


@functools.lru_cache(256)
def learned(norm: Norm) -> Program:
    """Tensors dy, x [M, N] and statistics; gives ``partials`` where :func:`backward` does not."""
    t = Builder(f"{norm.name}_learned", f"Gradients of weight and bias of {_title(norm)}")
    (M,) = t.sizes("M")
    c = columns(t, norm.width, 8, 256)
    workers = t.constant("WORKERS", norm.workers)
    dy = t.input("dy", (M, c.width), norm.out)
    normed = _normed(t, norm, M, c)
    partials = t.output("partials", (len(norm.learned), workers, c.width), "f32")
    worker, chunk = t.tasks(("worker", workers), ("chunk", cdiv(c.width, c.block)))
    at = span(chunk * c.block, c.block)
    zeros = {name: t.zeros(c.rows, c.block) for name in norm.learned}
    with t.loop("turn", cdiv(cdiv(M, c.rows), workers), **zeros) as loop:
        at_rows = span((loop.index * workers + worker) * c.rows, c.rows)
        n, _ = normed(at_rows)
        given = t.let("given", t.load(dy, (at_rows, at)).f32)
        for name in norm.learned:
            loop[name] = loop[name] + (given * n(at) if name == "weight_sum" else given)
    for number, name in enumerate(norm.learned):
        t.store(partials, (number, worker, at), loop[name].sum(0))
    return t.program()


def _normed(t: Builder, norm: Norm, M: Index, c: Columns) -> Callable[[Span], tuple[Part, Tile]]:
    """Declare x and the statistics; for some rows gives n and 1 / sqrt(var + eps)."""
    x = t.input("x", (M, c.width), norm.dtype)
    statistics = t.input("statistics", (norm.kept, M), "f32")

    def of(at_rows: Span) -> tuple[Part, Tile]:
        names = ("rstd", "mean", "shift")[: norm.kept]
        rstd, *centre = (t.load(statistics, (kept, at_rows), name=name) for kept, name in enumerate(names))

        @functools.cache
        def n(at: Span) -> Tile:
            tile = t.load(x, (at_rows, at)).f32
            for part in centre:
                tile = tile - part.col
            return t.let("n", tile * rstd.col)

        return n, rstd

    return of


def _offset(weight: Tile, offset: float) -> Tile:
    return weight + offset if offset else weight


def _sides(norm: Norm, widest: int) -> tuple[int, int, int]:
    """Rows, columns of a tile, and warps: at least 2048 elements, about 16 to a thread."""
    block = norm.block or min(power_of_two(norm.width), widest)
    rows = norm.rows or min(max(2048 // block, 1), 32)
    return rows, block, min(max(rows * block // 512, 1), 16)


def _title(norm: Norm, epilogue: str = "") -> str:
    source = "x + residual" if norm.residual else "x"
    made = f"layer_norm({source})" if norm.centred else f"rms_norm({source})"
    weight = f"({norm.offset:g} + weight)" if norm.offset else "weight"
    made += f" * {weight}" if norm.weight else ""
    made += " + bias" if norm.bias else ""
    behind = re.sub(r"\bx\b", "y", epilogue)
    return f"y = {made}, row by row{f'; out = {behind}' * bool(epilogue)}."
