"""Print a tile program as a Triton kernel that a person can read.

The text depends on the program alone. Named values get a line each; values without a name that are used once are
printed where they are used. What a loop carries is one variable. Bounds appear where
:func:`.verify.inside` cannot prove them away.

``interpreted`` prints for Triton's interpreter, which computes bfloat16 wrongly: there bf16 tiles are f32. ``wide``
prints 64-bit offsets, for tensors of 2^31 elements or more.
"""

# sympy comes with partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import sympy

from . import ir
from .functions import FUNCTIONS, REDUCTIONS
from .index import Index, IndexLike, text
from .ir import AXES, Program, TileError, Value
from .verify import inside

TRITON_TYPES = {
    "f64": "tl.float64",
    "f32": "tl.float32",
    "f16": "tl.float16",
    "bf16": "tl.bfloat16",
    "i64": "tl.int64",
    "i32": "tl.int32",
    "i8": "tl.int8",
    "u8": "tl.uint8",
    "bool": "tl.int1",
}
_WIDTH = 110
_INLINED = (ir.Pointwise, ir.Expand, ir.Cast, ir.Trans, ir.Full)


def emit(program: Program, *, interpreted: bool = False, wide: bool = False) -> str:
    """The source of a module that defines ``program.name``, a ``triton.jit`` function.

    Its parameters are :func:`parameters`, then ``PROGRAMS`` where the tasks are persistent.
    """
    return _Emitter(program, interpreted, wide).module()


def parameters(program: Program) -> list[str]:
    """The names of the kernel's run-time parameters, in order."""
    names: list[str] = [buffer.name for buffer in program.buffers]
    names += [str(size) for size in program.sizes]
    for buffer in program.buffers:
        if not buffer.contiguous:
            names += [f"{buffer.name}_stride_{axis}" for axis in range(len(buffer.shape))]
    return [*names, *(scalar.name for scalar in program.scalars)]


class _Emitter:
    def __init__(self, program: Program, interpreted: bool, wide: bool) -> None:
        self.program, self.interpreted, self.wide = program, interpreted, wide
        self.lines: list[str] = []
        self.depth = 1
        self.names: dict[str, str] = {scalar.name: scalar.name for scalar in program.scalars}
        """What stands for a value: a variable, or an expression."""
        self.waiting: dict[str, str] = {}
        """Expressions that are not printed yet."""
        self.updates: dict[str, str] = {}
        """For what a loop carries on, the variable it carries it in."""
        self.ranges: dict[str, str] = {}
        self.uses = Counter(
            value.name for statement in ir.walk(program.body) for value in (*ir.reads(statement), *_yields(statement))
        )
        self.descriptors: dict[tuple[str, tuple[int, ...]], str] = {}

    def module(self) -> str:
        program = self.program
        # In the interpreter a constexpr plus a tensor is no tensor.
        form = "{} = {}\n" if self.interpreted else "{} = tl.constexpr({})\n"
        constants = "".join(form.format(name, value) for name, value in program.constants.items())
        body = self.function()
        signature = ", ".join(parameters(program))
        if program.tasks.persistent:
            signature += ", PROGRAMS: tl.constexpr"
        head = _wrapped(f"def {program.name}({signature}):", 0)
        doc = program.doc.strip().replace("\n", "\n    ")
        ranges = [f"    {name} = {made}" for made, name in self.ranges.items()]
        return "\n".join(
            (
                f'"""{program.name}: made from a tile program; {_summary(program)}."""',
                "",
                "import triton",
                "import triton.language as tl",
                "",
                *((constants,) if constants else ()),
                "",
                "@triton.jit",
                head,
                f'    """{doc}"""',
                *ranges,
                *body,
                "",
            )
        )

    def function(self) -> list[str]:
        tasks = self.program.tasks
        first = "tl.program_id(0)" + (".to(tl.int64)" if self.wide else "")
        for key in self.described():
            self.describe(*key)
        if tasks.persistent:
            self.line(f"for task in tl.range({first}, {text(tasks.count)}, PROGRAMS, flatten=True):")
            self.depth += 1
        else:
            self.line(f"task = {first}")
        self.decode()
        self.block(self.program.body)
        return self.lines

    def decode(self) -> None:
        """The indices of this task."""
        tasks = self.program.tasks
        axes = list(tasks.axes)
        if len(axes) == 1:
            self.line(f"{axes[0][0]} = task")
            return
        rest = "task"
        if tasks.group:
            (slow, many), (fast, columns) = axes[-2:]
            for index, count in reversed(axes[:-2]):
                inner = _product([many, columns])
                self.line(f"{index} = {rest} // {inner} % {_factor(count)}")
            within = f"{rest} % {_product([many, columns])}" if axes[:-2] else rest
            self.line("# Groups of rows share the columns they load.")
            self.line(f"turn = {within}")
            self.line(f"first = turn // ({tasks.group} * {_factor(columns)}) * {tasks.group}")
            self.line(f"rows = tl.minimum({text(many)} - first, {tasks.group})")
            self.line(f"{slow} = first + turn % ({tasks.group} * {_factor(columns)}) % rows")
            self.line(f"{fast} = turn % ({tasks.group} * {_factor(columns)}) // rows")
            return
        for at, (index, count) in enumerate(axes):
            inner = [extent for _, extent in axes[at + 1 :]]
            quotient = f"task // {_product(inner)}" if inner else "task"
            self.line(f"{index} = {quotient}" + (f" % {_factor(count)}" if at else ""))

    def block(self, body: tuple[ir.Statement, ...]) -> None:
        for statement in body:
            if isinstance(statement, ir.Loop):
                self.loop(statement)
            elif isinstance(statement, ir.Store):
                self.store(statement)
                self.waiting.pop(statement.value.name, None)
            elif isinstance(statement, ir.LoadIndex):
                address = self.address(statement.buffer, statement.at)[0]
                self.line(f"{statement.symbol} = tl.load({address})")
            elif isinstance(statement, ir.Define):
                self.line(f"{statement.symbol} = {text(statement.index)}")
            else:
                self.assign(statement, body)

    def assign(self, statement: Any, body: tuple[ir.Statement, ...]) -> None:
        result: Value = statement.result
        made = self.expression(statement)
        here = sum(value == result for other in body for value in ir.reads(other))
        for value in ir.reads(statement):
            self.waiting.pop(value.name, None)
        once = self.uses[result.name] == 1 and here == 1
        if once and result.name.startswith("_") and isinstance(statement, _INLINED) and len(made) < _WIDTH:
            self.names[result.name] = self.waiting[result.name] = made
            return
        plain = f"t{result.name[1:]}" if result.name.startswith("_") else result.name
        name = self.names[result.name] = self.carried_name(result) or plain
        self.line(f"{name} = {_bare(made)}")

    def loop(self, loop: ir.Loop) -> None:
        for (inner, initial), made in zip(loop.carries, loop.yields, strict=True):
            name = inner.name if not inner.name.startswith("_") else f"carried{inner.name}"
            self.line(f"{name} = {_bare(self.names[initial.name])}")
            self.names[inner.name] = name
            if _read_last(loop, inner, made):
                self.updates[made.name] = name
        stages = f", num_stages={loop.stages}" if loop.stages > 1 else ""
        start = "" if loop.start == 0 and not stages else f"{text(loop.start)}, "
        self.line(f"for {loop.index} in tl.range({start}{text(loop.stop)}{stages}):")
        self.depth += 1
        if self.wide:
            self.line(f"{loop.index} = tl.cast({loop.index}, tl.int64)")
        self.block(loop.body)
        late = [
            (self.names[inner.name], self.names[made.name])
            for (inner, _), made in zip(loop.carries, loop.yields, strict=True)
            if self.names[inner.name] != self.names[made.name]
        ]
        if late:
            self.line(f"{', '.join(name for name, _ in late)} = {', '.join(_bare(made) for _, made in late)}")
        self.depth -= 1
        for result, (inner, _) in zip(loop.results, loop.carries, strict=True):
            self.names[result.name] = self.names[inner.name]

    def carried_name(self, result: Value) -> str | None:
        """The carried variable this value may overwrite: one that nothing still to be printed reads."""
        name = self.updates.get(result.name)
        if name is None or any(re.search(rf"\b{name}\b", made) for made in self.waiting.values()):
            return None
        return name

    def expression(self, statement: Any) -> str:
        name = self.names.__getitem__
        match statement:
            case ir.Load():
                return self.load(statement)
            case ir.Full(result, value):
                shape = self.shape(result)
                dtype = self.type(result.dtype)
                return f"tl.zeros({shape}, {dtype})" if value == 0 else f"tl.full({shape}, {_number(value)}, {dtype})"
            case ir.Iota(result, start):
                made = self.range(result.shape[0])
                return made if start == 0 else f"({text(start)} + {made})"
            case ir.Pointwise(result, function, operands):
                return FUNCTIONS[function].source(result.dtype).format(*map(self.operand, operands))
            case ir.Expand(_, x, axis):
                slots = [":"] * len(x.shape)
                slots.insert(axis, "None")
                return f"{_atom(name(x.name))}[{', '.join(slots)}]"
            case ir.Reduce(_, function, x, axis):
                return REDUCTIONS[function][1].format(_bare(name(x.name)), axis)
            case ir.Scan(_, x, axis, reverse):
                return f"tl.cumsum({_bare(name(x.name))}, {axis}{', reverse=True' if reverse else ''})"
            case ir.Dot(_, a, b, acc, precision):
                extra = "" if acc is None else f", {_bare(name(acc.name))}"
                extra += "" if precision == "native" else f', input_precision="{precision}"'
                return f"tl.dot({_bare(name(a.name))}, {_bare(name(b.name))}{extra})"
            case ir.Trans(_, x):
                return f"tl.trans({_bare(name(x.name))})"
            case ir.Cast(result, x):
                if self.type(result.dtype) == self.type(x.dtype):
                    return name(x.name)
                return f"{_atom(name(x.name))}.to({self.type(result.dtype)})"
            case ir.Mask(result, x, conditions, other):
                kept = " & ".join(f"({self.condition(condition, result)} >= 0)" for condition in conditions)
                return f"tl.where({kept}, {_bare(name(x.name))}, {_number(other)})"
        raise TileError(f"{type(statement).__name__} cannot be printed")

    def operand(self, operand: ir.Operand) -> str:
        if isinstance(operand, Value):
            return self.names[operand.name]
        return _number(operand) if isinstance(operand, float) else f"({text(operand)})"

    def condition(self, condition: Index, result: Value) -> str:
        sides = result.shape
        ranges = {
            axis: sympy.Symbol(self.range(side) + _broadcast(at, len(sides)))
            for at, (axis, side) in enumerate(zip(AXES, sides, strict=False))
        }
        # A constant less a tile is no tile to Triton's interpreter; a number less a tile is.
        numbers = {name: sympy.Integer(value) for name, value in self.program.constants.items()}
        return text(sympy.expand(condition.xreplace(numbers)).xreplace(ranges))

    def load(self, load: ir.Load) -> str:
        if load.descriptor and (made := self.descriptor_load(load)):
            return made
        buffer = self.program.buffer(load.buffer)
        address, bounds = self.address(load.buffer, load.at)
        guard = f", mask={bounds}, other={_number(load.pad)}" if bounds else ""
        made = f"tl.load({address}{guard})"
        return f"{made}.to(tl.float32)" if self.interpreted and buffer.dtype == "bf16" else made

    def store(self, store: ir.Store) -> None:
        address, bounds = self.address(store.buffer, store.at)
        made = _bare(self.names[store.value.name])
        dtype = self.program.buffer(store.buffer).dtype
        if dtype != store.value.dtype or (self.interpreted and dtype == "bf16"):
            made = f"{_atom(self.names[store.value.name])}.to({TRITON_TYPES[dtype]})"
        self.line(f"tl.store({address}, {made}{f', mask={bounds}' if bounds else ''})")

    def address(self, name: str, at: tuple[ir.Coordinate, ...]) -> tuple[str, str]:
        """The pointers of an access and the condition under which they are in bounds, if one is needed."""
        buffer = self.program.buffer(name)
        rank = sum(_rank(coordinate) for coordinate in at)
        scalar: list[str] = []
        vector: list[str] = []
        bounds: list[str] = []
        axis = 0
        for dimension, coordinate in enumerate(at):
            stride = self.stride(buffer, dimension)
            if not isinstance(coordinate, (ir.Span, ir.Gather)):
                if coordinate != 0:
                    scalar.append(_times(text(coordinate), stride))
                continue
            if isinstance(coordinate, ir.Span) and coordinate.modulo is None:
                if coordinate.start != 0:
                    scalar.append(_times(text(coordinate.start), stride))
                steps = self.steps(coordinate, axis, rank)
                vector += [_times(step, stride) for step in steps]
                position = " + ".join((*((text(coordinate.start),) if coordinate.start != 0 else ()), *steps))
            else:
                position = self.position(coordinate, axis, rank)
                vector.append(_times(position, stride))
            axis += _rank(coordinate)
            bounds += self.bounds(buffer, dimension, coordinate, position)
        address = " + ".join((name, *scalar, *vector))
        return address, " & ".join(f"({bound})" for bound in bounds) if len(bounds) > 1 else "".join(bounds)

    def position(self, coordinate: ir.Span | ir.Gather, axis: int, rank: int) -> str:
        if isinstance(coordinate, ir.Gather):
            return _atom(self.names[coordinate.positions.name]) + _broadcast(axis, rank)
        inner = " + ".join((text(coordinate.start), *self.steps(coordinate, axis, rank)))
        return f"(({inner}) % {_factor(coordinate.modulo or 1)})"

    def steps(self, coordinate: ir.Span, axis: int, rank: int) -> list[str]:
        made: list[str] = []
        for at, side in enumerate(coordinate.axes):
            tile = self.range(side.size) + _broadcast(axis + at, rank)
            made.append(tile if side.step == 1 else f"{tile} * {_factor(side.step)}")
        return made

    def bounds(self, buffer: ir.Buffer, dimension: int, coordinate: Any, position: str) -> list[str]:
        if inside(self.program, buffer, dimension, coordinate):
            return []
        extent = buffer.shape[dimension]
        limit = extent if coordinate.limit is None else coordinate.limit
        if limit != extent and not _surely_below(limit, extent):
            limit = sympy.Min(limit, extent)
        found = [f"{position} < {text(limit)}"]
        start = coordinate.start if isinstance(coordinate, ir.Span) else None
        ahead = start is not None and start.is_nonnegative and all(axis.step.is_nonnegative for axis in coordinate.axes)
        if not ahead and getattr(coordinate, "modulo", None) is None:
            found.insert(0, f"{position} >= 0")
        return found

    def stride(self, buffer: ir.Buffer, dimension: int) -> str:
        if not buffer.contiguous:
            return f"{buffer.name}_stride_{dimension}"
        inner = buffer.shape[dimension + 1 :]
        return _product(list(inner)) if inner else "1"

    def described(self) -> list[tuple[str, tuple[int, ...]]]:
        found = [
            (statement.buffer, tuple(self.descriptor_block(statement)))
            for statement in ir.walk(self.program.body)
            if isinstance(statement, ir.Load) and statement.descriptor
        ]
        return list(dict.fromkeys(found))

    def descriptor_block(self, load: ir.Load) -> list[int]:
        return [
            self.program.extent(coordinate.axes[0].size) if isinstance(coordinate, ir.Span) else 1
            for coordinate in load.at
        ]

    def describe(self, name: str, block: tuple[int, ...]) -> None:
        buffer = self.program.buffer(name)
        variable = f"{name}_blocks" if not any(key[0] == name for key in self.descriptors) else f"{name}_blocks_2"
        self.descriptors[name, block] = variable
        shape = ", ".join(map(text, buffer.shape))
        # The last stride of what a descriptor covers is 1; the launcher checks it.
        strides = [self.stride(buffer, dimension) for dimension in range(len(buffer.shape) - 1)]
        self.line(
            f"{variable} = tl.make_tensor_descriptor({name}, [{shape}], [{', '.join((*strides, '1'))}], {list(block)})"
        )

    def descriptor_load(self, load: ir.Load) -> str | None:
        variable = self.descriptors[load.buffer, tuple(self.descriptor_block(load))]
        starts = [text(c.start) if isinstance(c, ir.Span) else text(c) for c in load.at if not isinstance(c, ir.Gather)]
        made = f"{variable}.load([{', '.join(starts)}])"
        if len(load.result.shape) != len(starts):
            made += f".reshape({self.shape(load.result)})"
        buffer = self.program.buffer(load.buffer)
        return f"{made}.to(tl.float32)" if self.interpreted and buffer.dtype == "bf16" else made

    def range(self, side: IndexLike) -> str:
        """The positions along a tile side, as a variable that is made once."""
        number = self.program.extent(side)
        label = str(number) if isinstance(side, int) or side.is_Integer else text(side).lower()
        made = f"tl.arange(0, {number if label == str(number) else text(side)})"
        return self.ranges.setdefault(made, f"range_{label}")

    def shape(self, value: Value) -> str:
        return f"[{', '.join(map(text, value.shape))}]"

    def type(self, dtype: str) -> str:
        return TRITON_TYPES["f32" if self.interpreted and dtype == "bf16" else dtype]

    def line(self, content: str) -> None:
        self.lines.append(_wrapped("    " * self.depth + content, self.depth))


def _read_last(loop: ir.Loop, inner: Value, made: Value) -> bool:
    """Whether no statement reads what the loop carries after what it carries on has been made."""
    where = [at for at, statement in enumerate(loop.body) if made in ir.results(statement)]
    if not where or sum(value == made for value in loop.yields) > 1 or isinstance(loop.body[where[0]], ir.Loop):
        return False
    later = ir.walk(loop.body[where[0] + 1 :])
    return inner not in loop.yields and not any(inner in (*ir.reads(s), *_yields(s)) for s in later)


def _yields(statement: ir.Statement) -> tuple[Value, ...]:
    return statement.yields if isinstance(statement, ir.Loop) else ()


def _rank(coordinate: ir.Coordinate) -> int:
    return len(coordinate.axes) if isinstance(coordinate, ir.Span) else int(isinstance(coordinate, ir.Gather))


def _broadcast(axis: int, rank: int) -> str:
    if rank == 1:
        return ""
    return "[" + ", ".join(":" if at == axis else "None" for at in range(rank)) + "]"


def _surely_below(limit: Any, extent: Any) -> bool:
    return bool((extent - limit).is_nonnegative)


def _times(position: str, stride: str) -> str:
    return position if stride == "1" else f"{_atom(position)} * {_atom(stride)}"


def _product(factors: list[Any]) -> str:
    made = " * ".join(_factor(factor) for factor in factors)
    return f"({made})" if len(factors) > 1 else made


def _factor(expression: IndexLike) -> str:
    return _atom(text(expression))


def _atom(made: str) -> str:
    """In parentheses, unless it is a name, a number, a call or has its own."""
    return made if _closed(made) else f"({made})"


def _closed(made: str) -> bool:
    depth = 0
    for character in made:
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif depth == 0 and not (character.isalnum() or character in "_.:"):
            return False
    return not made.startswith("-")


def _bare(made: str) -> str:
    """Without parentheses round the whole."""
    if not (made.startswith("(") and made.endswith(")")):
        return made
    depth = 0
    for at, character in enumerate(made):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return made[1:-1] if at == len(made) - 1 else made
    return made


def _number(value: float) -> str:
    if value == float("inf"):
        return 'float("inf")'
    if value == float("-inf"):
        return 'float("-inf")'
    return repr(int(value)) if value == int(value) and abs(value) < 1e6 and not _signed_zero(value) else repr(value)


def _signed_zero(value: float) -> bool:
    return value == 0 and str(value).startswith("-")


def _wrapped(line: str, depth: int) -> str:
    """Broken at the commas and operators of its outermost call, where it is too long."""
    if len(line) <= _WIDTH + 10:
        return line
    indent, body = "    " * depth, line.strip()
    opened = body.find("(")
    if opened < 0 or not _matching(body, opened):
        return line
    closed = _matching(body, opened)
    parts = _split(body[opened + 1 : closed])
    if len(parts) < 2:
        return line
    inner = ",\n".join(f"{indent}    {_sum_wrapped(part, indent)}" for part in parts)
    return f"{indent}{body[: opened + 1]}\n{inner},\n{indent}{body[closed:]}"


def _sum_wrapped(part: str, indent: str) -> str:
    """A long sum, broken before its terms once the line is full."""
    if len(part) + len(indent) <= _WIDTH or part.startswith("mask="):
        return part
    lines = [""]
    for term in part.split(" + "):
        if len(lines[-1]) + len(term) > _WIDTH - len(indent) - 8 and lines[-1]:
            lines.append("")
        lines[-1] += (" + " if lines[-1] or len(lines) > 1 else "") + term
    return f"\n{indent}       ".join(lines)


def _matching(body: str, opened: int) -> int:
    depth = 0
    for at in range(opened, len(body)):
        depth += (body[at] == "(") - (body[at] == ")")
        if depth == 0:
            return at
    return 0


def _split(arguments: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, character in enumerate(arguments):
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append(arguments[start:at].strip())
            start = at + 1
    return [*parts, arguments[start:].strip()]


def _summary(program: Program) -> str:
    stages = max((s.stages for s in ir.walk(program.body) if isinstance(s, ir.Loop)), default=1)
    order = f"groups of {program.tasks.group}" if program.tasks.group else "row order"
    walk = "persistent" if program.tasks.persistent else "one task each"
    return f"{program.warps} warps, {stages} stages, {walk}, {order}"
