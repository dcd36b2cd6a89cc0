"""A tile program as text, for people: one statement a line, in the program's own terms.

::

    scaled_sum(a: f16[M, N], b: f16[M, N], y: f16[M, N] out, scale)
    BLOCK = 128
    tasks row < M, column < cdiv(N, BLOCK)
      _1: f16[BLOCK] = load a[row, column * BLOCK : +BLOCK]
      ...

``start : +size`` is a run of elements, ``by`` its step; what a loop carries is written ``name <- first``.
"""

# sympy comes with partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

from . import ir
from .index import text
from .ir import Buffer, Program, Span, Value


def describe(program: Program) -> str:
    """The program: parameters, constants, tasks, then its body."""
    parameters = [*map(_buffer, program.buffers), *(scalar.name for scalar in program.scalars)]
    lines = [f"{program.name}({', '.join(parameters)})", *(f"  {line}" for line in program.doc.strip().splitlines())]
    lines += [f"{name} = {value}" for name, value in program.constants.items()]
    lines += [f"{size} is given" for size in program.free]
    lines += [f"{size} is a multiple of {factor}" for size, factor in program.multiples.items()]
    tasks = ", ".join(f"{index} < {_index(count)}" for index, count in program.tasks.axes)
    order = f", in groups of {program.tasks.group}" if program.tasks.group else ""
    order += ", persistent" if program.tasks.persistent else ""
    lines.append(f"tasks {tasks}{order}; {program.warps} warps")
    return "\n".join((*lines, *_block(program.body, "  "), ""))


def _block(body: tuple[ir.Statement, ...], indent: str) -> list[str]:
    lines: list[str] = []
    for statement in body:
        if not isinstance(statement, ir.Loop):
            lines.append(indent + _statement(statement))
            continue
        stages = f", {statement.stages} stages" if statement.stages > 1 else ""
        carries = ", ".join(f"{inner.name} <- {initial.name}" for inner, initial in statement.carries)
        turns = f"for {statement.index} in {_index(statement.start)} .. {_index(statement.stop)}{stages}"
        lines.append(f"{indent}{turns}{', carrying ' if carries else ''}{carries}")
        lines += _block(statement.body, indent + "  ")
        if statement.carries:
            lines.append(f"{indent}  carry on {_names(statement.yields)}")
            lines.append(f"{indent}{_names(statement.results)} = what was carried")
    return lines


def _statement(statement: ir.Statement) -> str:
    match statement:
        case ir.LoadIndex(symbol, buffer, at):
            return f"{symbol} = load {buffer}[{', '.join(map(_index, at))}]"
        case ir.Define(symbol, index):
            return f"{symbol} = {_index(index)}"
        case ir.Store(buffer, at, value):
            return f"store {buffer}[{', '.join(map(_coordinate, at))}] = {value.name}"
        case ir.Loop():
            raise AssertionError("loops are written by their block")
        case _:
            return f"{_value(statement.result)} = {_expression(statement)}"


def _expression(statement: Any) -> str:
    match statement:
        case ir.Load(_, buffer, at, pad):
            return f"load {buffer}[{', '.join(map(_coordinate, at))}]" + (f", pad {pad:g}" if pad else "")
        case ir.Full(_, value):
            return f"full {value:g}"
        case ir.Iota(_, start):
            return f"iota from {_index(start)}"
        case ir.Pointwise(_, function, operands):
            return f"{function} {', '.join(map(_operand, operands))}"
        case ir.Expand(_, x, axis):
            return f"expand {x.name}, axis {axis}"
        case ir.Reduce(_, function, x, axis):
            return f"{function} of {x.name} along {axis}"
        case ir.Scan(_, x, axis, reverse):
            return f"running sum of {x.name} along {axis}{', reversed' if reverse else ''}"
        case ir.Dot(_, a, b, acc, precision):
            return f"{a.name} @ {b.name}{f' + {acc.name}' if acc else ''}, {precision}"
        case ir.Trans(_, x):
            return f"transpose {x.name}"
        case ir.Cast(_, x):
            return f"cast {x.name}"
        case ir.Mask(_, x, conditions, other):
            kept = " and ".join(f"{_index(condition)} >= 0" for condition in conditions)
            return f"{x.name} where {kept}, else {other:g}"
    raise AssertionError(f"{type(statement).__name__} has no text")


def _coordinate(coordinate: ir.Coordinate) -> str:
    if isinstance(coordinate, ir.Gather):
        limit = "" if coordinate.limit is None else f" below {_index(coordinate.limit)}"
        return f"at {coordinate.positions.name}{limit}"
    if not isinstance(coordinate, Span):
        return _index(coordinate)
    sides = " x ".join(
        f"+{_index(axis.size)}" + ("" if axis.step == 1 else f" by {_index(axis.step)}") for axis in coordinate.axes
    )
    limit = "" if coordinate.limit is None else f" below {_index(coordinate.limit)}"
    period = "" if coordinate.modulo is None else f" modulo {_index(coordinate.modulo)}"
    return f"{_index(coordinate.start)} : {sides}{limit}{period}"


def _operand(operand: ir.Operand) -> str:
    if isinstance(operand, Value):
        return operand.name
    return f"{operand:g}" if isinstance(operand, float) else _index(operand)


def _buffer(buffer: Buffer) -> str:
    role = "" if buffer.role == "in" else f" {buffer.role}"
    return f"{buffer.name}: {buffer.dtype}[{', '.join(map(_index, buffer.shape))}]{role}"


def _value(value: Value) -> str:
    return f"{value.name}: {value.dtype}[{', '.join(map(_index, value.shape))}]"


def _names(values: tuple[Value, ...]) -> str:
    return ", ".join(value.name for value in values)


def _index(index: Any) -> str:
    return text(index).replace("tl.", "")
