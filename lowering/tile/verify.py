"""What every tile program must satisfy, and the proof that an access needs no bound.

A fault names the program, the statement and what to change. Sides are powers of two and at least 16 where they enter a
product; products accumulate in f32 and state their precision; what a loop carries keeps its type; every access has a
coordinate for each dimension, and every name means something where it is used.
"""

# sympy comes with partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from typing import Any

import sympy

from . import ir
from .functions import FUNCTIONS, REDUCTIONS
from .index import FloorDiv, Index
from .ir import AXES, Buffer, Program, Span, TileError, Value

SMALLEST_DOT = 16
PRINTED = re.compile(r"t\d+|range_\w+|carried_\d+|tl|triton|PROGRAMS")
"""Names that the printer gives out itself."""
LARGEST_TILE = 1 << 20
"""Elements of the largest tile Triton takes."""


def verify(program: Program) -> None:
    """Raise :class:`TileError` with all faults of a program."""
    faults = list(_Verifier(program).faults())
    if faults:
        raise TileError(f"tile program {program.name}:\n" + "\n".join(f"  {fault}" for fault in faults))


def inside(program: Program, buffer: Buffer, dimension: int, coordinate: ir.Coordinate) -> bool:
    """Whether a span provably stays within its dimension, for every task, turn of a loop and size.

    An index that makes the last element larger is at most its count less one; names that the program defines stand for
    their definitions, minima for each of their operands. Steps must not be negative.
    """
    if not isinstance(coordinate, Span):
        return not isinstance(coordinate, ir.Gather)
    limit = buffer.shape[dimension] if coordinate.limit is None else coordinate.limit
    if coordinate.limit is not None and coordinate.limit != buffer.shape[dimension]:
        return False
    known = _known(program)
    if not all(_plain(axis.step, known).is_nonnegative for axis in coordinate.axes):
        return False
    if coordinate.modulo is not None:
        fits = _plain(limit - coordinate.modulo, known)
        return bool(fits.is_nonnegative) and bool(_plain(coordinate.start, known).is_nonnegative)
    last: Any = coordinate.start
    for axis in coordinate.axes:
        last = last + axis.step * (axis.size - 1)
    first, last = _plain(coordinate.start, known), _plain(last, known)
    if not first.is_nonnegative:
        return False
    for index, count in reversed(_indices(program)):
        factor = last.coeff(index)
        if factor.is_nonnegative and not sympy.expand(last - factor * index).has(index):
            last = _plain(last.xreplace({index: count - 1}), known)
    defined = {s.symbol: _plain(s.index, known) for s in ir.walk(program.body) if isinstance(s, ir.Define)}
    return _at_most(last, _plain(limit - 1, known), defined)


def _at_most(expression: Any, limit: Any, defined: Mapping[Any, Any]) -> bool:
    """Whether an expression is provably at most another, by what can only make it larger."""
    if (limit - expression).is_nonnegative:
        return True
    for atom in sorted(expression.atoms(sympy.Symbol, sympy.Min, FloorDiv), key=str):
        factor = expression.coeff(atom)
        rest = sympy.expand(expression - factor * atom)
        if factor == 0 or not factor.is_nonnegative or rest.has(atom):
            continue
        larger: list[Any] = []
        if atom in defined:
            larger = [factor * defined[atom]]
        elif isinstance(atom, sympy.Min):
            larger = [factor * operand for operand in atom.args]
        elif isinstance(atom, FloorDiv) and (times := sympy.cancel(factor / atom.args[1])).is_integer:
            larger = [times * atom.args[0]]
        if any(_at_most(sympy.expand(rest + bound), limit, defined) for bound in larger):
            return True
    return False


def _known(program: Program) -> dict[Any, Any]:
    """Constants as numbers; a size that is a multiple of a number as that many times a new symbol."""
    known: dict[Any, Any] = {name: sympy.Integer(value) for name, value in program.constants.items()}
    for size, factor in program.multiples.items():
        known[size] = factor * sympy.Symbol(f"{size}_blocks", integer=True, positive=True)
    return known


def _plain(expression: Index, known: Mapping[Any, Any]) -> Any:
    # FloorDiv simplifies only when it is built again over what is known.
    return sympy.expand(sympy.sympify(expression).subs(known))


def _indices(program: Program) -> list[tuple[Any, Any]]:
    """Every task and loop index with its upper end, outer ones first."""
    statements = list(ir.walk(program.body))
    defined = {s.symbol: s.index for s in statements if isinstance(s, ir.Define)}
    ends = ((s.index, _end(s, defined)) for s in statements if isinstance(s, ir.Loop))
    return [*program.tasks.axes, *ends]


def _end(loop: ir.Loop, defined: Mapping[Any, Any]) -> Any:
    """Where a loop ends that turns at all: not at its start, so of two ends the other."""
    end = defined.get(loop.stop, loop.stop)
    if isinstance(end, sympy.Max) and loop.start in end.args:
        return sympy.Max(*(operand for operand in end.args if operand != loop.start))
    return loop.stop


def _assigned(program: Program) -> set[str]:
    """The names of everything that a kernel computes, those left to the printer aside."""
    values = {value.name for statement in ir.walk(program.body) for value in ir.results(statement)}
    symbols = {index for index, _ in _indices(program)}
    symbols |= {s.symbol for s in ir.walk(program.body) if isinstance(s, (ir.LoadIndex, ir.Define))}
    return {name for name in values if not name.startswith("_")} | {str(symbol) for symbol in symbols}


class _Verifier:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.found: list[str] = []
        self.buffers = {buffer.name: buffer for buffer in program.buffers}

    def faults(self) -> list[str]:
        program = self.program
        names = [buffer.name for buffer in program.buffers] + [str(size) for size in program.sizes]
        names += [scalar.name for scalar in program.scalars] + [str(constant) for constant in program.constants]
        for name in {name for name in names if names.count(name) > 1}:
            self.found.append(f"{name} is declared twice")
        for name in sorted({*names, *_assigned(program)}):
            if not name.isidentifier() or keyword.iskeyword(name) or PRINTED.fullmatch(name):
                self.found.append(f"{name} is no name that the printed kernel can use")
        for buffer in program.buffers:
            if buffer.dtype not in ir.DTYPES:
                self.found.append(f"buffer {buffer.name} has the unknown type {buffer.dtype!r}")
            if buffer.role not in ("in", "out", "inout"):
                self.found.append(f"buffer {buffer.name} has the unknown role {buffer.role!r}")
        symbols = {*program.sizes, *program.constants}
        for index, count in program.tasks.axes:
            self.symbols(f"the count of tasks along {index}", count, symbols)
        symbols |= {index for index, _ in program.tasks.axes}
        if program.tasks.group and len(program.tasks.axes) < 2:
            self.found.append("grouped tasks need two axes")
        self.block(program.body, {scalar.name: scalar for scalar in program.scalars}, symbols)
        if not any(isinstance(statement, ir.Store) for statement in ir.walk(program.body)):
            self.found.append("it stores nothing")
        return self.found

    def block(self, body: tuple[ir.Statement, ...], values: dict[str, Value], symbols: set[Any]) -> None:
        for statement in body:
            label = _label(statement)
            for value in ir.reads(statement):
                if values.get(value.name) != value:
                    self.found.append(f"{label}: {value.name} is not defined here")
            self.statement(label, statement, symbols)
            if isinstance(statement, (ir.LoadIndex, ir.Define, ir.Loop)):
                index = statement.index if isinstance(statement, ir.Loop) else statement.symbol
                if index in symbols:
                    self.found.append(f"{label}: {index} is assigned twice")
                if not isinstance(statement, ir.Loop):
                    symbols.add(index)
            if isinstance(statement, ir.Loop):
                inner = values | {inside_.name: inside_ for inside_, _ in statement.carries}
                self.block(statement.body, inner, symbols | {statement.index})
                for value in statement.yields:
                    if inner.get(value.name) != value:
                        self.found.append(f"{label}: {value.name}, which it carries on, is not defined in it")
            for value in ir.results(statement):
                if value.name in values:
                    self.found.append(f"{label}: {value.name} is assigned twice")
                self.tile(label, value)
                values[value.name] = value

    def tile(self, label: str, value: Value) -> None:
        elements = 1
        for side in value.shape:
            try:
                number = self.program.extent(side)
            except KeyError:
                self.found.append(f"{label}: side {side} of {value.name} is not constant")
                return
            if number < 1 or number & (number - 1):
                self.found.append(f"{label}: side {side} = {number} of {value.name} is not a power of two")
            elements *= number
        if elements > LARGEST_TILE:
            self.found.append(f"{label}: {value.name} has {elements} elements, more than {LARGEST_TILE}")

    def statement(self, label: str, statement: ir.Statement, symbols: set[Any]) -> None:
        match statement:
            case ir.Load(result, buffer, at) | ir.Store(buffer, at, result):
                self.access(label, buffer, at, symbols, writes=isinstance(statement, ir.Store))
                if isinstance(statement, ir.Store):
                    self.fits(label, at, result)
            case ir.LoadIndex(_, buffer, at):
                self.access(label, buffer, at, symbols, writes=False)
                if buffer in self.buffers and self.buffers[buffer].dtype not in ("i32", "i64"):
                    self.found.append(f"{label}: {buffer} holds {self.buffers[buffer].dtype}, not integers")
            case ir.Define(_, index) | ir.Iota(_, index):
                self.symbols(label, index, symbols)
            case ir.Pointwise(_, function, operands):
                known = FUNCTIONS.get(function)
                if known is None:
                    self.found.append(f"{label}: there is no function {function!r}")
                elif known.arity != len(operands):
                    self.found.append(f"{label}: {function} takes {known.arity} operands, not {len(operands)}")
                for operand in operands:
                    if isinstance(operand, sympy.Expr):
                        self.symbols(label, operand, symbols)
            case ir.Reduce(_, function, x, axis):
                if function not in REDUCTIONS:
                    self.found.append(f"{label}: there is no reduction {function!r}")
                if not 0 <= axis < len(x.shape):
                    self.found.append(f"{label}: {x.name} has no axis {axis}")
            case ir.Scan(_, x, axis) | ir.Expand(_, x, axis):
                if not 0 <= axis < len(x.shape) + isinstance(statement, ir.Expand):
                    self.found.append(f"{label}: {x.name} has no axis {axis}")
            case ir.Dot():
                self.dot(label, statement)
            case ir.Trans(_, x):
                if len(x.shape) != 2:
                    self.found.append(f"{label}: {x.name} has {len(x.shape)} axes, not two")
            case ir.Mask(result, _, conditions):
                for condition in conditions:
                    self.symbols(label, condition, symbols | set(AXES[: len(result.shape)]))
                    rest = sympy.expand(condition)
                    for axis in AXES:
                        factor = rest.coeff(axis)
                        if (rest - factor * axis).has(axis) or factor.has(*AXES):
                            self.found.append(f"{label}: {condition} is not affine in {axis}")
            case ir.Loop(_, start, stop, stages):
                self.symbols(label, start, symbols)
                self.symbols(label, stop, symbols)
                if not start.is_nonnegative:
                    self.found.append(f"{label}: it begins at {start}, which may be below 0")
                if stages < 1:
                    self.found.append(f"{label}: {stages} stages; at least 1 is needed")
                for (inside_, initial), value in zip(statement.carries, statement.yields, strict=True):
                    if (
                        not (inside_.dtype, inside_.shape)
                        == (initial.dtype, initial.shape)
                        == (value.dtype, value.shape)
                    ):
                        self.found.append(f"{label}: {inside_.name} changes its type from turn to turn")
            case _:
                pass

    def dot(self, label: str, dot: ir.Dot) -> None:
        if len(dot.a.shape) != 2 or len(dot.b.shape) != 2:
            self.found.append(f"{label}: a product needs two matrices")
            return
        try:
            (m, k), (k2, n) = self.program.sides(dot.a), self.program.sides(dot.b)
        except KeyError:
            return  # Told where the operand was made.
        if k != k2:
            self.found.append(f"{label}: {m}x{k} times {k2}x{n}")
        for side in (m, k, n):
            if side < SMALLEST_DOT:
                self.found.append(f"{label}: a side of {side} is below {SMALLEST_DOT}; pad the tile")
        if dot.a.dtype != dot.b.dtype:
            self.found.append(f"{label}: {dot.a.dtype} times {dot.b.dtype}; cast one")
        if dot.acc is not None and dot.acc.dtype != "f32":
            self.found.append(f"{label}: it accumulates in {dot.acc.dtype}, not in f32")
        if dot.precision not in ir.PRECISIONS:
            self.found.append(f"{label}: there is no precision {dot.precision!r}; there are {', '.join(ir.PRECISIONS)}")
        elif (dot.precision == "native") != (dot.a.dtype in ir.HALVES):
            self.found.append(f"{label}: precision {dot.precision!r} does not go with {dot.a.dtype}")

    def access(self, label: str, name: str, at: tuple[Any, ...], symbols: set[Any], *, writes: bool) -> None:
        buffer = self.buffers.get(name)
        if buffer is None:
            self.found.append(f"{label}: there is no buffer {name!r}")
            return
        if len(at) != len(buffer.shape):
            self.found.append(f"{label}: {len(at)} coordinates for the {len(buffer.shape)} dimensions of {name}")
        if writes and buffer.role == "in":
            self.found.append(f"{label}: {name} is read only")
        for coordinate in at:
            parts = (coordinate,) if isinstance(coordinate, sympy.Expr) else (coordinate.limit,)
            if isinstance(coordinate, Span):
                parts = (coordinate.start, coordinate.limit, coordinate.modulo, *(a.step for a in coordinate.axes))
            for part in parts:
                if part is not None:
                    self.symbols(label, part, symbols)

    def fits(self, label: str, at: tuple[Any, ...], value: Value) -> None:
        try:
            sides = [self.program.extent(axis.size) for span in at if isinstance(span, Span) for axis in span.axes]
            sides += [self.program.sides(gather.positions)[0] for gather in at if isinstance(gather, ir.Gather)]
            mine = self.program.sides(value)
        except KeyError as unknown:
            self.found.append(f"{label}: {unknown.args[0]}")
            return
        if mine and sorted(sides) != sorted(mine):
            self.found.append(f"{label}: a tile of {list(mine)} goes into a place of {sides}")

    def symbols(self, label: str, expression: Index, known: set[Any]) -> None:
        for name in sorted(map(str, sympy.sympify(expression).free_symbols - known)):
            self.found.append(f"{label}: {name} in {expression} means nothing here")


def _label(statement: ir.Statement) -> str:
    kind = type(statement).__name__.lower()
    if isinstance(statement, ir.Loop):
        return f"loop over {statement.index}"
    if isinstance(statement, ir.Define):
        return f"definition of {statement.symbol}"
    if isinstance(statement, (ir.Load, ir.Store, ir.LoadIndex)):
        return f"{kind} of {statement.buffer}"
    return f"{kind} {ir.results(statement)[0].name}"
