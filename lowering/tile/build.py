"""Write tile programs: a builder whose tiles take operators, so that a kernel reads like its formula.

::

    t = Builder("scaled_sum", "y = 2 a + b, row by row.")
    M, N = t.sizes("M", "N")
    BLOCK = t.constant("BLOCK", 128)
    a, b = t.input("a", (M, N), "f16"), t.input("b", (M, N), "f16")
    y = t.output("y", (M, N), "f16")
    (row, column) = t.tasks(("row", M), ("column", cdiv(N, BLOCK)))
    at = (row, span(column * BLOCK, BLOCK))
    t.store(y, at, 2.0 * t.load(a, at).f32 + t.load(b, at).f32)
    program = t.program()

Values without a name that are used once are printed inside the expression that uses them; :meth:`Builder.let` names
one.
"""

# sympy comes with partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sympy

from . import ir
from .functions import COMPARISONS
from .index import Index, IndexLike, evaluate, size_symbol, symbol
from .ir import Axis, Buffer, Span, TileError, Value

Scalar = float | Index
Number = "Tile | float | int | Index"


def span(start: IndexLike, size: IndexLike, step: IndexLike = 1, *, limit: IndexLike | None = None) -> Span:
    """``size`` elements from ``start``, ``step`` apart: one tile axis."""
    return spans(start, (size, step), limit=limit)


def spans(
    start: IndexLike,
    *axes: tuple[IndexLike, IndexLike],
    limit: IndexLike | None = None,
    modulo: IndexLike | None = None,
) -> Span:
    """Several tile axes (size, step) out of one dimension: element ``start + sum(i * step)``, modulo ``modulo``."""
    bound = None if limit is None else _index(limit)
    period = None if modulo is None else _index(modulo)
    return Span(_index(start), tuple(Axis(_index(size), _index(step)) for size, step in axes), bound, period)


@dataclass
class Tile:
    """A value under construction; ``+ - * /`` and the methods append statements to its builder."""

    builder: Builder
    value: Value

    @property
    def dtype(self) -> str:
        """Short name of the element type."""
        return self.value.dtype

    @property
    def f32(self) -> Tile:
        """In f32."""
        return self.cast("f32")

    @property
    def T(self) -> Tile:
        """Transposed."""
        rows, columns = self.value.shape
        return self.builder.emit(lambda r: ir.Trans(r, self.value), self.dtype, (columns, rows))

    @property
    def row(self) -> Tile:
        """A vector as one row."""
        return self.expand(0)

    @property
    def col(self) -> Tile:
        """A vector as one column."""
        return self.expand(len(self.value.shape))

    def expand(self, axis: int) -> Tile:
        """With a new axis of size 1."""
        shape = list(self.value.shape)
        shape.insert(axis, sympy.Integer(1))
        return self.builder.emit(lambda r: ir.Expand(r, self.value, axis), self.dtype, tuple(shape))

    def cast(self, dtype: str) -> Tile:
        """In another type; itself where it has that type."""
        if dtype == self.dtype:
            return self
        return self.builder.emit(lambda r: ir.Cast(r, self.value), dtype, self.value.shape)

    def sum(self, axis: int) -> Tile:
        """Summed along an axis, which goes away."""
        return self.reduce("sum", axis)

    def max(self, axis: int) -> Tile:
        """The largest along an axis, which goes away."""
        return self.reduce("max", axis)

    def reduce(self, function: str, axis: int) -> Tile:
        """Reduced along an axis, which goes away."""
        shape = tuple(size for at, size in enumerate(self.value.shape) if at != axis)
        return self.builder.emit(lambda r: ir.Reduce(r, function, self.value, axis), self.dtype, shape)

    def cumsum(self, axis: int, *, reverse: bool = False) -> Tile:
        """Running sums along an axis."""
        return self.builder.emit(lambda r: ir.Scan(r, self.value, axis, reverse), self.dtype, self.value.shape)

    def mask(self, *conditions: Index, other: float = 0.0) -> Tile:
        """Itself where every condition in :data:`.ir.AXES` is at least 0, else ``other``."""
        wanted = tuple(map(_index, conditions))
        return self.builder.emit(lambda r: ir.Mask(r, self.value, wanted, other), self.dtype, self.value.shape)

    def __add__(self, other: Any) -> Tile:
        return self.builder.map("add", self, other)

    def __radd__(self, other: Any) -> Tile:
        return self.builder.map("add", other, self)

    def __sub__(self, other: Any) -> Tile:
        return self.builder.map("sub", self, other)

    def __rsub__(self, other: Any) -> Tile:
        return self.builder.map("sub", other, self)

    def __mul__(self, other: Any) -> Tile:
        return self.builder.map("mul", self, other)

    def __rmul__(self, other: Any) -> Tile:
        return self.builder.map("mul", other, self)

    def __truediv__(self, other: Any) -> Tile:
        return self.builder.map("div", self, other)

    def __rtruediv__(self, other: Any) -> Tile:
        return self.builder.map("div", other, self)

    def __neg__(self) -> Tile:
        return self.builder.map("neg", self)


@dataclass(frozen=True)
class Complex:
    """A complex tile: a pair of real ones."""

    re: Tile
    im: Tile

    def __mul__(self, other: Complex) -> Complex:
        return Complex(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)

    @property
    def conj(self) -> Complex:
        """The conjugate."""
        return Complex(self.re, -self.im)

    def cast(self, dtype: str) -> Complex:
        """Both parts in another type."""
        return Complex(self.re.cast(dtype), self.im.cast(dtype))


class Carried:
    """A loop while it is written: ``loop["acc"]`` is what it carries, now; after the loop, what it came to."""

    def __init__(self, index: Any, carries: dict[str, Tile]) -> None:
        self.index = index
        self._now = carries

    def __getitem__(self, name: str) -> Tile:
        return self._now[name]

    def __setitem__(self, name: str, tile: Tile) -> None:
        if name not in self._now:
            raise TileError(f"the loop over {self.index} carries {sorted(self._now)}, not {name!r}")
        old, new = self._now[name].value, tile.value
        if (old.dtype, old.shape) != (new.dtype, new.shape):
            raise TileError(
                f"{name!r} is carried as {old.dtype}{list(old.shape)}, and cannot become {new.dtype}{list(new.shape)}"
            )
        self._now[name] = tile


class Builder:
    """Collects a :class:`.ir.Program`."""

    def __init__(self, name: str, doc: str, *, warps: int = 4, stages: int = 2) -> None:
        self.name, self.doc, self.warps, self.stages = name, doc, warps, stages
        self._buffers: list[Buffer] = []
        self._sizes: list[sympy.Symbol] = []
        self._scalars: list[Value] = []
        self._constants: dict[sympy.Symbol, int] = {}
        self._multiples: dict[sympy.Symbol, int] = {}
        self._tasks: ir.Tasks | None = None
        self._block: list[ir.Statement] = []
        self._names: dict[str, int] = {}

    # Parameters

    def sizes(self, *names: str) -> tuple[Any, ...]:
        """Integer parameters of at least 1."""
        return tuple(self.size(name) for name in names)

    def size(self, name: str, *, multiple_of: int = 1) -> Any:
        """An integer parameter of at least 1, known to be a multiple of a number."""
        made = size_symbol(name)
        self._sizes.append(made)
        if multiple_of > 1:
            self._multiples[made] = multiple_of
        return made

    def integer(self, name: str) -> Any:
        """An integer parameter of either sign, such as an offset."""
        made = sympy.Symbol(name, integer=True)
        self._sizes.append(made)
        return made

    def constant(self, name: str, value: int) -> Any:
        """A number with a name, fixed in the program: a tile side, a head dim."""
        made = size_symbol(name)
        self._constants[made] = value
        return made

    def scalar(self, name: str) -> Tile:
        """A floating-point parameter."""
        made = Value(self._fresh(name), "f32")
        self._scalars.append(made)
        return Tile(self, made)

    def input(self, name: str, shape: Sequence[IndexLike], dtype: str, *, contiguous: bool = False) -> Buffer:
        """A tensor that is read, of any strides unless ``contiguous``."""
        return self._buffer(name, shape, dtype, "in", contiguous)

    def output(self, name: str, shape: Sequence[IndexLike], dtype: str, *, contiguous: bool = True) -> Buffer:
        """A tensor that is written."""
        return self._buffer(name, shape, dtype, "out", contiguous)

    def tasks(self, *axes: tuple[str, IndexLike], group: int = 0, persistent: bool = False) -> tuple[Any, ...]:
        """The space of instances; gives the index of each axis."""
        named = tuple((symbol(name), _index(count)) for name, count in axes)
        self._tasks = ir.Tasks(named, group, persistent)
        return tuple(name for name, _ in named)

    # Statements

    def load(
        self,
        buffer: Buffer,
        at: Sequence[Any],
        *,
        pad: float = 0.0,
        name: str | None = None,
        descriptor: bool = False,
    ) -> Tile:
        """A tile of a buffer, one coordinate for each of its dimensions."""
        where = tuple(map(_coordinate, at))
        shape = tuple(size for coordinate in where for size in _sides(coordinate))
        return self.emit(lambda r: ir.Load(r, buffer.name, where, pad, descriptor), buffer.dtype, shape, name)

    def load_index(self, buffer: Buffer, at: Sequence[IndexLike], *, name: str) -> Any:
        """One integer of a buffer, to be used in coordinates and loop counts."""
        made = symbol(self._fresh(name))
        self._block.append(ir.LoadIndex(made, buffer.name, tuple(map(_index, at))))
        return made

    def define(self, name: str, value: IndexLike) -> Any:
        """A name for an integer expression that is never negative; numbers and names stay what they are."""
        defined = _index(value)
        if defined.is_Integer or defined.is_Symbol:
            return defined
        made = symbol(self._fresh(name))
        self._block.append(ir.Define(made, defined))
        return made

    def store(self, buffer: Buffer, at: Sequence[Any], tile: Tile) -> None:
        """Write a tile, cast to the buffer's type."""
        self._block.append(ir.Store(buffer.name, tuple(map(_coordinate, at)), tile.value))

    def full(self, shape: Sequence[IndexLike], value: float, *, dtype: str = "f32", name: str | None = None) -> Tile:
        """A tile of one number."""
        return self.emit(lambda r: ir.Full(r, value), dtype, tuple(map(_index, shape)), name)

    def zeros(self, *shape: IndexLike, dtype: str = "f32", name: str | None = None) -> Tile:
        """A tile of zeros."""
        return self.full(shape, 0.0, dtype=dtype, name=name)

    def iota(self, start: IndexLike, size: IndexLike, *, dtype: str = "i32") -> Tile:
        """The numbers from ``start`` on."""
        return self.emit(lambda r: ir.Iota(r, _index(start)), dtype, (_index(size),))

    def map(self, function: str, *operands: Any, name: str | None = None) -> Tile:
        """A pointwise function; sides must be equal or 1, numbers go with everything."""
        tiles = [operand for operand in operands if isinstance(operand, Tile)]
        if not tiles:
            raise TileError(f"{function} needs at least one tile")
        wanted = {tile.dtype for tile in tiles if tile.dtype != "bool"}
        if len(wanted) > 1:
            raise TileError(f"{function} of {sorted(wanted)}: cast them to one type first")
        dtype = "bool" if function in COMPARISONS else next(iter(wanted), "bool")
        shape = self._broadcast(function, [tile.value.shape for tile in tiles])
        values = tuple(_operand(operand) for operand in operands)
        return self.emit(lambda r: ir.Pointwise(r, function, values), dtype, shape, name)

    def dot(self, a: Tile, b: Tile, acc: Tile | None = None, *, precision: str = "", name: str | None = None) -> Tile:
        """``a @ b + acc`` in f32; f32 operands are multiplied as such (``ieee``) unless another precision is asked."""
        chosen = precision or ("native" if a.dtype in ir.HALVES else "ieee")
        shape = (a.value.shape[0], b.value.shape[-1])
        initial = None if acc is None else acc.value
        return self.emit(lambda r: ir.Dot(r, a.value, b.value, initial, chosen), "f32", shape, name)

    def complex_dot(self, a: Complex, b: Complex, *, precision: str = "") -> Complex:
        """The product of two complex matrices, by four real ones."""
        re = self.dot(a.re, b.re, precision=precision) - self.dot(a.im, b.im, precision=precision)
        im = self.dot(a.im, b.re, self.dot(a.re, b.im, precision=precision), precision=precision)
        return Complex(re, im)

    def let(self, name: str, tile: Tile) -> Tile:
        """Give a value that was just made the name under which it is printed."""
        for at in range(len(self._block) - 1, -1, -1):
            if tile.value in ir.results(self._block[at]):
                named = dataclasses.replace(tile.value, name=self._fresh(name))
                if any(tile.value in ir.reads(later) for later in self._block[at + 1 :]):
                    raise TileError(f"{tile.value.name} is in use already, and cannot be named {name}")
                self._block[at] = dataclasses.replace(self._block[at], result=named)  # type: ignore[call-arg]
                tile.value = named
                return tile
        raise TileError(f"{tile.value.name} was not made in this block, and cannot be named {name}")

    @contextmanager
    def loop(
        self, name: str, stop: IndexLike, *, start: Any = 0, stages: Any = 1, **carries: Tile
    ) -> Iterator[Carried]:
        """``for name in range(start, stop)``, carrying tiles; ``stages`` loads are in flight."""
        index = symbol(self._fresh(name))
        outer, self._block = self._block, []
        inside = {key: Value(self._fresh(key), tile.dtype, tile.value.shape) for key, tile in carries.items()}
        carried = Carried(index, {key: Tile(self, value) for key, value in inside.items()})
        yield carried
        body, self._block = tuple(self._block), outer
        yields = tuple(carried[key].value for key in carries)
        after = tuple(Value(self._fresh(key), tile.dtype, tile.value.shape) for key, tile in carries.items())
        pairs = tuple((inside[key], tile.value) for key, tile in carries.items())
        self._block.append(ir.Loop(index, _index(start), _index(stop), stages, pairs, body, yields, after))
        for key, value in zip(carries, after, strict=True):
            carried[key] = Tile(self, value)

    def emit(self, make: Any, dtype: str, shape: tuple[Index, ...], name: str | None = None) -> Tile:
        """Append the statement that ``make`` builds for a new value."""
        value = Value(self._fresh(name) if name else self._anonymous(), dtype, shape)
        self._block.append(make(value))
        return Tile(self, value)

    def program(self) -> ir.Program:
        """The program, verified."""
        from .verify import verify

        if self._tasks is None:
            raise TileError(f"{self.name} has no tasks")
        made = ir.Program(
            self.name,
            self.doc,
            tuple(self._buffers),
            tuple(self._sizes),
            tuple(self._scalars),
            self._constants,
            self._multiples,
            self._tasks,
            tuple(self._block),
            self.warps,
            self.stages,
        )
        verify(made)
        return made

    # Helpers

    def _buffer(self, name: str, shape: Sequence[IndexLike], dtype: str, role: str, contiguous: bool) -> Buffer:
        made = Buffer(name, tuple(map(_index, shape)), dtype, role, contiguous)
        self._buffers.append(made)
        return made

    def _broadcast(self, function: str, shapes: list[tuple[Index, ...]]) -> tuple[Index, ...]:
        rank = max(map(len, shapes))
        sides: list[Index] = [sympy.Integer(1)] * rank
        for shape in shapes:
            if shape and len(shape) != rank:
                raise TileError(f"{function} of tiles of ranks {sorted(map(len, shapes))}: expand the smaller one")
            for axis, side in enumerate(shape):
                mine, theirs = (evaluate(x, self._constants) for x in (sides[axis], side))
                if mine != theirs and 1 not in (mine, theirs):
                    raise TileError(f"{function} of tiles with sides {sides[axis]} and {side} along axis {axis}")
                # A side of 1 that has a name keeps it beside one that has none.
                unnamed = isinstance(sides[axis], sympy.Integer)
                sides[axis] = side if mine == 1 and (theirs != 1 or unnamed) else sides[axis]
        return tuple(sides)

    def _fresh(self, name: str) -> str:
        taken = {buffer.name for buffer in self._buffers} | {str(size) for size in (*self._sizes, *self._constants)}
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        chosen = f"{name}_{count}" if count else name
        return chosen if chosen not in taken else self._fresh(name)

    def _anonymous(self) -> str:
        count = self._names[""] = self._names.get("", 0) + 1
        return f"_{count}"


def _index(value: IndexLike) -> Any:
    return sympy.sympify(value)


def _coordinate(value: Any) -> ir.Coordinate:
    if isinstance(value, (Span, ir.Gather)):
        return value
    if isinstance(value, Tile):
        return ir.Gather(value.value)
    return _index(value)


def _sides(coordinate: ir.Coordinate) -> tuple[Index, ...]:
    if isinstance(coordinate, Span):
        return tuple(axis.size for axis in coordinate.axes)
    return coordinate.positions.shape if isinstance(coordinate, ir.Gather) else ()


def _operand(value: Any) -> ir.Operand:
    if isinstance(value, Tile):
        return value.value
    return value if isinstance(value, sympy.Expr) else float(value)
