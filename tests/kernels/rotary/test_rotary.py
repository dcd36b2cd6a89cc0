"""Rotary position embedding as a tile program, an operator and a candidate, against the dialect's definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.ops.rotary import rotary
from regraft.kernels.rotary.candidates import RotaryTile
from regraft.kernels.rotary.op import rotary as tile_rotary
from regraft.kernels.rotary.program import Rotary, rotation
from regraft.lowering.candidates import Reference, call_with
from regraft.lowering.targets import target_for
from regraft.tests.kernels.harness import operator_checks, prove, relative_error, same_gradients
from torch import Tensor


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).half().double()


def angles(time: int, width: int, *, interleaved: bool = False) -> Tensor:
    """Of both features of a pair."""
    made = torch.arange(1.0, time + 1).outer(10.0 ** -torch.arange(width / 2))
    return made.repeat_interleave(2, -1) if interleaved else torch.cat((made, made), -1)


@settings(max_examples=8, deadline=None)
@given(
    width=st.sampled_from((2, 6, 16, 80)),
    rest=st.sampled_from((0, 1, 5, 64)),
    time=st.sampled_from((1, 3, 17)),
    dtypes=st.sampled_from((("f32", "f32"), ("f16", "f32"), ("f16", "f16"), ("bf16", "bf16"))),
    interleaved=st.booleans(),
)
def test_pairs_are_rotated_and_taken_back(
    width: int, rest: int, time: int, dtypes: tuple[str, str], interleaved: bool
) -> None:
    dtype, table = dtypes
    x = random(2, 3, time, width + rest).requires_grad_()
    # Any numbers: nothing says that both of a pair have the same cos, or that they are cosines.
    cos, sin = (random(2, 1, time, width, seed=seed).expand(2, 3, -1, -1) for seed in (1, 2))
    y = rotary(x, cos, sin, interleaved=interleaved)
    kind = Rotary(width + rest, width, dtype, table, table, table, interleaved, rows=4)
    prove(rotation(kind), {"x": x.detach(), "cos": cos, "sin": sin}, expected={"y": y.detach()})

    dy = random(*y.shape, seed=3)
    (dx,) = torch.autograd.grad(y, x, dy)
    back = Rotary(width + rest, width, table, table, table, dtype, interleaved, adjoint=True, rows=4)
    prove(rotation(back), {"x": dy, "cos": cos, "sin": sin}, expected={"y": dx})


@pytest.mark.parametrize("interleaved", [False, True])
def test_the_adjoint_of_a_rotation_undoes_it(interleaved: bool) -> None:
    x, angle = random(1, 2, 5, 24).float(), angles(5, 16, interleaved=interleaved)
    tables = angle.cos(), angle.sin()
    there = tile_rotary(x, *tables, interleaved, False, "", 0)
    assert relative_error(tile_rotary(there, *tables, interleaved, True, "", 0), x) < 1e-6


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("interleaved", [False, True])
def test_torch_finds_nothing_wrong_with_the_operator(interleaved: bool, adjoint: bool) -> None:
    x = random(2, 5, 3, 7).float().transpose(1, 2).requires_grad_()
    cos, sin = (random(5, 6, seed=seed).half().requires_grad_() for seed in (1, 2))
    operator_checks(tile_rotary, (x, cos, sin, interleaved, adjoint, "", 0))


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_gradients_also_of_the_tables_are_those_of_the_dialect(interleaved: bool, dtype: torch.dtype) -> None:
    x = random(2, 5, 3, 9).to(dtype).transpose(1, 2)
    cos, sin = (random(5, 6, seed=seed).float() for seed in (1, 2))
    same_gradients(
        lambda x, cos, sin: tile_rotary(x, cos, sin, interleaved, False, "", 0),
        lambda x, cos, sin: rotary(x, cos, sin, interleaved=interleaved),
        (x, cos, sin),
    )


def test_gradients_of_gradients_are_those_of_the_dialect() -> None:
    x, cos, sin = random(3, 5, 8).float(), *(random(5, 8, seed=seed).float() for seed in (1, 2))

    def slope(rotate):
        def of(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
            y = rotate(x, cos, sin)
            return torch.autograd.grad(y, x, y * y, create_graph=True)[0]

        return of

    same_gradients(slope(lambda *given: tile_rotary(*given, True, False, "", 0)),
                   slope(lambda *given: rotary(*given, interleaved=True)), (x, cos, sin))  # fmt: skip


def test_no_rows_are_fine_and_an_odd_width_is_not() -> None:
    assert tile_rotary(torch.zeros(2, 0, 6), torch.ones(0, 4), torch.ones(0, 4), False, False, "", 0).shape == (2, 0, 6)
    with pytest.raises(ValueError, match="an even number"):
        tile_rotary(torch.zeros(2, 5), torch.ones(2, 3), torch.ones(2, 3), False, False, "", 0)


@pytest.mark.parametrize(
    ("shape", "table", "dtype", "code"),
    [
        ((2, 3, 5, 16), (5, 16), torch.float64, "dtype"),
        ((1, 2, 3, 5, 16), (5, 16), torch.float32, "rank"),
        ((3, 5, 2000), (5, 16), torch.float32, "head-dim"),
        ((1, 5, 16), (3, 5, 16), torch.float32, "shapes"),
    ],
)
def test_what_the_candidate_declines_has_a_code(
    shape: tuple[int, ...], table: tuple[int, ...], dtype: torch.dtype, code: str
) -> None:
    cos = torch.ones(table)
    call = call_with(torch.ops.regraft.rotary.default, torch.zeros(shape, dtype=dtype), cos, cos)
    decline = RotaryTile().supports(call, target_for("sm_90"))
    assert decline is not None
    assert decline.code == code


def test_unmeasured_the_candidate_is_no_better_than_inductor_and_computes_the_call() -> None:
    x, angle = random(2, 3, 5, 16).half(), angles(5, 8, interleaved=True)
    call = call_with(torch.ops.regraft.rotary.default, x, angle.cos(), angle.sin(), interleaved=True)
    candidate, target = RotaryTile(), target_for("sm_90")
    assert candidate.supports(call, target) is None
    reference = Reference("rotary").estimate(call, target, {})
    for config in candidate.configs(call, target):
        assert candidate.estimate(call, target, config).seconds >= reference.seconds
        made = candidate.run(call, config)
        assert made.dtype == call.result.dtype
        torch.testing.assert_close(made, call.target(**call.arguments))
