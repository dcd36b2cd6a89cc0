"""The diagonal state-space scan as one tile program, a block of G chunks of C steps after the other.

x_{t+1} = lambda x_t + u_t, y_t = Re(sum_n R_n x_t[n]) + skip u_t. For every (batch, head) the block is a matrix
[G, C] of inputs U, and with x the state before it

- added = U P [G, N], P[j, n] = lambda_n^(C - 1 - j): each chunk's own part of the state after it;
- before[g] = lambda^(C g) x + sum over g' < g of lambda^(C (g - 1 - g')) added[g']: the state before each chunk;
- y = U W + Re(before Q): W[j, i] = taps[i - j], Q[n, i] = R_n lambda_n^i;
- the state before the next block is before[G].

The taps carry the skip at lag 0. States, and the products with them, are in fp32 whatever u is: residues of close poles
cancel each other, and would not if they were rounded. Powers come in tables, which :mod:`.op` makes in fp64. The chunk
decomposition is that of Mamba-2 (arXiv 2405.21060, section 6), the modal form that of Laughing Hyena (arXiv 2310.18780,
section 3).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ...lowering.tile import Builder, Program, cdiv, span
from ...lowering.tile.build import Complex, Tile, spans
from ...lowering.tile.index import floordiv
from ...lowering.tile.ir import AXES, Buffer


@dataclass(frozen=True)
class SsmScan:
    """What is computed, and in which tiles."""

    dtype: str = "bf16"
    """Of u, y and the taps."""
    modes: int = 16
    """A power of two of at least 16, no less than the modes there are."""
    initial: bool = False
    """Whether there is a state before the first step."""
    chunk: int = 64
    chunks: int = 16
    """Chunks in a block."""
    warps: int = 4


@functools.lru_cache(512)
def scan(kind: SsmScan) -> Program:
    """y and the state after the last step.

    ``hops`` holds the powers (e - chunks) of lambda^chunk for e from 0 to 2 chunks, 0 where that is negative; ``over``
    the power that leads from the start of the last chunk to the end; ``taps`` begin with chunk - 1 zeros.
    """
    t = Builder("ssm_scan", "x = lambda x + u, y = Re(R x) + skip u, by blocks of chunks.", warps=kind.warps, stages=1)
    B, H, T, N = t.sizes("B", "H", "T", "N")
    MODES, CHUNK = t.constant("MODES", kind.modes), t.constant("CHUNK", kind.chunk)
    CHUNKS = t.constant("CHUNKS", kind.chunks)
    u = t.input("u", (B, H, T), kind.dtype)
    taps = t.input("taps", (H, 2 * CHUNK - 1), kind.dtype, contiguous=True)
    powers = t.input("powers", (2, H, CHUNK, N), "f32", contiguous=True)
    reads = t.input("reads", (2, H, N, CHUNK), "f32", contiguous=True)
    hops = t.input("hops", (2, H, 2 * CHUNKS + 1, N), "f32", contiguous=True)
    over = t.input("over", (2, H, N), "f32", contiguous=True)
    initial = t.input("initial", (B, H, N, 2), "f32") if kind.initial else None
    y = t.output("y", (B, H, T), kind.dtype)
    final = t.output("final", (B, H, N, 2), "f32")
    batch, head = t.tasks(("batch", B), ("head", H))
    modes = span(0, MODES)

    def table(buffer: Buffer, *at: object, name: str) -> Complex:
        """The real and the imaginary part of a table of this head."""
        re, im = (t.load(buffer, (part, head, *at), name=f"{name}_{s}") for part, s in enumerate(("re", "im")))
        return Complex(re, im)

    toeplitz = t.load(taps, (head, spans(CHUNK - 1, (CHUNK, -1), (CHUNK, 1))), name="toeplitz")
    power, read = table(powers, span(0, CHUNK), modes, name="power"), table(reads, modes, span(0, CHUNK), name="read")
    between = table(hops, spans(CHUNKS - 1, (CHUNKS, 1), (CHUNKS, -1)), modes, name="between")
    since = table(hops, span(CHUNKS, CHUNKS), modes, name="since")
    until = table(hops, span(2 * CHUNKS - 1, CHUNKS, -1), modes, name="until")
    across = table(hops, 2 * CHUNKS, modes, name="across")
    begin = [t.zeros(MODES) if initial is None else t.load(initial, (batch, head, modes, part)) for part in range(2)]
    carries = {"x_re": begin[0], "x_im": begin[1], "last_re": t.zeros(MODES), "last_im": t.zeros(MODES)}
    last = floordiv(T - 1, CHUNK)
    with t.loop("block", cdiv(T, CHUNK * CHUNKS), **carries) as loop:
        steps = spans(loop.index * CHUNK * CHUNKS, (CHUNKS, CHUNK), (CHUNK, 1))
        given = t.load(u, (batch, head, steps), name="given")
        exact = given.f32
        added = Complex(t.dot(exact, power.re, name="added_re"), t.dot(exact, power.im, name="added_im"))
        x = Complex(loop["x_re"], loop["x_im"])
        handed = between * Complex(added.re.expand(0), added.im.expand(0))
        carried = since * Complex(x.re.row, x.im.row)
        before = Complex(carried.re + handed.re.sum(1), carried.im + handed.im.sum(1))
        out = t.dot(given, toeplitz)
        out = t.dot(before.im, read.im, t.dot(before.re, read.re, out))
        t.store(y, (batch, head, steps), out)
        # The state before the last chunk, which need not be full: no other row of any block adds to it.
        off = last - loop.index * CHUNKS - AXES[0]
        loop["last_re"] = loop["last_re"] + before.re.mask(off, -off).sum(0)
        loop["last_im"] = loop["last_im"] + before.im.mask(off, -off).sum(0)
        own, moved = until * added, across * x
        loop["x_re"] = moved.re + own.re.sum(0)
        loop["x_im"] = moved.im + own.im.sum(0)
    # The powers of a chunk end with 1: the inputs of the last chunk are put at its end.
    rest: Tile = t.load(u, (batch, head, span(T - CHUNK, CHUNK)), name="rest").f32.mask(
        AXES[0] + T - CHUNK - last * CHUNK
    )
    moved = table(over, modes, name="over") * Complex(loop["last_re"], loop["last_im"])
    t.store(final, (batch, head, modes, 0), moved.re + (power.re * rest.col).sum(0))
    t.store(final, (batch, head, modes, 1), moved.im + (power.im * rest.col).sum(0))
    return t.program()
