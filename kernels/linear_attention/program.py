"""Chunked linear attention as tile programs: states chunk after chunk, then all chunks at once.

S_t = exp(g_t) S_{t-1} + k_t^T v_t, o_t = scale q_t S_t; h is the state before a chunk, dh the gradient by the state
after it, W[i, j] = exp(g_{j+1} + ... + g_i) for i >= j within the chunk, since_i and until_i the sums from its start
and to its end:

- :func:`states`: h [B, H, chunks, Dk, Dv], one chunk after the other; with ``adjoint`` dh, from the last one back.
- :func:`outputs`: o = scale (exp(since) q h + (W * q k^T) v).
- :func:`gradients_qk`: dq, dk, and dg, in parts over tiles of Dk.
- :func:`gradients_v`: dv.

The two kernels of a pass are those of flash-linear-attention and Mamba-2 (arXiv 2405.21060, section 6). The transposed
products of the backward are computed as such: no accumulator is transposed into another product (fla #640). dg is a sum
of products that each have their decay in them, the diagonal of W apart, so that nothing large cancels. Exponents are
masked before they are exponentiated, and at least :data:`FORGOTTEN` a step, so that -inf forgets all without a NaN.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import sympy

from ...lowering.tile import Builder, Program, cdiv, span
from ...lowering.tile.build import Tile
from ...lowering.tile.index import floordiv
from ...lowering.tile.ir import AXES

FORGOTTEN = -104.0
"""Its exponential is 0 in fp32."""


@dataclass(frozen=True)
class LinearAttention:
    """What is computed, and in which tiles."""

    dtype: str = "bf16"
    """Of q, k and v; g is f32."""
    decay: str = "none"
    """``none``, ``head`` (g [H]) or ``step`` (g [B, H, T])."""
    initial: bool = False
    """Whether there is a state before the first step."""
    shares: tuple[int, int, int] = (1, 1, 1)
    """How many heads read one of q, of k and of v."""
    chunk: int = 64
    block_k: int = 64
    block_v: int = 64
    warps: int = 4
    stages: int = 2

    @property
    def state(self) -> str:
        """The type in which states are kept between kernels: sums over a sequence leave the range of f16."""
        return "bf16" if self.dtype == "bf16" else "f32"

    def gradient(self, which: int) -> str:
        """The type of dq, dk or dv: f32 where it is summed over heads afterwards."""
        return self.dtype if self.shares[which] == 1 else "f32"

    @property
    def precision(self) -> str:
        """Of products with a state: f16 loses nothing in TF32."""
        return {"bf16": "native", "f16": "tf32", "f32": "ieee"}[self.dtype]


@functools.lru_cache(512)
def states(kind: LinearAttention, adjoint: bool = False) -> Program:
    """The state before each chunk and after the last, from x = k and y = v.

    ``adjoint`` runs backwards from the gradient by the last state, with x = q and y = do.
    """
    name = "linear_attention_" + ("state_gradients" if adjoint else "states")
    doc = "dh = exp(total) dh + (exp(since) q)^T do" if adjoint else "h = exp(total) h + (exp(until) k)^T v"
    p = _Parts(kind, name, f"{doc}, chunk by chunk.")
    t, chunks = p.t, p.chunks
    x = p.input("q", 0) if adjoint else p.input("k", 1)
    y = t.input("d_out", (p.B, p.H, p.T, p.DV), kind.dtype) if adjoint else p.input("v", 2)
    first = None
    if adjoint or kind.initial:
        first = t.input("d_final" if adjoint else "initial", (p.B, p.H, p.DK, p.DV), "f32")
    kept = t.output("dh" if adjoint else "h", (p.B, p.H, chunks, p.DK, p.DV), kind.state)
    last = t.output("d_initial" if adjoint else "final", (p.B, p.H, p.DK, p.DV), "f32")
    decay, scale = p.decay_buffer(), t.scalar("scale") if adjoint else None
    batch, head, i, j = t.tasks(
        ("batch", p.B), ("head", p.H), ("i", cdiv(p.DK, p.BLOCK_K)), ("j", cdiv(p.DV, p.BLOCK_V))
    )
    place = (span(i * p.BLOCK_K, p.BLOCK_K), span(j * p.BLOCK_V, p.BLOCK_V))
    shape = (p.BLOCK_K, p.BLOCK_V)
    start = t.zeros(*shape) if first is None else t.load(first, (batch, head, *place))
    with t.loop("turn", chunks, stages=kind.stages, state=start) as loop:
        chunk = chunks - 1 - loop.index if adjoint else loop.index
        t.store(kept, (batch, head, chunk, *place), loop["state"])
        at = p.steps(chunk)
        left = t.load(x, (batch, p.shared(head, 0 if adjoint else 1), at, place[0])).T
        right = t.load(y, (batch, head if adjoint else p.shared(head, 2), at, place[1]))
        state = loop["state"]
        if decay is not None:
            sums = _Sums(p, decay, batch, head, chunk)
            weight = t.map("exp", sums.since() if adjoint else sums.until())
            right = (right.f32 * weight.col).cast(kind.dtype)
            state = state * t.map("exp", sums.total())
        if scale is None:
            loop["state"] = t.dot(left, right, state)
        else:
            loop["state"] = state + t.dot(left, right) * scale
    t.store(last, (batch, head, *place), loop["state"])
    return t.program()


@functools.lru_cache(512)
def outputs(kind: LinearAttention) -> Program:
    """The outputs of every chunk from the state before it."""
    p = _Parts(kind, "linear_attention_outputs", "out = scale (exp(since) q h + (W * q k^T) v), all chunks at once.")
    t = p.t
    q, k, v = p.input("q", 0), p.input("k", 1), p.input("v", 2)
    h = t.input("h", (p.B, p.H, p.chunks, p.DK, p.DV), kind.state, contiguous=True)
    out = t.output("out", (p.B, p.H, p.T, p.DV), kind.dtype)
    decay, scale = p.decay_buffer(), t.scalar("scale")
    batch, head, chunk, j = t.tasks(("batch", p.B), ("head", p.H), ("chunk", p.chunks), ("j", cdiv(p.DV, p.BLOCK_V)))
    at, columns = p.steps(chunk), span(j * p.BLOCK_V, p.BLOCK_V)
    begin = {"scores": t.zeros(p.CHUNK, p.CHUNK), "total": t.zeros(p.CHUNK, p.BLOCK_V)}
    with t.loop("i", cdiv(p.DK, p.BLOCK_K), stages=kind.stages, **begin) as loop:
        width = span(loop.index * p.BLOCK_K, p.BLOCK_K)
        queries = t.load(q, (batch, p.shared(head, 0), at, width), name="queries")
        keys = t.load(k, (batch, p.shared(head, 1), at, width), name="keys")
        state = t.load(h, (batch, head, chunk, width, columns), name="state")
        loop["scores"] = t.dot(queries, keys.T, loop["scores"])
        loop["total"] = t.dot(queries.cast(kind.state), state, loop["total"], precision=kind.precision)
    scores, total = loop["scores"], loop["total"]
    sums = None if decay is None else _Sums(p, decay, batch, head, chunk)
    if sums is not None:
        total = total * t.map("exp", sums.since()).col
    values = t.load(v, (batch, p.shared(head, 2), at, columns), name="values")
    total = t.dot(_weighted(p, scores, sums).cast(kind.dtype), values, total)
    t.store(out, (batch, head, at, columns), total * scale)
    return t.program()


@functools.lru_cache(512)
def gradients_qk(kind: LinearAttention) -> Program:
    """dq and dk, one for each head of the result, and with a decay the part of dg that a tile of Dk makes."""
    p = _Parts(kind, "linear_attention_gradients_qk", "dq, dk and dg of every chunk, from its h and dh.")
    t = p.t
    q, k, v = p.input("q", 0), p.input("k", 1), p.input("v", 2)
    d_out = t.input("d_out", (p.B, p.H, p.T, p.DV), kind.dtype)
    h, dh = (t.input(name, (p.B, p.H, p.chunks, p.DK, p.DV), kind.state, contiguous=True) for name in ("h", "dh"))
    dq, dk = (t.output(f"d{x}", (p.B, p.H, p.T, p.DK), kind.gradient(at)) for at, x in enumerate("qk"))
    decay, scale = p.decay_buffer(), t.scalar("scale")
    tiles = cdiv(p.DK, p.BLOCK_K)
    d_decay = None if decay is None else t.output("d_decay", (p.B, p.H, tiles, p.T), "f32")
    batch, head, chunk, i = t.tasks(("batch", p.B), ("head", p.H), ("chunk", p.chunks), ("i", tiles))
    at, width = p.steps(chunk), span(i * p.BLOCK_K, p.BLOCK_K)
    square, tall = (p.CHUNK, p.CHUNK), (p.CHUNK, p.BLOCK_K)
    begin = {"by_score": t.zeros(*square), "by_score_t": t.zeros(*square), "by_q": t.zeros(*tall)}
    begin |= {"by_k": t.zeros(*tall), "diagonal": t.zeros(p.CHUNK)}
    if decay is not None:
        begin["common"] = t.zeros(p.BLOCK_K)
    with t.loop("j", cdiv(p.DV, p.BLOCK_V), stages=kind.stages, **begin) as loop:
        columns = span(loop.index * p.BLOCK_V, p.BLOCK_V)
        values = t.load(v, (batch, p.shared(head, 2), at, columns), name="values")
        slope = t.load(d_out, (batch, head, at, columns), name="slope")
        before = t.load(h, (batch, head, chunk, width, columns), name="before")
        after = t.load(dh, (batch, head, chunk, width, columns), name="after")
        loop["by_score"] = t.dot(slope, values.T, loop["by_score"])
        loop["by_score_t"] = t.dot(values, slope.T, loop["by_score_t"])
        loop["by_q"] = t.dot(slope.cast(kind.state), before.T, loop["by_q"], precision=kind.precision)
        loop["by_k"] = t.dot(values.cast(kind.state), after.T, loop["by_k"], precision=kind.precision)
        loop["diagonal"] = loop["diagonal"] + (slope.f32 * values.f32).sum(1)
        if decay is not None:
            loop["common"] = loop["common"] + (before.f32 * after.f32).sum(1)
    queries = t.load(q, (batch, p.shared(head, 0), at, width), name="queries")
    keys = t.load(k, (batch, p.shared(head, 1), at, width), name="keys")
    from_state, to_state = loop["by_q"] * scale, loop["by_k"]
    sums = None if decay is None else _Sums(p, decay, batch, head, chunk)
    if sums is not None:
        from_state = from_state * t.map("exp", sums.since()).col
        to_state = to_state * t.map("exp", sums.until()).col
    from_keys = t.dot(_weighted(p, loop["by_score"], sums, strict=True).cast(kind.dtype), keys) * scale
    by_score_t = _weighted(p, loop["by_score_t"], sums, strict=True, transposed=True)
    to_queries = t.dot(by_score_t.cast(kind.dtype), queries) * scale
    own = t.let("own", loop["diagonal"] * scale).col
    t.store(dq, (batch, head, at, width), from_state + from_keys + own * keys.f32)
    t.store(dk, (batch, head, at, width), to_state + to_queries + own * queries.f32)
    if d_decay is not None and sums is not None:
        # g_t is in what steps from t on read of the past, less what of it began at t or later ...
        read = (queries.f32 * (from_state + from_keys) - keys.f32 * to_queries).sum(1).cumsum(0, reverse=True)
        # ... and in what steps before t, and the state before them, hand on to later chunks.
        written = (keys.f32 * to_state).sum(1)
        earlier = (written.row + t.zeros(*square)).mask(AXES[0] - AXES[1] - 1).sum(1)
        common = loop["common"].sum(0) * t.map("exp", sums.total())
        t.store(d_decay, (batch, head, i, at), read + earlier + common)
    return t.program()


@functools.lru_cache(512)
def gradients_v(kind: LinearAttention) -> Program:
    """dv, one for each head of the result."""
    p = _Parts(kind, "linear_attention_gradients_v", "dv = exp(until) k dh + scale (W * q k^T)^T do.")
    t = p.t
    q, k = p.input("q", 0), p.input("k", 1)
    d_out = t.input("d_out", (p.B, p.H, p.T, p.DV), kind.dtype)
    dh = t.input("dh", (p.B, p.H, p.chunks, p.DK, p.DV), kind.state, contiguous=True)
    dv = t.output("dv", (p.B, p.H, p.T, p.DV), kind.gradient(2))
    decay, scale = p.decay_buffer(), t.scalar("scale")
    batch, head, chunk, j = t.tasks(("batch", p.B), ("head", p.H), ("chunk", p.chunks), ("j", cdiv(p.DV, p.BLOCK_V)))
    at, columns = p.steps(chunk), span(j * p.BLOCK_V, p.BLOCK_V)
    begin = {"scores_t": t.zeros(p.CHUNK, p.CHUNK), "total": t.zeros(p.CHUNK, p.BLOCK_V)}
    with t.loop("i", cdiv(p.DK, p.BLOCK_K), stages=kind.stages, **begin) as loop:
        width = span(loop.index * p.BLOCK_K, p.BLOCK_K)
        queries = t.load(q, (batch, p.shared(head, 0), at, width), name="queries")
        keys = t.load(k, (batch, p.shared(head, 1), at, width), name="keys")
        after = t.load(dh, (batch, head, chunk, width, columns), name="after")
        loop["scores_t"] = t.dot(keys, queries.T, loop["scores_t"])
        loop["total"] = t.dot(keys.cast(kind.state), after, loop["total"], precision=kind.precision)
    total = loop["total"]
    sums = None if decay is None else _Sums(p, decay, batch, head, chunk)
    if sums is not None:
        total = total * t.map("exp", sums.until()).col
    slope = t.load(d_out, (batch, head, at, columns), name="slope")
    scores_t = _weighted(p, loop["scores_t"], sums, transposed=True)
    t.store(dv, (batch, head, at, columns), total + t.dot(scores_t.cast(kind.dtype), slope) * scale)
    return t.program()


class _Parts:
    """What the programs share: sizes, tile sides, inputs."""

    def __init__(self, kind: LinearAttention, name: str, doc: str) -> None:
        self.kind = kind
        self.t = t = Builder(name, doc, warps=kind.warps, stages=kind.stages)
        self.B, self.H, self.T, self.DK, self.DV = t.sizes("B", "H", "T", "DK", "DV")
        self.CHUNK = t.constant("CHUNK", kind.chunk)
        self.BLOCK_K, self.BLOCK_V = t.constant("BLOCK_K", kind.block_k), t.constant("BLOCK_V", kind.block_v)
        self.chunks = cdiv(self.T, self.CHUNK)

    def input(self, name: str, which: int) -> Any:
        """q, k or v, with heads of their own where those are shared."""
        heads = self.H if self.kind.shares[which] == 1 else self.t.size(f"H{name.upper()}")
        return self.t.input(name, (self.B, heads, self.T, self.DV if which == 2 else self.DK), self.kind.dtype)

    def decay_buffer(self) -> Any:
        """g, if there is one."""
        if self.kind.decay == "none":
            return None
        shape = (self.H,) if self.kind.decay == "head" else (self.B, self.H, self.T)
        return self.t.input("decay", shape, "f32")

    def shared(self, head: Any, which: int) -> Any:
        """The head of q, k or v that a head reads."""
        return floordiv(head, self.kind.shares[which])

    def steps(self, chunk: Any) -> Any:
        """The steps of a chunk."""
        return span(chunk * self.CHUNK, self.CHUNK)


class _Sums:
    """Sums of log-decays over parts of a chunk; each is made where it is asked for."""

    def __init__(self, p: _Parts, buffer: Any, batch: Any, head: Any, chunk: Any) -> None:
        self.p, self.t, self.chunk = p, p.t, chunk
        start = chunk * p.CHUNK
        if p.kind.decay == "head":
            self.rate = self.t.map("maximum", self.t.load(buffer, (head,)), FORGOTTEN, name="rate")
            self.valid = sympy.Min(p.CHUNK, p.T - start)
            return
        steps = self.t.load(buffer, (batch, head, p.steps(chunk)))
        self.step = self.t.map("maximum", steps, FORGOTTEN, name="step")
        # From the next step on, so that sums to the end need no subtraction.
        later = self.t.load(buffer, (batch, head, span(start + 1, p.CHUNK))).mask(p.kind.chunk - 2 - AXES[0])
        self.later = self.t.map("maximum", later, FORGOTTEN, name="later")

    @property
    def by_head(self) -> bool:
        return self.p.kind.decay == "head"

    def total(self) -> Tile:
        """Over the whole chunk."""
        return self.t.map("mul", self.rate, self.valid) if self.by_head else self.step.sum(0)

    def since(self) -> Tile:
        """From the start of the chunk to each step, both included."""
        return self.t.iota(1, self.p.CHUNK).f32 * self.rate if self.by_head else self.step.cumsum(0)

    def until(self) -> Tile:
        """From after each step to the end of the chunk; -inf past the last step."""
        if not self.by_head:
            return self.later.cumsum(0, reverse=True)
        left = self.t.map("sub", self.valid - 1, self.t.iota(0, self.p.CHUNK)).f32
        return (left * self.rate).mask(self.valid - 1 - AXES[0], other=float("-inf"))

    def between(self, strict: bool, transposed: bool) -> Tile:
        """[i, j]: over the steps after j up to i, -inf where there are none; with ``transposed`` [j, i]."""
        t, size = self.t, self.p.CHUNK
        if self.by_head:
            position = t.iota(0, size).f32
            sums = (_difference(position, transposed)) * self.rate
        elif self.p.kind.dtype != "f32":
            sums = _difference(self.step.cumsum(0), transposed)
        else:
            # A difference of fp32 sums would be exact to the largest of them only: a second number holds the rest.
            exact = self.step.cast("f64").cumsum(0)
            high = exact.f32
            low = (exact - high.cast("f64")).f32
            sums = _difference(high, transposed) + _difference(low, transposed)
        distance = AXES[1] - AXES[0] if transposed else AXES[0] - AXES[1]
        return sums.mask(distance - int(strict), other=float("-inf"))


def _difference(x: Tile, transposed: bool) -> Tile:
    return x.row - x.col if transposed else x.col - x.row


def _weighted(p: _Parts, scores: Tile, sums: _Sums | None, *, strict: bool = False, transposed: bool = False) -> Tile:
    """W * scores, or the transpose of it; ``strict`` without the diagonal."""
    if sums is not None:
        return scores * p.t.map("exp", sums.between(strict, transposed))
    distance = AXES[1] - AXES[0] if transposed else AXES[0] - AXES[1]
    return scores.mask(distance - int(strict))
