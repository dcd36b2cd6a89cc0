"""The transform inside the long convolution's tile programs, and the places of a batch's sequences in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...lowering.tile import Builder, Complex, Tile, span, spans
from ...lowering.tile.ir import Buffer


@dataclass(frozen=True)
class ConvTile:
    """The configuration of a transform of n1 n2 points in one program."""

    n1: int
    n2: int
    rows: int
    """Of n2 samples each, of x and y: a power of two from 16 on, n1 where x fills the transform."""
    k1: int
    k2: int
    """Frequencies that are computed; n1 and n2, or less where the spectrum has zero blocks."""
    dtype: str
    paired: bool = True
    """Whether two sequences share a transform; otherwise their numerics do not meet."""
    turns: int = 1
    """Pairs (or sequences) that a task goes through."""
    warps: int = 4


@dataclass(frozen=True)
class Fourier:
    """DFT matrices and twiddle of a transform of two stages, loaded once for a task."""

    t: Builder
    dtype: str
    first: Complex
    """[k1, rows]"""
    first_t: Complex
    second: Complex
    """[n2, k2]"""
    second_t: Complex
    twiddle: Complex
    """[k1, n2]"""

    def forward(self, x: Sequence[Tile], name: str = "x") -> Complex:
        """The spectrum [k1, k2] in fp32 of x [rows, n2], given as its real part or both."""
        t, f1 = self.t, self.first
        a = Complex(t.dot(f1.re, x[0]), t.dot(f1.im, x[0])) if len(x) == 1 else t.complex_dot(f1, Complex(*x))
        return named(t, f"{name}_f", t.complex_dot((a * self.twiddle).cast(self.dtype), self.second))

    def inverse(self, x_f: Complex, *, real: bool, name: str = "y") -> list[Tile]:
        """From the spectrum back to [rows, n2]: the real part, or both."""
        t, f1, f2, x_f = self.t, self.first_t, self.second_t, x_f.cast(self.dtype)
        # By the conjugate of f2, without a negated copy of it.
        a = Complex(t.dot(x_f.im, f2.im, t.dot(x_f.re, f2.re)), t.dot(x_f.im, f2.re) - t.dot(x_f.re, f2.im))
        w = (a * self.twiddle.conj).cast(self.dtype)
        parts = [t.let(name, t.dot(f1.im, w.im, t.dot(f1.re, w.re)))]
        if not real:
            parts.append(t.let(f"{name}_im", t.dot(f1.re, w.im) - t.dot(f1.im, w.re)))
        return parts


def inputs(t: Builder, tile: ConvTile) -> tuple[Buffer, Buffer]:
    """The buffers of :func:`.tables.roots`."""
    roots = t.input("roots", (2 * (tile.k1 * tile.n1 + tile.n2 * tile.k2),), tile.dtype, contiguous=True)
    return roots, t.input("twiddle", (2, tile.k1, tile.n2), "f32", contiguous=True)


def load(t: Builder, tile: ConvTile, roots: Buffer, twiddle: Buffer) -> Fourier:
    """The matrices of a task; what is its own transpose is loaded once."""
    n1, n2, k1, k2, rows = tile.n1, tile.n2, tile.k1, tile.k2, tile.rows

    def matrix(name: str, start: int, part: int, *axes: tuple[int, int]) -> Complex:
        where = (spans(start + i * part, *axes) for i in (0, 1))
        return Complex(*(t.load(roots, (at,), name=f"{name}_{n}") for n, at in zip(("re", "im"), where, strict=True)))

    first = matrix("f1", 0, k1 * n1, (k1, n1), (rows, 1))
    first_t = first if rows == k1 == n1 else matrix("f1_t", 0, k1 * n1, (rows, 1), (k1, n1))
    second = matrix("f2", 2 * k1 * n1, n2 * k2, (n2, k2), (k2, 1))
    second_t = second if k2 == n2 else matrix("f2_t", 2 * k1 * n1, n2 * k2, (k2, 1), (n2, k2))
    factor = pair(lambda part, name: t.load(twiddle, (part, span(0, k1), span(0, n2)), name=name), "twiddle")
    return Fourier(t, tile.dtype, first, first_t, second, second_t, factor)


def pair(load: Callable[[int, str], Tile], name: str) -> Complex:
    """Both parts of a complex tile, named."""
    return Complex(load(0, f"{name}_re"), load(1, f"{name}_im"))


def named(t: Builder, name: str, x: Complex) -> Complex:
    """The same, with its parts named."""
    return Complex(t.let(f"{name}_re", x.re), t.let(f"{name}_im", x.im))
