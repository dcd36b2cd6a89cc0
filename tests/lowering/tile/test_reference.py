"""The reference interpreter: every statement means what torch says, and nothing unguarded leaves its tensor."""

import pytest
import torch
import torch.nn.functional as F
from regraft.lowering.tile import Builder, Complex, TileError, launch, reference, span, spans
from regraft.lowering.tile.functions import COMPARISONS, FUNCTIONS, REDUCTIONS
from regraft.lowering.tile.ir import AXES

DEVICE = "cpu" if launch.interpreting() else "cuda"
SIDE = 16


def both(work, *inputs, shape, dtype="f32", sizes=None, **scalars):
    """What ``work(t, *buffers)`` stores, from the reference interpreter; Triton has to agree."""
    t = Builder("probe", "One statement.")
    names = {torch.float32: "f32", torch.float16: "f16", torch.int32: "i32", torch.int64: "i64"}
    buffers = [t.input(f"in{at}", x.shape, names[x.dtype]) for at, x in enumerate(inputs)]
    given = [t.scalar(name) for name in scalars] + [t.integer(name) for name in sizes or {}]
    y = t.output("y", shape, dtype)
    t.tasks(("only", 1))
    t.store(y, tuple(span(0, side) for side in shape), work(t, *buffers, *given))
    program = t.program()
    tensors = {f"in{at}": x for at, x in enumerate(inputs)}
    result = {"f32": torch.float32, "f16": torch.float16, "i32": torch.int32}[dtype]
    found = {"y": torch.full(shape, -7, dtype=result)}
    reference.run(program, {**tensors, **found}, scalars, sizes)
    there = {name: x.to(DEVICE) for name, x in {**tensors, "y": torch.full(shape, -7, dtype=result)}.items()}
    launch.launch(program, there, scalars, sizes)
    torch.testing.assert_close(there["y"].cpu(), found["y"], rtol=2e-6, atol=1e-6)
    return found["y"]


def whole(t, buffer):
    return t.load(buffer, tuple(span(0, side) for side in buffer.shape))


def vector():
    return torch.randn(SIDE)


def matrix(rows=SIDE, columns=SIDE, dtype=torch.float32):
    return torch.randn(rows, columns).to(dtype)


POSITIVE = ("log", "log2", "sqrt", "rsqrt", "floordiv", "remainder", "div")
BOOLEAN = ("and", "where")
TORCH = {"gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "add": torch.add, "floordiv": torch.floor_divide}


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {*BOOLEAN, *COMPARISONS}))
def test_a_function_is_that_of_torch(name):
    integers = name in ("floordiv", "remainder")
    inputs = [vector().abs() + 0.5 if name in POSITIVE else vector() for _ in range(FUNCTIONS[name].arity)]
    inputs = [(x * 8).int() + 1 if integers else x for x in inputs]
    dtype = "i32" if integers else "f32"
    found = both(lambda t, *xs: t.map(name, *(whole(t, x) for x in xs)), *inputs, shape=(SIDE,), dtype=dtype)
    named = TORCH.get(name) or getattr(torch, name, None) or getattr(F, name)
    torch.testing.assert_close(found, named(*inputs), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", sorted(COMPARISONS))
def test_comparisons_choose(name):
    a, b = vector().round(), vector().round()

    def work(t, a, b):
        x, z = whole(t, a), whole(t, b)
        return t.map("where", t.map("and", t.map(name, x, z), t.map("le", x, 1.0)), x, 5.0)

    expected = torch.where(getattr(torch, name)(a, b) & (a <= 1), a, 5.0)
    assert torch.equal(both(work, a, b, shape=(SIDE,)), expected)


def test_operators_and_scalars_are_functions():
    x = vector()
    found = both(lambda t, x, s: (1.0 - whole(t, x) * s) / 2.0 + -whole(t, x), x, shape=(SIDE,), s=0.3)
    torch.testing.assert_close(found, (1 - x * 0.3) / 2 - x)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", sorted(REDUCTIONS))
def test_reductions_take_an_axis_away(name, axis):
    x = matrix(16, 32)
    found = both(lambda t, x: whole(t, x).reduce(name, axis), x, shape=((32, 16)[axis],))
    torch.testing.assert_close(found, {"sum": x.sum, "max": x.amax, "min": x.amin}[name](axis))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_running_sums(axis, reverse):
    x = matrix()
    expected = x.flip(axis).cumsum(axis).flip(axis) if reverse else x.cumsum(axis)
    found = both(lambda t, x: whole(t, x).cumsum(axis, reverse=reverse), x, shape=(SIDE, SIDE))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_products_accumulate_in_fp32(dtype):
    a, b = matrix(16, 32, dtype), matrix(32, 16, dtype)
    found = both(lambda t, a, b: t.dot(whole(t, a), whole(t, b), t.full([16, 16], 2.0)), a, b, shape=(16, 16))
    torch.testing.assert_close(found, a.float() @ b.float() + 2, rtol=1e-5, atol=1e-5)


def test_products_of_complex_matrices():
    parts = [matrix() for _ in range(4)]

    def work(t, *parts):
        a, b, c, d = (whole(t, part) for part in parts)
        product = t.complex_dot(Complex(a, b), Complex(c, d).conj) * Complex(c, d)
        return product.re + product.im

    a, b = torch.complex(*parts[:2]), torch.complex(*parts[2:])
    product = (a @ b.conj()) * b
    found = both(work, *parts, shape=(SIDE, SIDE))
    torch.testing.assert_close(found, product.real + product.imag, rtol=1e-4, atol=1e-4)


def test_transposes_rows_and_columns():
    x, row, column = matrix(), vector(), vector()
    found = both(
        lambda t, x, r, c: whole(t, x).T * whole(t, r).row + whole(t, c).col, x, row, column, shape=(SIDE, SIDE)
    )
    torch.testing.assert_close(found, x.T * row + column[:, None])


def test_casts_round_to_the_type():
    x = vector()
    assert torch.equal(both(lambda t, x: whole(t, x).cast("f16").f32, x, shape=(SIDE,)), x.half().float())
    assert torch.equal(both(lambda t, x: whole(t, x), x, shape=(SIDE,), dtype="f16"), x.half())


def test_masks_keep_where_every_condition_holds():
    x, (row, column, _) = matrix(), AXES
    found = both(
        lambda t, x, shift: whole(t, x).mask(row - column + shift, column - 1, other=-2.0),
        x, shape=(SIDE, SIDE), sizes={"shift": -3},
    )  # fmt: skip
    kept = torch.ones(SIDE, SIDE, dtype=torch.bool).tril(-3) & (torch.arange(SIDE) >= 1)
    assert torch.equal(found, torch.where(kept, x, -2.0))


def test_numbers_in_a_row_and_constant_tiles():
    def work(t, n):
        return t.iota(n, SIDE) + t.full([SIDE], 2.0, dtype="i32")

    found = both(work, shape=(SIDE,), dtype="i32", sizes={"n": 5})
    assert found.tolist() == list(range(7, 23))


def test_positions_from_memory_are_gathered_and_scattered():
    x, where = vector(), torch.randperm(SIDE).int()
    found = both(lambda t, x, at: t.load(x, (whole(t, at),)), x, where, shape=(SIDE,))
    assert torch.equal(found, x[where])


def test_positions_from_memory_outside_read_as_the_pad():
    x, where = vector(), torch.arange(SIDE).int() - 4
    found = both(lambda t, x, at: t.load(x, (whole(t, at),), pad=9.0), x, where, shape=(SIDE,))
    assert torch.equal(found, torch.cat([torch.full((4,), 9.0), x[:12]]))


def test_an_integer_from_memory_bounds_a_loop():
    x, turns = matrix(), torch.tensor([3])

    def work(t, x, turns):
        count = t.load_index(turns, (0,), name="count")
        with t.loop("row", count, start=1, acc=t.zeros(SIDE)) as loop:
            loop["acc"] = loop["acc"] + t.load(x, (loop.index, span(0, SIDE)))
        return loop["acc"]

    torch.testing.assert_close(both(work, x, turns, shape=(SIDE,)), x[1] + x[2])


def test_spans_step_fold_wrap_and_end():
    x = torch.arange(64.0)
    assert torch.equal(both(lambda t, x: t.load(x, (span(1, SIDE, 3),)), x, shape=(SIDE,)), x[1:48:3])
    folded = both(lambda t, x: t.load(x, (spans(2, (4, 16), (8, 1)),)), x, shape=(4, 8))
    assert torch.equal(folded, torch.stack([x[2 + 16 * row : 10 + 16 * row] for row in range(4)]))
    wrapped = both(lambda t, x: t.load(x, (spans(20, (SIDE, 1), modulo=24),)), x, shape=(SIDE,))
    assert torch.equal(wrapped, x[(torch.arange(SIDE) + 20) % 24])
    ended = both(lambda t, x: t.load(x, (span(0, SIDE, limit=10),), pad=-1.0), x, shape=(SIDE,))
    assert torch.equal(ended, torch.where(torch.arange(SIDE) < 10, x[:SIDE], -1.0))
    past = both(lambda t, x: t.load(x, (span(56, SIDE, limit=100),)), x, shape=(SIDE,))
    assert torch.equal(past, torch.cat([x[56:], torch.zeros(8)]))
    backwards = both(lambda t, x: t.load(x, (span(7, SIDE, -1),), pad=-1.0), x, shape=(SIDE,))
    assert torch.equal(backwards, torch.cat([x[:8].flip(0), torch.full((8,), -1.0)]))


def neighbours(*, store):
    """Read, or write, the element after each."""
    t = Builder("neighbours", "y = x, one further.")
    (N,) = t.sizes("N")
    x, y = t.input("x", (N,), "f32"), t.output("y", (N,), "f32")
    (i,) = t.tasks(("i", N))
    t.store(y, (i + int(store),), t.load(x, (i + int(not store),)))
    return t.program()


@pytest.mark.parametrize("store", [False, True])
def test_an_element_out_of_bounds_raises(store):
    tensors = {"x": torch.ones(3), "y": torch.ones(3)}
    with pytest.raises(TileError, match=f"neighbours: {'y' if store else 'x'} is read or written outside dimension 0"):
        reference.run(neighbours(store=store), tensors)


def test_a_span_that_was_proved_inside_is_still_checked(monkeypatch):
    monkeypatch.setattr(reference, "inside", lambda *_: True)
    t = Builder("beyond", "y = x.")
    (N,) = t.sizes("N")
    x, y = t.input("x", (N,), "f32"), t.output("y", (16,), "f32")
    t.tasks(("i", 1))
    t.store(y, (span(0, 16),), t.load(x, (span(0, 16),)))
    with pytest.raises(TileError, match="beyond: x is read or written outside dimension 0"):
        reference.run(t.program(), {"x": torch.ones(15), "y": torch.ones(16)})


def test_computing_in_fp64_leaves_no_rounding():
    t = Builder("third", "y = x / 3, through fp16.")
    x, y = t.input("x", (16,), "f64"), t.output("y", (16,), "f64")
    t.tasks(("i", 1))
    t.store(y, (span(0, 16),), (t.load(x, (span(0, 16),)) / 3.0).cast("f16"))
    made, given = torch.empty(16, dtype=torch.float64), torch.randn(16, dtype=torch.float64)
    reference.run(t.program(), {"x": given, "y": made}, compute=torch.float64)
    assert torch.equal(made, given / 3)
