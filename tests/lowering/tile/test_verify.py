"""Every fault of a tile program is told, and bounds are proved away only where they hold."""

from dataclasses import replace

import pytest
import sympy
from regraft.lowering.tile import Builder, TileError, cdiv, floordiv, ir, span, spans
from regraft.lowering.tile.index import symbol
from regraft.lowering.tile.ir import Value
from regraft.lowering.tile.verify import inside, verify


def copy():
    """y = x, tile by tile."""
    t = Builder("copy", "y = x.")
    (N,), B = t.sizes("N"), t.constant("B", 16)
    x, y = t.input("x", (N,), "f32"), t.output("y", (N,), "f32")
    (i,) = t.tasks(("i", cdiv(N, B)))
    at = (span(i * B, B),)
    t.store(y, at, t.load(x, at, name="tile"))
    return t.program()


GOOD = copy()
LOAD, STORE = GOOD.body
TILE = Value("tile", "f32", (sympy.Symbol("B", integer=True, positive=True),))
AT = STORE.at
ALIEN = symbol("alien")
TASK, TURN = symbol("i"), symbol("j")


def made(name, dtype="f32", *sides):
    return Value(name, dtype, tuple(map(sympy.Integer, sides)))


def full(name, dtype="f32", *sides):
    return ir.Full(made(name, dtype, *sides), 0.0)


def dot(a, b, *, acc=None, precision="ieee"):
    """Operands made for the purpose, and their product."""
    given = [ir.Full(value, 0.0) for value in (a, b, *((acc,) if acc else ()))]
    return [*given, ir.Dot(made("product", "f32", 16, 16), a, b, acc, precision)]


def loop(carries=(), body=(), yields=(), results=(), *, start=0, stop=2, stages=1):
    return ir.Loop(TURN, sympy.Integer(start), sympy.sympify(stop), stages, carries, tuple(body), yields, results)


def faults(*body, **changes):
    with pytest.raises(TileError, match="tile program copy:") as told:
        verify(replace(GOOD, body=(*GOOD.body, *body), **changes))
    return str(told.value).split("\n")[1:]


A, B = made("a", "f32", 16, 16), made("b", "f32", 16, 16)
ACC, NEXT, AFTER = made("acc", "f32", 16), made("next", "f32", 16), made("after", "f32", 16)
MATRIX = full("s", "f32", 16, 16)
ROW, COL = ir.AXES[:2]

OF_STATEMENTS = {
    "load of x: alien in 16*alien means nothing here": [ir.Load(made("z", "f32", 16), "x", (span(ALIEN * 16, 16),))],
    "load of x: alien in alien means nothing here": [ir.Load(made("z", "f32", 16), "x", (span(0, 16, limit=ALIEN),))],
    "load of x: 2 coordinates for the 1 dimensions of x": [ir.Load(made("z"), "x", (TASK, TASK))],
    "load of nowhere: there is no buffer 'nowhere'": [ir.Load(made("z"), "nowhere", (TASK,))],
    "store of x: x is read only": [ir.Store("x", AT, TILE)],
    "store of y: a tile of [16] goes into a place of [32]": [ir.Store("y", (span(0, 32),), TILE)],
    "store of y: alien has no value in alien": [ir.Store("y", (span(0, ALIEN),), TILE)],
    "store of y: z is not defined here": [ir.Store("y", AT, made("z", "f32", 16))],
    "load of x: tile is assigned twice": [LOAD],
    "load of x: which is not defined here": [
        ir.Load(made("z", "f32", 16), "x", (ir.Gather(made("which", "i32", 16)),))
    ],
    "load of x: alien in alien + 1 means nothing here": [
        ir.Iota(made("at", "i32", 16), sympy.Integer(0)),
        ir.Load(made("z", "f32", 16), "x", (ir.Gather(made("at", "i32", 16), limit=ALIEN + 1),)),
    ],
    "loadindex of x: x holds f32, not integers": [ir.LoadIndex(TURN, "x", (TASK,))],
    "definition of j: alien in alien means nothing here": [ir.Define(TURN, ALIEN)],
    "full z: side alien of z is not constant": [ir.Full(Value("z", "f32", (ALIEN,)), 0.0)],
    "full z: side 12 = 12 of z is not a power of two": [full("z", "f32", 12)],
    "full z: z has 2097152 elements, more than 1048576": [full("z", "f32", 2048, 1024)],
    "iota z: alien in alien means nothing here": [ir.Iota(made("z", "i32", 16), ALIEN)],
    "pointwise z: there is no function 'twice'": [ir.Pointwise(made("z", "f32", 16), "twice", (TILE,))],
    "pointwise z: add takes 2 operands, not 1": [ir.Pointwise(made("z", "f32", 16), "add", (TILE,))],
    "pointwise z: alien in alien means nothing here": [ir.Pointwise(made("z", "f32", 16), "add", (TILE, ALIEN))],
    "reduce z: there is no reduction 'median'": [ir.Reduce(made("z"), "median", TILE, 0)],
    "reduce z: tile has no axis 1": [ir.Reduce(made("z"), "sum", TILE, 1)],
    "scan z: tile has no axis 1": [ir.Scan(made("z", "f32", 16), TILE, 1)],
    "expand z: tile has no axis 2": [ir.Expand(made("z", "f32", 16, 1), TILE, 2)],
    "trans z: tile has 1 axes, not two": [ir.Trans(made("z", "f32", 16), TILE)],
    "mask z: row**2 is not affine in row": [ir.Mask(made("z", "f32", 16), TILE, (ROW**2,), 0.0)],
    "mask z: col in col - row means nothing here": [ir.Mask(made("z", "f32", 16), TILE, (COL - ROW,), 0.0)],
    "mask z: col*row is not affine in row": [
        MATRIX, ir.Mask(made("z", "f32", 16, 16), MATRIX.result, (ROW * COL,), 0.0)
    ],
    "dot product: a product needs two matrices": dot(made("a", "f32", 16), B),
    "dot product: 16x32 times 16x16": dot(made("a", "f32", 16, 32), B),
    "dot product: a side of 8 is below 16; pad the tile": dot(made("a", "f32", 8, 16), B),
    "dot product: f16 times f32; cast one": dot(made("a", "f16", 16, 16), B, precision="native"),
    "dot product: it accumulates in f16, not in f32": dot(A, B, acc=made("c", "f16", 16, 16)),
    "dot product: there is no precision 'fast'; there are native, ieee, tf32, tf32x3": dot(A, B, precision="fast"),
    "dot product: precision 'native' does not go with f32": dot(A, B, precision="native"),
    "dot product: precision 'tf32' does not go with f16": dot(
        made("a", "f16", 16, 16), made("b", "f16", 16, 16), precision="tf32"
    ),
    "loop over j: alien in alien means nothing here": [loop(stop=ALIEN)],
    "loop over j: it begins at -1, which may be below 0": [loop(start=-1)],
    "loop over i: i is assigned twice": [replace(loop(), index=TASK)],
    "definition of i: i is assigned twice": [ir.Define(TASK, TASK + 1)],
    "loop over j: 0 stages; at least 1 is needed": [loop(stages=0)],
    "loop over j: acc, which it carries on, is not defined in it": [
        full("zero", "f32", 16), loop(((NEXT, made("zero", "f32", 16)),), (), (ACC,), (AFTER,))
    ],
    "loop over j: acc changes its type from turn to turn": [
        loop(((ACC, TILE),), [full("z", "f16", 16)], (made("z", "f16", 16),), (AFTER,))
    ],
    "store of y: acc is not defined here": [loop(((ACC, TILE),), (), (ACC,), (AFTER,)), ir.Store("y", AT, ACC)],
    "load of x: j in 16*j means nothing here": [loop(), ir.Load(made("z", "f32", 16), "x", (span(TURN * 16, 16),))],
}  # fmt: skip


@pytest.mark.parametrize(("told", "body"), OF_STATEMENTS.items(), ids=OF_STATEMENTS)
def test_a_statement_that_means_nothing_is_told(told, body):
    assert f"  {told}" in faults(*body)


X = GOOD.buffers[0]


@pytest.mark.parametrize(
    ("told", "changes"),
    [
        ("x is declared twice", {"buffers": (*GOOD.buffers, X)}),
        ("N is declared twice", {"constants": {**GOOD.constants, GOOD.sizes[0]: 1}}),
        ("buffer x has the unknown type 'f8'", {"buffers": (replace(X, dtype="f8"), *GOOD.buffers[1:])}),
        ("buffer x has the unknown role 'input'", {"buffers": (replace(X, role="input"), *GOOD.buffers[1:])}),
        ("the count of tasks along i: alien in alien means nothing here", {"tasks": ir.Tasks(((TASK, ALIEN),))}),
        ("grouped tasks need two axes", {"tasks": replace(GOOD.tasks, group=4)}),
    ],
)
def test_a_declaration_that_means_nothing_is_told(told, changes):
    assert f"  {told}" in faults(**changes)


@pytest.mark.parametrize("name", ["t1", "range_b", "tl", "lambda", "two words"])
def test_a_name_that_the_printed_kernel_cannot_use_is_a_fault(name):
    told = f"  {name} is no name that the printed kernel can use"
    assert told in faults(buffers=(*GOOD.buffers, replace(X, name=name)))
    assert told in faults(full(name, "f32", 16))
    assert told in faults(ir.Define(symbol(name), TASK + 1))


def test_a_program_that_stores_nothing_is_a_fault():
    with pytest.raises(TileError, match="it stores nothing"):
        verify(replace(GOOD, body=(LOAD,)))


def test_all_faults_are_told_at_once():
    assert faults(full("z", "f32", 12), ir.Store("x", AT, TILE)) == [
        "  full z: side 12 = 12 of z is not a power of two",
        "  store of x: x is read only",
    ]


def test_a_product_of_tiles_that_are_not_constant_is_a_fault_and_no_crash():
    a = Value("a", "f32", (ALIEN, sympy.Integer(16)))
    assert "  full a: side alien of a is not constant" in faults(*dot(a, B))


def proved(of, *, tasks=4, multiple_of=1, size=None, stop=3, gather=False):
    """Whether ``x[of(i, j, N, B)]`` needs no bound, for every ``i`` and ``j``; ``x`` has N elements, or ``size``."""
    t = Builder("probe", "")
    N, B = t.size("N", multiple_of=multiple_of), t.constant("B", 16)
    x = t.input("x", (N if size is None else size,), "f32")
    y = t.output("y", (1,), "f32")
    (i,) = t.tasks(("i", tasks(N, B) if callable(tasks) else tasks))
    with t.loop("j", stop) as turn:
        t.store(y, (0,), t.full((), 1.0))
    coordinate = ir.Gather(made("at", "i32", 16)) if gather else of(i, turn.index, N, B)
    return inside(t.program(), x, 0, coordinate)


def test_whole_tiles_of_a_multiple_are_inside():
    assert proved(lambda i, j, N, B: span(i * B, B), tasks=cdiv, multiple_of=16)
    assert proved(lambda i, j, N, B: span(i * B, B), tasks=cdiv, multiple_of=48)
    assert not proved(lambda i, j, N, B: span(i * B, B), tasks=cdiv, multiple_of=8)
    assert not proved(lambda i, j, N, B: span(i * B, B), tasks=cdiv)
    assert not proved(lambda i, j, N, B: span(i * B + 1, B), tasks=cdiv, multiple_of=16)


def test_only_whole_tiles_of_any_size_are_inside():
    assert proved(lambda i, j, N, B: span(i, 1), tasks=lambda N, B: N)
    assert not proved(lambda i, j, N, B: span(i, 2), tasks=lambda N, B: N)


def test_constants_and_the_counts_of_tasks_and_turns_are_used():
    assert proved(lambda i, j, N, B: span(i * B, B), size=64)
    assert not proved(lambda i, j, N, B: span(i * B, B), size=63)
    assert proved(lambda i, j, N, B: span(i * B + j * 16, B), size=96)
    assert not proved(lambda i, j, N, B: span(i * B + j * 16, B), size=95)
    assert proved(lambda i, j, N, B: spans(i, (B, 4), (4, 64)), size=3 + 60 + 192 + 1)
    assert not proved(lambda i, j, N, B: spans(i, (B, 4), (4, 64)), size=3 + 60 + 192)


def bounded(end, *, start=0, within=None):
    """Whether the tiles from ``start`` up to ``end(t, N, B, other)`` lie within N elements."""
    t = Builder("probe", "")
    (N, other), B = t.sizes("N", "OTHER"), t.constant("B", 16)
    x, y = t.input("x", (N if within is None else within,), "f32"), t.output("y", (1,), "f32")
    t.tasks(("i", 2))
    first = t.define("first", start * floordiv(other, 3))
    with t.loop("j", t.define("end", end(N, B, other, first)), start=first) as turn:
        t.store(y, (0,), t.full((), 1.0))
    return inside(t.program(), x, 0, span(turn.index * B, B))


def test_tiles_up_to_a_number_rounded_down_are_inside():
    assert bounded(lambda N, B, other, first: floordiv(N, B))
    assert not bounded(lambda N, B, other, first: cdiv(N, B))
    assert not bounded(lambda N, B, other, first: floordiv(N, 15))
    assert not bounded(lambda N, B, other, first: floordiv(N, B), within=15)


def test_one_operand_of_a_minimum_and_all_of_a_maximum_bound_what_is_read():
    least, most = sympy.Min, sympy.Max
    assert bounded(lambda N, B, other, first: floordiv(least(most(0, other - 3), N), B))
    assert bounded(lambda N, B, other, first: least(other, floordiv(N, B)))
    assert not bounded(lambda N, B, other, first: floordiv(least(other, 2 * N), B))
    assert not bounded(lambda N, B, other, first: floordiv(most(other, N), B))


def test_a_loop_that_may_end_at_its_start_has_no_turn_there():
    most = sympy.Max
    assert bounded(lambda N, B, other, first: most(first, floordiv(N, B)), start=1)
    assert not bounded(lambda N, B, other, first: most(first + 1, floordiv(N, B)), start=1)


def test_a_limit_before_the_end_is_always_kept():
    assert not proved(lambda i, j, N, B: span(0, B, limit=16), size=64)
    assert proved(lambda i, j, N, B: span(0, B, limit=64), size=64)


def test_what_may_begin_before_the_first_element_is_not_inside():
    assert not proved(lambda i, j, N, B: span(i * B - 1, B), size=64)
    assert not proved(lambda i, j, N, B: span(64 - i * B, B), size=1024)


def test_what_runs_backwards_is_not_inside():
    assert not proved(lambda i, j, N, B: span(0, B, -1), size=64)
    assert not proved(lambda i, j, N, B: spans(0, (B, -1), modulo=16), size=64)


def test_a_remainder_is_inside_when_the_period_is():
    assert proved(lambda i, j, N, B: spans(i * 100, (B, 1), modulo=64), size=64)
    assert not proved(lambda i, j, N, B: spans(i * 100, (B, 1), modulo=65), size=64)
    assert not proved(lambda i, j, N, B: spans(i - 1, (B, 1), modulo=64), size=64)


def test_what_is_not_affine_or_known_is_not_inside():
    assert not proved(lambda i, j, N, B: span(i * i, B), size=1024)
    assert not proved(lambda i, j, N, B: span(floordiv(i, 2), B), size=1024)
    assert not proved(lambda i, j, N, B: span(symbol("loaded"), B), size=1024)
    assert not proved(None, size=1024, gather=True)


def test_a_single_element_needs_no_bound():
    assert proved(lambda i, j, N, B: i + 5, size=4)
