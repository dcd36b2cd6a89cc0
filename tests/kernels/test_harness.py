"""The harness itself: what it lets pass, and what it does not."""

import pytest
import torch
from regraft.lowering.tile import Builder, cdiv, span
from regraft.tests.kernels.harness import GATES, Guarded, operator_checks, prove, relative_error, same_gradients


def scaled(dtype="f32", *, block=16, factor=2.0, multiple_of=1):
    """y = factor * x, row by row."""
    t = Builder("scaled", "y = factor x")
    rows, columns = t.size("M"), t.size("N", multiple_of=multiple_of)
    x = t.input("x", (rows, columns), dtype)
    y = t.output("y", (rows, columns), dtype)
    i, j = t.tasks(("i", rows), ("j", cdiv(columns, block)))
    at = (i, span(j * block, block))
    t.store(y, at, (factor * t.load(x, at).f32))
    return t.program()


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_a_right_program_passes(dtype):
    x = torch.randn(3, 37, dtype=torch.float64)
    prove(scaled(dtype), {"x": x}, expected={"y": 2 * x})


def test_a_wrong_program_is_told_by_its_error():
    x = torch.randn(3, 17, dtype=torch.float64)
    with pytest.raises(AssertionError, match=r"reference in fp64: y has a relative l2 error of 3\.33e-01"):
        prove(scaled(), {"x": x}, expected={"y": 3 * x})


def test_values_that_are_never_written_show_as_nan():
    t = Builder("half", "only the first column")
    rows = t.size("M")
    x, y = t.input("x", (rows, 2), "f32"), t.output("y", (rows, 2), "f32")
    (i,) = t.tasks(("i", rows))
    t.store(y, (i, 0), t.load(x, (i, 0)))
    x = torch.randn(3, 2, dtype=torch.float64)
    with pytest.raises(AssertionError, match="3 of 6 are NaN"):
        prove(t.program(), {"x": x}, expected={"y": x})


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.int32, torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("dense", [True, False])
def test_guards_are_on_both_sides_and_between_rows(dtype, dense):
    given = torch.arange(6).view(2, 3)
    placed = Guarded.like(given, dtype, dense=dense)
    assert placed.untouched
    assert torch.equal(placed.tensor, given.to(dtype))
    assert placed.tensor.is_contiguous() == dense
    start = placed.tensor.storage_offset()
    for outside in (start - 1, start + placed.tensor.stride(0) + 3, *(() if dense else (start + 3,))):
        before = placed.memory[outside].clone()
        placed.memory[outside] = 0
        assert not placed.untouched
        placed.memory[outside] = before


def test_the_order_of_strides_and_repeated_dimensions_are_kept():
    transposed = Guarded.like(torch.randn(3, 5).mT, torch.float32, dense=False)
    assert transposed.tensor.stride(0) == 1
    repeated = Guarded.like(torch.randn(3, 1, 5).expand(3, 4, 5), torch.float32, dense=False)
    assert repeated.tensor.stride(1) == 0
    assert repeated.untouched


def test_a_value_read_from_outside_shows():
    t = Builder("late", "each row and what follows it")
    rows = t.size("M")
    x, y = t.input("x", (rows, 4), "f32"), t.output("y", (rows, 4), "f32")
    (i,) = t.tasks(("i", rows))
    t.store(y, (i, span(0, 4)), t.load(x, (i, span(1, 4))))
    program = t.program()
    x = torch.randn(2, 4, dtype=torch.float64)
    prove(program, {"x": x}, expected={"y": torch.cat([x[:, 1:], torch.zeros(2, 1)], 1)})
    # The same as Triton that forgot its bound.
    placed = Guarded.like(x, torch.float32, dense=False)
    beyond = placed.tensor.as_strided((2, 4), placed.tensor.stride(), placed.tensor.storage_offset() + 1)
    assert relative_error(beyond, x) == float("inf")


def test_infinities_have_to_be_met_exactly():
    expected = torch.tensor([1.0, float("-inf")])
    assert relative_error(expected.clone(), expected) == 0
    assert relative_error(torch.tensor([1.0, -1e30]), expected) == float("inf")
    assert relative_error(torch.tensor([1.0, float("nan")]), expected) == float("inf")


@torch.library.custom_op("regraft_tests::halved", mutates_args=())
def halved(x: torch.Tensor, right: bool) -> torch.Tensor:
    return x / 2 if right else (x / 2).mT.contiguous().mT


@halved.register_fake
def _(x, right):
    return torch.empty_like(x)


halved.register_autograd(lambda ctx, grad: (grad / 2, None), setup_context=lambda ctx, inputs, output: None)


def test_operators_are_held_to_strides_and_gradients():
    x = torch.randn(3, 5)
    operator_checks(halved, (x, True), formula=lambda x, _: x / 2)
    with pytest.raises(Exception, match="Stride mismatch"):
        operator_checks(halved, (x, False))
    with pytest.raises(AssertionError, match="result 0 has a relative l2 error"):
        same_gradients(halved, lambda x, _: x * x, (x, True))
    with pytest.raises(AssertionError, match="the gradient of argument 0 has a relative l2 error of 5"):
        same_gradients(halved, lambda x, _: x - (x / 2).detach(), (x, True))


def test_the_gates_are_ordered():
    assert GATES["f64"] < GATES["f32"] < GATES["f16"] < GATES["bf16"]
