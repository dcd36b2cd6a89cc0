"""The tile program of attention, forward: out [B, Hq, Tq, Dv] and the natural log-sum-exp [B, Hq, Tq].

For a tile of queries the tiles of keys they see go by; with x the products q k^T, and everything in the base of 2,

    m' = max(m, rowmax(x)),  p = exp2(x - m'),  l = l exp2(m - m') + rowsum(p),  acc = acc exp2(m - m') + p v

and finally out = acc / l, lse = (m + log2(l)) ln 2: the online softmax of FlashAttention-2 (arXiv 2307.08691), section
3.1. A query that sees nothing has out 0 and lse -inf. A query head reads the keys and values of head // group, which
are never repeated; with ``packed`` the queries of all heads of one key head are rows of one tile, head after head, so
that a few of them fill it. Any head dim: tiles are padded to the next power of two.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from ...lowering.tile import Builder, Program, Tile, cdiv, floordiv, span
from ...lowering.tile.build import Carried
from ...lowering.tile.chain import chain
from ...lowering.tile.index import Index
from ...lowering.tile.ir import AXES
from .masks import WINDOWED, Visible, key_tiles, visit

LOG2E, LN2 = math.log2(math.e), math.log(2)
GROWING = ("causal", "prefix", "block_causal")
"""Masks under which the last queries see the most keys: their tiles start first."""


@dataclass(frozen=True)
class Form:
    """What is computed: everything a program depends on besides its tiles."""

    dtype: str
    head_dim: int
    value_dim: int
    group: int = 1
    """Query heads for each key head."""
    mask: str = "none"
    lengths: bool = False
    bias: str = ""
    """The type of the bias, ``"bool"`` for a mask; ``""`` for none."""
    softcap: bool = False
    packed: bool = False
    """Whether queries are [B, Hkv, group * Tq, D]; ``group`` is 1 then, and ``QUERIES`` is Tq."""
    listed: bool = False
    """Whether the tiles to visit come from lists (:mod:`.blocks`)."""


@dataclass(frozen=True)
class AttentionTile:
    """Queries and keys of one tile, and how it is computed; as text ``128x64,w8,s2``."""

    block_m: int = 128
    block_n: int = 64
    warps: int = 8
    stages: int = 2

    def __str__(self) -> str:
        """As it is parsed."""
        return f"{self.block_m}x{self.block_n},w{self.warps},s{self.stages}"

    @classmethod
    def parse(cls, text: str) -> AttentionTile:
        """From its text; raises ``ValueError`` for another text."""
        sides, warps, stages = text.split(",")
        m, n = map(int, sides.split("x"))
        return cls(m, n, int(warps[1:]), int(stages[1:]))


@functools.lru_cache(1024)
def forward(
    form: Form, tile: AttentionTile, epilogue: str = "", outputs: tuple[str, ...] = (), extras: tuple[str, ...] = ()
) -> Program:
    """The program of attention. ``factor`` is scale * log2(e), or softcap * log2(e) with ``inner`` scale / softcap.

    With an ``epilogue``, a chain, it gives out0, out1, ... of the types ``outputs`` in place of out and lse; the
    chain's operands are of the types ``extras`` and of out's shape.
    """
    after = chain(epilogue or "x")
    a = Attention("attention", _doc(form, epilogue), form, tile)
    t, shape = a.t, (a.B, a.heads, a.TQ, a.DV)
    beside = {name: t.input(name, shape, kind) for name, kind in zip(after.extras, extras, strict=True)}
    kinds = {f"out{at}": kind for at, kind in enumerate(outputs)} if epilogue else {"out": form.dtype}
    results = [t.output(name, shape, kind, contiguous=False) for name, kind in kinds.items()]
    lse = None if epilogue else t.output("lse", shape[:-1], "f32")
    b, h, turn = t.tasks(("b", a.B), ("h", a.heads), ("turn", cdiv(a.TQ, a.BM)))
    i = t.define("i", cdiv(a.TQ, a.BM) - 1 - turn) if form.mask in GROWING else turn
    rows, kv_head = span(i * a.BM, a.BM), t.define("kv_head", floordiv(h, a.group))
    keys = a.keys(b)
    q = t.load(a.q, (b, h, rows, a.features), name="queries")
    ends = a.ends(i, keys)

    def step(tile: Index, now: Carried, masked: bool) -> None:
        columns = span(tile * a.BN, a.BN)
        k = t.load(a.k, (b, kv_head, columns, a.features), name="key")
        x, _ = a.logits(t.dot(q, k.T, name="x"), b, h, rows, columns)
        if masked:
            x = a.hide(x, tile, ends, keys)
        largest = t.map("maximum", now["m"], a.scaled(x.max(1)), name="largest")
        base = largest
        if masked or form.bias:
            base = t.map("where", t.map("eq", largest, -math.inf), 0.0, largest, name="base")
        p = t.map("exp2", a.scaled(x) - base.col, name="p")
        shrunk = t.map("exp2", now["m"] - base, name="shrunk")
        v = t.load(a.v, (b, kv_head, columns, a.values), name="value")
        now["l"] = now["l"] * shrunk + p.sum(1)
        now["acc"] = t.dot(p.cast(form.dtype), v, now["acc"] * shrunk.col)
        now["m"] = largest

    carries = {"m": t.full([a.BM], -math.inf), "l": t.zeros(a.BM), "acc": t.zeros(a.BM, a.BDV)}
    made = a.over_keys(i, keys, step, **carries)
    m, total = made["m"], made["l"]
    empty = t.map("eq", total, 0.0, name="empty")
    total = t.map("where", empty, 1.0, total, name="total")
    at = (b, h, rows, a.values)
    found = after.apply(t, made["acc"] / total.col, lambda name: t.load(beside[name], at, name=name))
    for result, value in zip(results, found, strict=True):
        t.store(result, at, value)
    if lse is not None:
        t.store(lse, (b, h, rows), t.map("where", empty, -math.inf, (m + t.map("log2", total)) * LN2))
    return t.program()


class Attention:
    """What the programs of attention, forward and backward, have in common: sizes, operands, logits and masks."""

    def __init__(self, name: str, doc: str, form: Form, tile: AttentionTile, *, transposed: bool = False) -> None:
        """Declare them; a ``transposed`` bias is [B, Hq, Tk, Tq]."""
        t = self.t = Builder(name, doc, warps=tile.warps, stages=tile.stages)
        self.form, self.stages = form, tile.stages
        self.B, self.KV, self.TQ, self.TK = t.sizes("B", "KV_HEADS", "TQ", "TK")
        self.queries = t.size("QUERIES") if form.packed and form.mask != "none" else self.TQ
        offset = t.integer("OFFSET") if form.mask != "none" else 0
        window = t.size("WINDOW") if form.mask in WINDOWED else 0
        self.seen = Visible(form.mask, offset, window)
        self.BM, self.BN = t.constant("BLOCK_M", tile.block_m), t.constant("BLOCK_N", tile.block_n)
        self.D, self.DV = t.constant("HEAD_DIM", form.head_dim), t.constant("VALUE_DIM", form.value_dim)
        self.BD = _padded(t, "BLOCK_D", self.D, form.head_dim)
        self.BDV = _padded(t, "BLOCK_DV", self.DV, form.value_dim)
        self.group = t.constant("GROUP", form.group) if form.group > 1 else sympy.Integer(1)
        self.heads = self.KV * self.group
        self.features, self.values = span(0, self.BD), span(0, self.BDV)
        self.q = t.input("q", (self.B, self.heads, self.TQ, self.D), form.dtype)
        self.k = t.input("k", (self.B, self.KV, self.TK, self.D), form.dtype)
        self.v = t.input("v", (self.B, self.KV, self.TK, self.DV), form.dtype)
        sides = (self.TK, self.TQ) if transposed else (self.TQ, self.TK)
        self.bias = t.input("bias", (self.B, self.heads, *sides), form.bias) if form.bias else None
        self.lengths = t.input("key_lengths", (self.B,), "i32", contiguous=True) if form.lengths else None
        self.inner = t.scalar("inner") if form.softcap else None
        self.factor = t.scalar("factor")

    def keys(self, b: Index) -> Index:
        """How many keys this batch row has."""
        if self.lengths is None:
            return self.TK
        return self.t.load_index(self.lengths, (b,), name="length")

    def logits(self, x: Tile, b: Index, h: Index, rows: Any, columns: Any) -> tuple[Tile, Tile | None]:
        """Products with cap and bias, still to be :meth:`scaled`, and the hyperbolic tangent of the cap.

        Rows are keys where the operands are transposed.
        """
        t = self.t
        capped = None
        if self.inner is not None:
            x = capped = t.map("tanh", x * self.inner, name="capped")
        if self.bias is not None:
            bias = t.load(self.bias, (b, h, rows, columns), name="beside")
            if self.form.bias == "bool":
                x = t.map("where", bias, x, -math.inf, name="biased")
            else:
                x = t.let("biased", x * self.factor + bias.f32 * LOG2E)
        return x, capped

    def scaled(self, x: Tile) -> Tile:
        """In the base of 2."""
        return x if self.form.bias not in ("", "bool") else x * self.factor

    def ends(self, i: Index, keys: Index) -> tuple[Tile | None, Tile | None]:
        """The first and the last key that each query of tile ``i`` sees; nothing where it is the same for all."""
        t = self.t
        if self.form.mask == "none":
            return None, None
        position = t.iota(i * self.BM, self.BM)
        if self.form.packed:
            position = t.map("remainder", position, self.queries)
        position = t.let("position", position)
        first = self.seen.first(position)
        last = t.map("minimum", self.seen.last(position), keys - 1, name="last_key")
        return None if first is None else t.let("first_key", first), last

    def hide(self, x: Tile, tile: Index, ends: tuple[Tile | None, Tile | None], keys: Index) -> Tile:
        """Logits [queries, keys] with -inf where a query does not see a key of tile ``tile``."""
        t = self.t
        first, last = ends
        if last is None:
            return x.mask(keys - 1 - tile * self.BN - AXES[1], other=-math.inf)
        key = t.let("key_position", t.iota(tile * self.BN, self.BN).row)
        return self.kept(x, key, None if first is None else first.col, last.col)

    def kept(self, x: Tile, key: Tile, first: Tile | None, last: Tile) -> Tile:
        """Logits with -inf for keys before the first and after the last."""
        t = self.t
        visible = t.map("le", key, last)
        if first is not None:
            visible = t.map("and", t.map("le", first, key), visible)
        return t.map("where", visible, x, -math.inf, name="hidden")

    def over_keys(self, i: Index, keys: Index, step: Any, **carries: Tile) -> dict[str, Tile]:
        """Run ``step`` over the tiles of keys that the queries of tile ``i`` see."""
        t = self.t
        if self.form.listed:
            return self.over_list("key_tiles", i, cdiv(self.TQ, self.BM), cdiv(self.TK, self.BN), step, **carries)
        first, last = i * self.BM, sympy.Min((i + 1) * self.BM, self.TQ) - 1
        if self.form.packed:
            first, last = sympy.Integer(0), self.queries - 1
        tiles = key_tiles(t, self.seen, (first, last), keys, self.BN)
        return visit(t, tiles, self.stages, step, **carries)

    def over_list(self, name: str, at: Index, count: Index, most: Index, step: Any, **carries: Tile) -> dict[str, Tile]:
        """Run ``step`` over the tiles of a list: ``<name>_count`` [count] of the entries of ``name`` [count, most]."""
        t = self.t
        counts = t.input(f"{name}_count", (count,), "i32", contiguous=True)
        entries = t.input(name, (count, most), "i32", contiguous=True)
        with t.loop("entry", t.load_index(counts, (at,), name="listed"), stages=self.stages, **carries) as loop:
            step(t.load_index(entries, (at, loop.index), name="tile"), loop, True)
        return {key: loop[key] for key in carries}


def power_of_two(size: int) -> int:
    """The side of a tile that holds ``size`` elements and may enter a product."""
    return max(16, 1 << (size - 1).bit_length())


def _padded(t: Builder, name: str, side: Index, size: int) -> Index:
    padded = power_of_two(size)
    return side if padded == size else t.constant(name, padded)


def _doc(form: Form, epilogue: str = "") -> str:
    parts: Sequence[str] = (
        f"mask {form.mask}" if form.mask != "none" else "",
        "key lengths" if form.lengths else "",
        f"bias in {form.bias}" if form.bias else "",
        "soft cap" if form.softcap else "",
        f"{form.group} query heads for each key head" if form.group > 1 else "",
        "the query heads of a key head as rows" if form.packed else "",
        "listed tiles" if form.listed else "",
    )
    made = f"{epilogue}, x being attention" if epilogue else "Attention and its log-sum-exp"
    return f"{made}: {', '.join(filter(None, parts)) or 'every query sees every key'}."
