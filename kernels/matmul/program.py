"""The tile program of ``outputs = epilogue(prologue(a) @ b)``: a [M, K], b [K, N] or, as linear layers have it, [N, K].

Products accumulate in f32 over tiles of K; prologue and epilogue are chains (:mod:`regraft.lowering.tile.chain`) whose
operands lie against a [M, K] and against the result [M, N]. Tasks run in groups of rows, so that neighbours share
columns of b in the L2 cache, and may be persistent. With ``descriptors`` the operands come through tensor descriptors
(TMA on Hopper and later), which need rows that start at multiples of 16 bytes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ...lowering.tile import Builder, Program, Tile, cdiv, span
from ...lowering.tile.chain import Chain, chain
from ...lowering.tile.ir import AXES, Buffer


@dataclass(frozen=True)
class MatmulTile:
    """The shape of the work of one program; as text ``128x256x64,g8,w8,s3`` and flags ``p`` and ``d``."""

    block_m: int = 128
    block_n: int = 128
    block_k: int = 64
    group: int = 8
    """Rows of tiles that run side by side."""
    warps: int = 8
    stages: int = 3
    persistent: bool = False
    descriptors: bool = False

    def __str__(self) -> str:
        """Parses back."""
        flags = ",p" * self.persistent + ",d" * self.descriptors
        return f"{self.block_m}x{self.block_n}x{self.block_k},g{self.group},w{self.warps},s{self.stages}{flags}"

    @classmethod
    def parse(cls, text: str) -> MatmulTile:
        """From its text; raises ``ValueError`` for another text."""
        sides, group, warps, stages, *flags = text.split(",")
        m, n, k = map(int, sides.split("x"))
        return cls(m, n, k, int(group[1:]), int(warps[1:]), int(stages[1:]), "p" in flags, "d" in flags)


@functools.lru_cache(1024)
def matmul(
    tile: MatmulTile,
    dtype: str,
    outputs: tuple[str, ...],
    *,
    weight: bool = False,
    prologue: str = "x",
    epilogue: str = "x",
    extras: tuple[str, ...] = (),
    precision: str = "",
) -> Program:
    """The program for operands of ``dtype`` and results of the types ``outputs``.

    ``weight`` says that b is [N, K]. ``extras`` are the types of the chains' operands, the prologue's first. f32 is
    multiplied as such unless ``precision`` is "tf32" or "tf32x3". Raises :class:`TileError` for a chain it cannot read.
    """
    before, after = chain(prologue), chain(epilogue)
    t = Builder("matmul", _doc(before, after, weight), warps=tile.warps, stages=tile.stages)
    M, N, K = t.sizes("M", "N", "K")
    BM, BN, BK = (t.constant(f"BLOCK_{side}", n) for side, n in zip("MNK", _sides(tile), strict=True))
    a = t.input("a", (M, K), dtype)
    b = t.input("b", (N, K) if weight else (K, N), dtype)
    types = iter(extras)
    beside = {f"before_{name}": _operand(t, f"before_{name}", name, (M, K), next(types)) for name in before.extras}
    beside |= {f"after_{name}": _operand(t, f"after_{name}", name, (M, N), next(types)) for name in after.extras}
    results = [t.output(f"out{at}", (M, N), kind) for at, kind in enumerate(outputs)]

    i, j = t.tasks(("i", cdiv(M, BM)), ("j", cdiv(N, BN)), group=tile.group, persistent=tile.persistent)
    rows, columns = span(i * BM, BM), span(j * BN, BN)

    def load(name: str, placement: str, at: tuple[object, object]) -> Tile:
        row, column = at
        if placement.startswith("row"):
            return t.load(beside[name], (column,), name=name).row
        if placement.startswith("column"):
            return t.load(beside[name], (row,), name=name).col
        return t.load(beside[name], (row, column), name=name)

    with t.loop("k", cdiv(K, BK), stages=tile.stages, acc=t.zeros(BM, BN)) as loop:
        depth = span(loop.index * BK, BK)
        left = t.load(a, (rows, depth), name="left", descriptor=tile.descriptors)
        if weight:
            right = t.load(b, (columns, depth), name="right", descriptor=tile.descriptors).T
        else:
            right = t.load(b, (depth, columns), name="right", descriptor=tile.descriptors)
        if not before.trivial:
            (left,) = before.apply(t, left, lambda name: load(f"before_{name}", name, (rows, depth)))
            # What lies beyond K was loaded as 0, of which a division would make NaN.
            left = left.mask(K - 1 - loop.index * BK - AXES[1]).cast(dtype)
        loop["acc"] = t.dot(left, right, loop["acc"], precision=precision)
    made = after.apply(t, loop["acc"], lambda name: load(f"after_{name}", name, (rows, columns)))
    for result, value in zip(results, made, strict=True):
        t.store(result, (rows, columns), value)
    return t.program()


def _operand(t: Builder, name: str, placement: str, shape: tuple[object, object], dtype: str) -> Buffer:
    along = {"full": shape, "row": shape[1:], "column": shape[:1]}
    return t.input(name, along[placement.rstrip("0123456789")], dtype)  # type: ignore[arg-type]


def _sides(tile: MatmulTile) -> tuple[int, int, int]:
    return tile.block_m, tile.block_n, tile.block_k


def _doc(before: Chain, after: Chain, weight: bool) -> str:
    left = "a" if before.trivial else f"({before.text}, x = a)"
    product = f"{left} @ {'b.T' if weight else 'b'}"
    return f"out = {product}." if after.trivial else f"out = {after.text}, where x = {product}."
