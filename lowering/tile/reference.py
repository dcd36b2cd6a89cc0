"""Run a tile program in torch, task by task: the meaning of the program, and the oracle for what the emitter makes.

Slow and plain. With ``compute=torch.float64`` every floating tile is computed in fp64, whatever the program says, so
that what is left is the algorithm's own error. An access that the emitter would leave unbounded is checked here.
"""

# sympy comes with partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import sympy
import torch
from torch import Tensor

from . import ir
from .functions import FUNCTIONS, REDUCTIONS
from .index import Index, IndexLike, evaluate
from .ir import AXES, DTYPES, Program, TileError, Value
from .launch import bind, scalars_of
from .verify import inside


def run(
    program: Program,
    tensors: Mapping[str, Tensor],
    scalars: Mapping[str, float] | None = None,
    sizes: Mapping[str, int] | None = None,
    *,
    compute: torch.dtype | None = None,
) -> None:
    """Run every task, in order, writing the outputs in place.

    ``tensors`` are by buffer name, ``scalars`` and free ``sizes`` by parameter name. Raises :class:`TileError` for
    tensors that do not fit the program, and for an access out of bounds that the emitter would not guard.
    """
    values = bind(program, tensors, sizes or {})
    env = _Environment(program, tensors, dict(values), {}, compute)
    given = scalars_of(program, scalars or {})
    for scalar in program.scalars:
        env.tiles[scalar.name] = torch.tensor(given[scalar.name], dtype=env.dtype(scalar))
    counts = [range(evaluate(count, values)) for _, count in program.tasks.axes]
    for task in itertools.product(*counts):
        env.indices.update(zip((index for index, _ in program.tasks.axes), task, strict=True))
        env.run(program.body)


class _Environment:
    def __init__(
        self,
        program: Program,
        tensors: Mapping[str, Tensor],
        indices: dict[sympy.Symbol, int],
        tiles: dict[str, Tensor],
        compute: torch.dtype | None,
    ) -> None:
        self.program, self.tensors, self.indices, self.tiles, self.compute = program, tensors, indices, tiles, compute

    def dtype(self, value: Value) -> torch.dtype:
        return self.compute if self.compute and value.dtype in ir.FLOATS else DTYPES[value.dtype]

    def at(self, index: IndexLike) -> int:
        return evaluate(index, self.indices)

    def operand(self, operand: ir.Operand) -> Any:
        if isinstance(operand, Value):
            return self.tiles[operand.name]
        return operand if isinstance(operand, float) else self.at(operand)

    def run(self, body: tuple[ir.Statement, ...]) -> None:
        for statement in body:
            match statement:
                case ir.Loop():
                    self.loop(statement)
                case ir.LoadIndex(symbol, buffer, at):
                    self.indices[symbol] = int(self.tensors[buffer][tuple(map(self.at, at))])
                case ir.Define(symbol, index):
                    self.indices[symbol] = self.at(index)
                    if self.indices[symbol] < 0:
                        raise TileError(f"{self.program.name}: {symbol} = {index} is {self.indices[symbol]}, below 0")
                case ir.Store(buffer, at, value):
                    self.store(buffer, at, self.tiles[value.name])
                case _:
                    result = statement.result
                    made = self.value(statement)
                    self.tiles[result.name] = made.to(self.dtype(result)).expand(self.program.sides(result))

    def loop(self, loop: ir.Loop) -> None:
        for inside_, initial in loop.carries:
            self.tiles[inside_.name] = self.tiles[initial.name]
        for turn in range(self.at(loop.start), self.at(loop.stop)):
            self.indices[loop.index] = turn
            self.run(loop.body)
            made = [self.tiles[value.name] for value in loop.yields]
            self.tiles.update({name.name: tile for (name, _), tile in zip(loop.carries, made, strict=True)})
        for result, (name, _) in zip(loop.results, loop.carries, strict=True):
            self.tiles[result.name] = self.tiles[name.name]

    def value(self, statement: ir.Statement) -> Tensor:
        tiles = self.tiles
        match statement:
            case ir.Load(result, buffer, at, pad):
                return self.load(buffer, at, pad).to(self.dtype(result))
            case ir.Full(result, value):
                return torch.full(self.program.sides(result), value, dtype=self.dtype(result))
            case ir.Iota(result, start):
                return torch.arange(self.program.sides(result)[0]) + self.at(start)
            case ir.Pointwise(_, function, operands):
                return FUNCTIONS[function].meaning(*map(self.operand, operands))
            case ir.Expand(_, x, axis):
                return tiles[x.name].unsqueeze(axis)
            case ir.Reduce(_, function, x, axis):
                return REDUCTIONS[function][0](tiles[x.name], axis)
            case ir.Scan(_, x, axis, reverse):
                tile = tiles[x.name]
                return tile.flip(axis).cumsum(axis).flip(axis) if reverse else tile.cumsum(axis)
            case ir.Dot(result, a, b, acc):
                wide = self.dtype(result)
                product = tiles[a.name].to(wide) @ tiles[b.name].to(wide)
                return product if acc is None else product + tiles[acc.name]
            case ir.Trans(_, x):
                return tiles[x.name].mT
            case ir.Cast(_, x):
                return tiles[x.name]
            case ir.Mask(result, x, conditions, other):
                kept = torch.ones(self.program.sides(result), dtype=torch.bool)
                for condition in conditions:
                    kept &= self.condition(condition, kept.shape) >= 0
                return torch.where(kept, tiles[x.name], torch.tensor(other, dtype=self.dtype(result)))
        raise TileError(f"{type(statement).__name__} has no meaning")

    def condition(self, condition: Index, sides: tuple[int, ...]) -> Tensor:
        """An affine expression in the positions of a tile, for each of them."""
        total = torch.zeros(sides, dtype=torch.int64)
        rest = sympy.expand(condition)
        for axis, side in enumerate(sides):
            step = self.at(rest.coeff(AXES[axis]))
            shape = [-1 if other == axis else 1 for other in range(len(sides))]
            total += step * torch.arange(side).reshape(shape)
        return total + self.at(rest.xreplace({axis: sympy.Integer(0) for axis in AXES}))

    def load(self, name: str, at: tuple[ir.Coordinate, ...], pad: float) -> Tensor:
        tensor = self.tensors[name].detach()
        where, kept = self.positions(name, at)
        if tensor.numel() == 0:
            return torch.full(kept.shape, pad, dtype=tensor.dtype)
        clipped = tuple(index.clamp(0, max(extent - 1, 0)) for index, extent in zip(where, tensor.shape, strict=True))
        return torch.where(kept, tensor[clipped], torch.tensor(pad, dtype=tensor.dtype))

    def store(self, name: str, at: tuple[ir.Coordinate, ...], tile: Tensor) -> None:
        tensor = self.tensors[name].detach()
        where, kept = self.positions(name, at)
        kept, tile = torch.broadcast_tensors(kept, tile)
        chosen = tuple(index.expand(kept.shape)[kept] for index in where)
        tensor[chosen] = tile[kept].to(tensor.dtype)

    def positions(self, name: str, at: tuple[ir.Coordinate, ...]) -> tuple[list[Tensor], Tensor]:
        """The index along each dimension and whether it is in bounds, broadcast to the tile."""
        buffer = self.program.buffer(name)
        rank = sum(len(_axes(coordinate)) for coordinate in at)
        where: list[Tensor] = []
        kept = torch.ones((), dtype=torch.bool)
        axis = 0
        for dimension, coordinate in enumerate(at):
            extent = self.at(buffer.shape[dimension])
            if not isinstance(coordinate, (ir.Span, ir.Gather)):
                where.append(torch.tensor(self.at(coordinate)))
                in_bounds = torch.tensor(0 <= int(where[-1]) < extent)
                guarded = False
            else:
                index = self.line(coordinate, axis, rank)
                axis += len(_axes(coordinate))
                limit = extent if coordinate.limit is None else min(extent, self.at(coordinate.limit))
                in_bounds = (index >= 0) & (index < limit)
                guarded = not inside(self.program, buffer, dimension, coordinate)
                where.append(index)
            if not guarded and not bool(in_bounds.all()):
                raise TileError(f"{self.program.name}: {name} is read or written outside dimension {dimension}: {at}")
            kept = kept & in_bounds
        where = list(torch.broadcast_tensors(*where)) if where else []
        return where, kept.expand(where[0].shape if where else ())

    def line(self, coordinate: ir.Span | ir.Gather, axis: int, rank: int) -> Tensor:
        def along(tile: Tensor, at: int) -> Tensor:
            return tile.reshape([-1 if other == at else 1 for other in range(rank)])

        if isinstance(coordinate, ir.Gather):
            return along(self.tiles[coordinate.positions.name].long(), axis)
        index = torch.tensor(self.at(coordinate.start)).reshape([1] * rank)
        for offset, side in enumerate(coordinate.axes):
            index = index + along(torch.arange(self.at(side.size)) * self.at(side.step), axis + offset)
        return index if coordinate.modulo is None else index % self.at(coordinate.modulo)


def _axes(coordinate: ir.Coordinate) -> tuple[Any, ...]:
    if isinstance(coordinate, ir.Span):
        return coordinate.axes
    return (coordinate,) if isinstance(coordinate, ir.Gather) else ()
