"""Products of matrices with pointwise work absorbed, as tile programs and as an operator."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.kernels.matmul.op import tile_matmul
from regraft.kernels.matmul.program import MatmulTile, matmul
from regraft.lowering.tile.emit import emit
from regraft.tests.kernels.harness import operator_checks, prove
from torch import Tensor

SMALL = MatmulTile(32, 32, 16, 2, 4, 2)
ODD = st.sampled_from((1, 3, 17, 33, 63))


def operands(m: int, n: int, k: int, *, weight: bool = False) -> tuple[Tensor, Tensor]:
    """Numbers that fp16 and bf16 hold exactly: a lone sum of products that cancel would show how they are rounded."""
    generator = torch.Generator().manual_seed(m * n * k)
    a, b = (torch.randn(shape, generator=generator).bfloat16().double() for shape in ((m, k), (k, n)))
    return a, b.mT.contiguous() if weight else b


@settings(max_examples=12, deadline=None)
@given(m=ODD, n=ODD, k=ODD, dtype=st.sampled_from(("f32", "f16", "bf16")), weight=st.booleans())
def test_any_shape_is_multiplied(m: int, n: int, k: int, dtype: str, weight: bool) -> None:
    a, b = operands(m, n, k, weight=weight)
    program = matmul(SMALL, dtype, (dtype,), weight=weight)
    prove(program, {"a": a, "b": b}, expected={"out0": a @ (b.mT if weight else b)})


@pytest.mark.parametrize("tile", ["32x32x16,g1,w4,s2,p", "16x64x16,g3,w4,s1", "64x16x32,g8,w4,s2,p"])
def test_the_order_of_tasks_does_not_matter(tile: str) -> None:
    a, b = operands(70, 90, 20)
    prove(matmul(MatmulTile.parse(tile), "f32", ("f32",)), {"a": a, "b": b}, expected={"out0": a @ b})


def test_descriptors_load_what_pointers_would() -> None:
    a, b = (x.float() for x in operands(40, 48, 32))
    from regraft.kernels.support import execute

    out = torch.empty(40, 48)
    execute(matmul(MatmulTile.parse("32x32x16,g2,w4,s2,p,d"), "f32", ("f32",)), {"a": a, "b": b, "out0": out})
    torch.testing.assert_close(out, a @ b)


def test_a_chain_of_everything_is_computed_on_the_way() -> None:
    a, b = operands(45, 37, 21)
    gate, residual = torch.randn(45, 21).double(), torch.randn(45, 37).double()
    bias, scale = torch.randn(37).double(), torch.randn(45).double()
    program = matmul(
        SMALL, "f16", ("f16", "f32"), prologue="silu(x) * full0", epilogue="s = x + row0; s, gelu(s) * column0 + full0",
        extras=("f16", "f16", "f32", "f32"),
    )  # fmt: skip
    inputs = {"a": a, "b": b, "before_full0": gate, "after_full0": residual, "after_row0": bias, "after_column0": scale}
    inner = (F.silu(a) * gate) @ b + bias
    prove(program, inputs, expected={"out0": inner, "out1": F.gelu(inner) * scale[:, None] + residual})


def test_a_prologue_that_is_not_finite_at_zero_leaves_no_trace_beyond_the_end() -> None:
    a, b = operands(20, 20, 17)
    divisor = torch.rand(20, 17).double() + 1
    program = matmul(SMALL, "f32", ("f32",), prologue="x / full0", extras=("f32",))
    prove(program, {"a": a, "b": b, "before_full0": divisor}, expected={"out0": (a / divisor) @ b})


def test_fp32_is_never_rounded_to_tf32_unless_asked() -> None:
    assert 'input_precision="ieee"' in emit(matmul(SMALL, "f32", ("f32",)))
    assert 'input_precision="tf32"' in emit(matmul(SMALL, "f32", ("f32",), precision="tf32"))


def test_the_operator_and_its_gradients() -> None:
    a, b = (x.float() for x in operands(20, 23, 17, weight=True))
    bias, residual, gate = torch.randn(23), torch.randn(20, 23), torch.randn(20, 17)

    def definition(a: Tensor, b: Tensor, extras: list[Tensor], *_: object) -> list[Tensor]:
        gate, residual, bias = extras
        inner = F.linear(a * gate, b, bias) + residual
        return [inner, F.gelu(inner)]

    arguments = (a, b, [gate, residual, bias], True, "x * full0", "s = x + row0 + full0; s, gelu(s)", "f32 f32",
                 str(SMALL), "")  # fmt: skip
    operator_checks(tile_matmul, arguments, formula=definition)


def test_nothing_times_nothing_is_empty() -> None:
    (made,) = tile_matmul(torch.empty(0, 4), torch.empty(4, 3), [], False, "x", "x", "f32", str(SMALL), "")
    assert made.shape == (0, 3)
    (made,) = tile_matmul(torch.empty(2, 0), torch.empty(0, 3), [], False, "x", "x", "f32", str(SMALL), "")
    assert torch.equal(made, torch.zeros(2, 3))


def test_a_tile_is_read_back_from_its_text() -> None:
    tile = MatmulTile(64, 128, 32, 4, 4, 5, persistent=True, descriptors=True)
    assert MatmulTile.parse(str(tile)) == tile


def test_not_a_number_stays_one_through_an_activation() -> None:
    a = torch.full((1, 16), float("nan"))
    (made,) = tile_matmul(a, torch.ones(16, 1), [], False, "x", "relu(x)", "f32", str(SMALL), "")
    assert made.isnan().all()
