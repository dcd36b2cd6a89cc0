"""Tile programs: kernels as data, small enough to verify, to run in torch and to print as Triton.

A program has *buffers* (tensors of global memory with symbolic sizes), *tasks* (a space of independent instances, run
in a stated order) and a *body*: statements that load tiles, compute on them, and store them. A tile is a block of one
to three power-of-two sides in registers; a scalar is a tile of no sides. Every value is assigned once; what a loop
carries is named in its carries.

Coordinates are integer expressions (:mod:`.index`) or :class:`Span` for a run of elements that becomes tile axes.
Loads are bounded: elements outside the buffer (or outside ``Span.limit``) read as ``pad``, and stores drop them. The
emitter leaves a bound out only where :func:`regraft.lowering.tile.verify.inside` proves it.

The vocabulary follows ThunderKittens (arXiv 2410.20399), section 3; complex numbers are pairs of tiles (:mod:`.build`).
"""

# sympy comes with partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy
import torch

from .index import Index, IndexLike, evaluate

DTYPES: dict[str, torch.dtype] = {
    "f64": torch.float64,
    "f32": torch.float32,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "i64": torch.int64,
    "i32": torch.int32,
    "i8": torch.int8,
    "u8": torch.uint8,
    "bool": torch.bool,
}
"""Element types by their short names."""

DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
FLOATS = frozenset({"f64", "f32", "f16", "bf16"})
HALVES = frozenset({"f16", "bf16"})

PRECISIONS = ("native", "ieee", "tf32", "tf32x3")
"""What a product of matrices does to its operands: ``native`` for halves; f32 must say one of the others."""

AXES = tuple(sympy.Symbol(name, integer=True, nonnegative=True) for name in ("row", "col", "dep"))
"""In the conditions of a :class:`Mask`: the position within the tile along its first, second and third axis."""


class TileError(ValueError):
    """A tile program that means nothing, or cannot run where it was asked to."""


@dataclass(frozen=True)
class Buffer:
    """A tensor of global memory."""

    name: str
    shape: tuple[Index, ...]
    dtype: str
    role: str = "in"
    """``in``, ``out`` or ``inout``."""
    contiguous: bool = False
    """Whether it is row-major; otherwise every stride is a parameter of the kernel."""


@dataclass(frozen=True)
class Value:
    """A tile in registers, or a scalar."""

    name: str
    dtype: str
    shape: tuple[Index, ...] = ()


@dataclass(frozen=True)
class Axis:
    """One side of a span: ``size`` elements, ``step`` apart."""

    size: Index
    step: Index


@dataclass(frozen=True)
class Span:
    """Elements ``start + i * step`` of a dimension, one tile axis for each of ``axes``, taken modulo ``modulo``.

    ``limit`` ends the span before the end of the dimension does. Where the bounds hold for all indices they cost
    nothing.
    """

    start: Index
    axes: tuple[Axis, ...]
    limit: Index | None = None
    modulo: Index | None = None


@dataclass(frozen=True)
class Gather:
    """Elements at the positions that an integer tile of one axis holds."""

    positions: Value
    limit: Index | None = None


Coordinate = Index | Span | Gather
Operand = Value | float | Index


@dataclass(frozen=True)
class Load:
    """``result = buffer[at]``, with ``pad`` outside the bounds."""

    result: Value
    buffer: str
    at: tuple[Coordinate, ...]
    pad: float = 0.0
    descriptor: bool = False
    """Whether to go through a tensor descriptor where the hardware has them; only for pads of 0."""


@dataclass(frozen=True)
class LoadIndex:
    """``symbol = buffer[at]``: one integer from memory, for use in coordinates and loop counts."""

    symbol: sympy.Symbol
    buffer: str
    at: tuple[Index, ...]


@dataclass(frozen=True)
class Define:
    """``symbol = index``: a coordinate or a count with a name, which must not be negative."""

    symbol: sympy.Symbol
    index: Index


@dataclass(frozen=True)
class Store:
    """``buffer[at] = value`` within the bounds, cast to the buffer's type."""

    buffer: str
    at: tuple[Coordinate, ...]
    value: Value


@dataclass(frozen=True)
class Full:
    """A tile of one number."""

    result: Value
    value: float


@dataclass(frozen=True)
class Iota:
    """The numbers ``start, start + 1, ...`` along one axis."""

    result: Value
    start: Index


@dataclass(frozen=True)
class Pointwise:
    """A function of :data:`.functions.FUNCTIONS` of tiles whose sides are equal or 1, and of scalars."""

    result: Value
    function: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Expand:
    """A new axis of size 1."""

    result: Value
    x: Value
    axis: int


@dataclass(frozen=True)
class Reduce:
    """``sum``, ``max`` or ``min`` along an axis, which goes away."""

    result: Value
    function: str
    x: Value
    axis: int


@dataclass(frozen=True)
class Scan:
    """Running sum along an axis, from its other end with ``reverse``."""

    result: Value
    x: Value
    axis: int
    reverse: bool = False


@dataclass(frozen=True)
class Dot:
    """``a @ b`` (``+ acc``), accumulated in f32 whatever the operands are."""

    result: Value
    a: Value
    b: Value
    acc: Value | None
    precision: str


@dataclass(frozen=True)
class Trans:
    """The transpose of a tile of two axes."""

    result: Value
    x: Value


@dataclass(frozen=True)
class Cast:
    """The same numbers in another type."""

    result: Value
    x: Value


@dataclass(frozen=True)
class Mask:
    """``x`` where every one of ``conditions`` is at least 0, else ``other``.

    Conditions are affine in :data:`AXES`, so that a causal mask reads ``query + row - (key + col)``.
    """

    result: Value
    x: Value
    conditions: tuple[Index, ...]
    other: float


@dataclass(frozen=True)
class Loop:
    """``for index in range(start, stop)``: ``carries`` pair the name inside with the value before the first turn."""

    index: sympy.Symbol
    start: Index
    stop: Index
    stages: int
    carries: tuple[tuple[Value, Value], ...]
    body: tuple[Statement, ...]
    yields: tuple[Value, ...]
    results: tuple[Value, ...]


Statement = (
    Load | LoadIndex | Define | Store | Full | Iota
    | Pointwise | Expand | Reduce | Scan | Dot | Trans | Cast | Mask | Loop
)  # fmt: skip


@dataclass(frozen=True)
class Tasks:
    """The space of instances: one for each combination of ``axes`` (symbol, count), the last running fastest.

    With ``group``, the last two axes run in groups of that many of the second last, so that neighbours in time share
    what they load (L2 order). ``persistent`` runs one instance per processor, which walks through the tasks.
    """

    axes: tuple[tuple[sympy.Symbol, Index], ...]
    group: int = 0
    persistent: bool = False

    @property
    def count(self) -> Index:
        """How many there are."""
        total: Any = sympy.Integer(1)
        for _, extent in self.axes:
            total = total * extent
        return total


@dataclass(frozen=True)
class Program:
    """A kernel: parameters, tasks and body. Made by :class:`regraft.lowering.tile.build.Builder`."""

    name: str
    doc: str
    buffers: tuple[Buffer, ...]
    sizes: tuple[sympy.Symbol, ...]
    """Integer parameters, read off the shapes of the tensors unless they are :attr:`free`."""
    scalars: tuple[Value, ...]
    """Floating-point parameters."""
    constants: Mapping[sympy.Symbol, int]
    multiples: Mapping[sympy.Symbol, int]
    """Sizes that are known to be multiples of a number; checked at launch."""
    tasks: Tasks
    body: tuple[Statement, ...]
    warps: int = 4
    stages: int = 2
    _key: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def buffer(self, name: str) -> Buffer:
        """By name."""
        return next(buffer for buffer in self.buffers if buffer.name == name)

    def extent(self, size: IndexLike) -> int:
        """A tile side as a number; raises ``KeyError`` where it is not constant."""
        return evaluate(size, self.constants)

    def sides(self, value: Value) -> tuple[int, ...]:
        """The sides of a tile as numbers."""
        return tuple(map(self.extent, value.shape))

    @property
    def free(self) -> tuple[sympy.Symbol, ...]:
        """Sizes that are no dimension of a buffer, and have to be given at launch."""
        dims = {dim for buffer in self.buffers for dim in buffer.shape}
        return tuple(size for size in self.sizes if size not in dims)

    @property
    def key(self) -> str:
        """A digest of everything the program is."""
        if not self._key:
            self._key.append(hashlib.sha256(repr(self).encode()).hexdigest()[:16])
        return self._key[0]


def walk(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """Every statement, those inside loops after the loop itself."""
    for statement in body:
        yield statement
        if isinstance(statement, Loop):
            yield from walk(statement.body)


def reads(statement: Statement) -> Iterator[Value]:
    """The values a statement uses, those of a loop's body left out."""
    if isinstance(statement, Loop):
        yield from (initial for _, initial in statement.carries)
        return
    for name in ("value", "x", "a", "b", "acc"):
        found = getattr(statement, name, None)
        if isinstance(found, Value):
            yield found
    if isinstance(statement, Pointwise):
        yield from (operand for operand in statement.operands if isinstance(operand, Value))
    if isinstance(statement, (Load, Store)):
        yield from (coordinate.positions for coordinate in statement.at if isinstance(coordinate, Gather))


def results(statement: Statement) -> tuple[Value, ...]:
    """The values a statement makes."""
    if isinstance(statement, Loop):
        return statement.results
    made = getattr(statement, "result", None)
    return (made,) if isinstance(made, Value) else ()
