"""What a tile program will take of a multiprocessor, estimated in microseconds: shared memory and registers a thread.

For planners that have many configurations to choose from; :mod:`.audit` compiles and knows. Shared memory is what
pipelined loads of products keep in flight, or the largest operand a product finds outside of memory. Registers are the
tiles that live at once, spread over all threads, with a constant for addresses. Both leave out what the compiler adds
(layout changes, reductions between warps) and what it saves (products read from shared memory), so they are neither
upper nor lower bounds.
"""

# sympy comes with partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass

from ..targets import Target
from . import ir
from .ir import DTYPES, Program, Value

ADDRESSES = 24
"""Registers a thread has for pointers, masks and indices."""


@dataclass(frozen=True)
class Resources:
    """An estimate."""

    shared_bytes: int
    registers: int
    """Of a thread."""

    def fits(self, target: Target) -> bool:
        """Whether shared memory suffices."""
        return self.shared_bytes <= target.shared_bytes


def resources(program: Program, target: Target) -> Resources:
    """Estimate a program on a target."""
    lanes = 64 if target.kind == "hip" else 32
    live = _most_live(program, program.body, set())
    return Resources(_shared(program, target), ADDRESSES + live // (4 * lanes * program.warps))


def _shared(program: Program, target: Target) -> int:
    """Loops run one after the other or within each other: the largest counts."""
    loops = [statement for statement in ir.walk(program.body) if isinstance(statement, ir.Loop)]
    return max((_in_flight(program, body, stages, target) for body, stages in _bodies(program, loops)), default=0)


def _bodies(program: Program, loops: list[ir.Loop]) -> list[tuple[tuple[ir.Statement, ...], int]]:
    return [(program.body, 1), *((loop.body, loop.stages) for loop in loops)]


def _in_flight(program: Program, body: tuple[ir.Statement, ...], stages: int, target: Target) -> int:
    """Bytes of the loads that feed products, as often as they are in flight; of the other operands, once."""
    sources = {s.result.name: s.x for s in body if isinstance(s, (ir.Cast, ir.Trans))}
    loaded = {s.result.name for s in body if isinstance(s, ir.Load)}
    operands: dict[str, Value] = {}
    for dot in (s for s in body if isinstance(s, ir.Dot)):
        for operand in (dot.a, dot.b):
            origin = operand
            while origin.name in sources:
                origin = sources[origin.name]
            operands[origin.name] = origin
    # Asynchronous products still read a stage while the next loads are on their way; others have copied it.
    copies = max(stages if target.capability >= (9, 0) else stages - 1, 1)
    streamed = sum(_bytes(program, value) for name, value in operands.items() if name in loaded)
    computed = [_bytes(program, value) for name, value in operands.items() if name not in loaded]
    return copies * streamed + max(computed, default=0)


def _most_live(program: Program, body: tuple[ir.Statement, ...], after: set[Value]) -> int:
    """The most bytes of tiles that are needed at one time, going backwards from what is needed after ``body``."""
    live, most = set(after), 0
    for statement in reversed(body):
        inner = 0
        if isinstance(statement, ir.Loop):
            live -= set(statement.results)
            carried = {inside for inside, _ in statement.carries}
            outer = {value for s in ir.walk(statement.body) for value in ir.reads(s)} - _made(statement.body) - carried
            inner = _most_live(program, statement.body, live | outer | set(statement.yields))
            live |= outer
        else:
            inner = sum(_bytes(program, value) for value in live | set(ir.results(statement)))
            live -= set(ir.results(statement))
        live |= set(ir.reads(statement))
        most = max(most, inner, sum(_bytes(program, value) for value in live))
    return most


def _made(body: tuple[ir.Statement, ...]) -> set[Value]:
    return {value for statement in ir.walk(body) for value in ir.results(statement)}


def _bytes(program: Program, value: Value) -> int:
    elements = 1
    for side in program.sides(value):
        elements *= side
    return elements * DTYPES[value.dtype].itemsize
