"""The tile programs of attention, backward: one for rows, one over tiles of keys, one over tiles of queries.

With x the logits, p = exp(x - lse) and dp = dout v^T, the gradient of the logits is p (dp - delta) for
delta = rowsum(dout out) - dlse, and

    dv = p^T dout,  dk = scale dx^T q,  dq = scale dx k

(FlashAttention-2, arXiv 2307.08691, section 3.1.2; the term in dlse is what the log-sum-exp passes on). Over keys all
products are taken transposed from the start, x^T = k q^T, and the query heads of a key head are gone through one after
the other, so that nothing is transposed on the way and nothing is added up by atomics. Under a soft cap dx carries the
factor 1 - tanh^2. The gradient of a bias is not computed.
"""

from __future__ import annotations

import functools
import math

import sympy

from ...lowering.tile import Builder, Program, Tile, cdiv, floordiv, span
from ...lowering.tile.build import Carried
from ...lowering.tile.index import Index
from ...lowering.tile.ir import AXES
from .masks import at_least, query_tiles, visit
from .program import GROWING, LOG2E, Attention, AttentionTile, Form, power_of_two


@functools.lru_cache(64)
def row_terms(dtype: str, value_dim: int, has_dlse: bool) -> Program:
    """``delta`` as above, and ``base`` = lse * log2(e), infinite for a query that sees nothing: all its p are 0."""
    t = Builder("attention_rows", "Per query: rowsum(dout * out) - dlse, and the log-sum-exp in the base of 2.")
    B, H, TQ = t.sizes("B", "H", "TQ")
    ROWS, DV = t.constant("ROWS", 32), t.constant("VALUE_DIM", value_dim)
    BDV = t.constant("BLOCK_DV", power_of_two(value_dim))
    dout, out = (t.input(name, (B, H, TQ, DV), dtype) for name in ("dout", "out"))
    lse = t.input("lse", (B, H, TQ), "f32", contiguous=True)
    dlse = t.input("dlse", (B, H, TQ), "f32") if has_dlse else None
    delta, base = (t.output(name, (B, H, TQ), "f32") for name in ("delta", "base"))
    b, h, i = t.tasks(("b", B), ("h", H), ("i", cdiv(TQ, ROWS)))
    rows = span(i * ROWS, ROWS)
    at = (b, h, rows, span(0, BDV))
    total = (t.load(dout, at, name="cotangent").f32 * t.load(out, at, name="result").f32).sum(1)
    t.store(delta, (b, h, rows), total if dlse is None else total - t.load(dlse, (b, h, rows)))
    sums = t.load(lse, (b, h, rows), name="sums")
    t.store(base, (b, h, rows), t.map("where", t.map("eq", sums, -math.inf), math.inf, sums * LOG2E))
    return t.program()


@functools.lru_cache(1024)
def backward_keys(form: Form, tile: AttentionTile) -> Program:
    """dk and dv: each task has a tile of keys, and goes through the queries that see it."""
    a = Attention("attention_backward_keys", "Gradients of keys and values.", form, tile, transposed=True)
    t = a.t
    scale, dout, delta, base = _cotangents(a)
    dk = t.output("dk", (a.B, a.KV, a.TK, a.D), form.dtype, contiguous=False)
    dv = t.output("dv", (a.B, a.KV, a.TK, a.DV), form.dtype, contiguous=False)
    b, kv_head, j = t.tasks(("b", a.B), ("kv_head", a.KV), ("j", cdiv(a.TK, a.BN)))
    columns, keys = span(j * a.BN, a.BN), a.keys(b)
    k = t.load(a.k, (b, kv_head, columns, a.features), name="key")
    v = t.load(a.v, (b, kv_head, columns, a.values), name="value")
    key = None if form.mask == "none" else t.let("key_position", t.iota(j * a.BN, a.BN).col)
    queries = a.TQ * at_least(keys, j * a.BN + 1) if form.lengths else a.TQ

    def of_head(h: Index, **carries: Tile) -> dict[str, Tile]:
        def step(i: Index, now: Carried, masked: bool) -> None:
            rows = span(i * a.BM, a.BM)
            q = t.load(a.q, (b, h, rows, a.features), name="queries")
            x, capped = a.logits(t.dot(k, q.T, name="x"), b, h, columns, rows)
            if masked and key is not None:
                first, last = a.ends(i, a.TK)
                assert last is not None
                x = a.kept(x, key, None if first is None else first.row, last.row)
            p = t.map("exp2", a.scaled(x) - t.load(base, (b, h, rows), pad=math.inf, name="sums").row, name="p")
            cotangent = t.load(dout, (b, h, rows, a.values), name="cotangent")
            now["dv"] = t.dot(p.cast(form.dtype), cotangent, now["dv"])
            dp = t.dot(v, cotangent.T, name="dp")
            dx = _dx(a, p, dp - t.load(delta, (b, h, rows), name="inner_products").row, capped)
            now["dk"] = t.dot(dx, q, now["dk"])

        if form.listed:
            return a.over_list("query_tiles", j, cdiv(a.TK, a.BN), cdiv(a.TQ, a.BM), step, **carries)
        ends = j * a.BN, sympy.Min((j + 1) * a.BN, a.TK) - 1
        return visit(t, query_tiles(t, a.seen, ends, queries, a.BM), a.stages, step, **carries)

    made = {"dk": t.zeros(a.BN, a.BD), "dv": t.zeros(a.BN, a.BDV)}
    if form.group > 1:
        with t.loop("member", a.group, **made) as loop:
            found = of_head(t.define("h", kv_head * a.group + loop.index), **{name: loop[name] for name in made})
            for name, value in found.items():
                loop[name] = value
        made = {name: loop[name] for name in made}
    else:
        made = of_head(kv_head, **made)
    for result, features, value in ((dk, a.features, made["dk"] * scale), (dv, a.values, made["dv"])):
        # The key lengths hide whole rows here, which are computed like the others.
        kept = value.mask(keys - 1 - j * a.BN - AXES[0]) if form.lengths else value
        t.store(result, (b, kv_head, columns, features), kept)
    return t.program()


@functools.lru_cache(1024)
def backward_queries(form: Form, tile: AttentionTile) -> Program:
    """dq: each task has a tile of queries, and goes through the keys they see, as forward does."""
    a = Attention("attention_backward_queries", "Gradient of queries.", form, tile)
    t = a.t
    scale, dout, delta, base = _cotangents(a)
    dq = t.output("dq", (a.B, a.heads, a.TQ, a.D), form.dtype, contiguous=False)
    b, h, turn = t.tasks(("b", a.B), ("h", a.heads), ("turn", cdiv(a.TQ, a.BM)))
    i = t.define("i", cdiv(a.TQ, a.BM) - 1 - turn) if form.mask in GROWING else turn
    rows, kv_head = span(i * a.BM, a.BM), t.define("kv_head", floordiv(h, a.group))
    keys = a.keys(b)
    q = t.load(a.q, (b, h, rows, a.features), name="queries")
    cotangent = t.load(dout, (b, h, rows, a.values), name="cotangent")
    sums = t.load(base, (b, h, rows), pad=math.inf, name="sums")
    products = t.load(delta, (b, h, rows), name="inner_products")
    ends = a.ends(i, keys)

    def step(tile: Index, now: Carried, masked: bool) -> None:
        columns = span(tile * a.BN, a.BN)
        k = t.load(a.k, (b, kv_head, columns, a.features), name="key")
        x, capped = a.logits(t.dot(q, k.T, name="x"), b, h, rows, columns)
        if masked:
            x = a.hide(x, tile, ends, keys)
        p = t.map("exp2", a.scaled(x) - sums.col, name="p")
        v = t.load(a.v, (b, kv_head, columns, a.values), name="value")
        dp = t.dot(cotangent, v.T, name="dp")
        now["dq"] = t.dot(_dx(a, p, dp - products.col, capped), k, now["dq"])

    made = a.over_keys(i, keys, step, dq=t.zeros(a.BM, a.BD))
    t.store(dq, (b, h, rows, a.features), made["dq"] * scale)
    return t.program()


def _cotangents(a: Attention):
    """The scale, and the inputs that only backward has."""
    t = a.t
    scale = t.scalar("scale")
    dout = t.input("dout", (a.B, a.heads, a.TQ, a.DV), a.form.dtype)
    delta, base = (t.input(name, (a.B, a.heads, a.TQ), "f32", contiguous=True) for name in ("delta", "base"))
    return scale, dout, delta, base


def _dx(a: Attention, p: Tile, difference: Tile, capped: Tile | None) -> Tile:
    """The gradient of the products, less their scale."""
    dx = p * difference
    if capped is not None:
        dx = dx * (1.0 - capped * capped)
    return dx.cast(a.form.dtype)
