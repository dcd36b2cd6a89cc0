"""RMSNorm and LayerNorm as tile programs and as operators: odd widths, large means, sums before them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.ops.norm import layer_norm, rms_norm
from regraft.kernels.norm.epilogue import norm_epilogue
from regraft.kernels.norm.op import add_norm, norm
from regraft.kernels.norm.program import Norm, backward, forward, learned
from regraft.lowering.tile.chain import chain
from regraft.tests.kernels.harness import operator_checks, prove, relative_error, same_gradients
from torch import Tensor

EPS = 1e-6
WIDTHS = st.sampled_from((1, 3, 63, 200, 1000))


def heavy(*shape: int, seed: int = 0) -> Tensor:
    """Heavy tails: a few values are hundreds of times the others."""
    noise = torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (noise[0] / (noise[1].abs() + 0.01)).to(torch.float16).double()


def exact(kind: Norm, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    if kind.centred:
        return layer_norm(x, weight, bias, eps=EPS)
    return rms_norm(x, weight, eps=EPS, weight_offset=kind.offset)


def inputs(kind: Norm, rows: int) -> dict[str, Tensor]:
    made = {"x": heavy(rows, kind.width, seed=1)}
    made |= {"residual": heavy(rows, kind.width, seed=2)} if kind.residual else {}
    for at, name in enumerate(("weight", "bias")):
        made |= {name: torch.linspace(at - 1.5, 2, kind.width).half().double()} if getattr(kind, name) else {}
    return made


@settings(max_examples=10, deadline=None)
@given(
    width=WIDTHS,
    rows=st.sampled_from((1, 5, 17)),
    dtype=st.sampled_from(("f32", "f16", "bf16")),
    centred=st.booleans(),
    residual=st.booleans(),
    learned=st.sampled_from((("", ""), ("f32", ""), ("f32", "f32"))),
    block=st.sampled_from((0, 16)),
)
def test_any_width_is_normed(
    width: int, rows: int, dtype: str, centred: bool, residual: bool, learned: tuple[str, str], block: int
) -> None:
    kind = Norm(width, dtype, dtype, learned[0], learned[1] * centred, centred, residual, rows=4, block=block)
    given = inputs(kind, rows)
    total = given["x"] + given.get("residual", 0)
    expected = {"y": exact(kind, total, given.get("weight"), given.get("bias"))}
    expected |= {"total": total} if residual else {}
    shapes = {"statistics": torch.full((kind.kept, rows), torch.nan, dtype=torch.float64)}
    prove(forward(kind), given | shapes, {"eps": EPS}, expected=expected)


@settings(max_examples=8, deadline=None)
@given(
    # Of one element the gradient is 0 but for eps: what is left of a difference of equal numbers.
    width=WIDTHS.filter(lambda width: width > 1),
    rows=st.sampled_from((1, 5, 17)),
    dtype=st.sampled_from(("f32", "f16")),
    centred=st.booleans(),
    residual=st.booleans(),
    block=st.sampled_from((0, 16)),
)
def test_gradients_of_any_width(width: int, rows: int, dtype: str, centred: bool, residual: bool, block: int) -> None:
    kind = Norm(width, dtype, dtype, "f32", "f32" * centred, centred, residual, rows=4, block=block, workers=3)
    x, dy, d_total = (torch.randn(rows, width, dtype=torch.float64).half().double() for _ in range(3))
    parameters = [value.requires_grad_() for name, value in inputs(kind, rows).items() if name in ("weight", "bias")]
    x.requires_grad_()
    y = exact(kind, x, *(*parameters, None)[:2])
    dx, *sums = torch.autograd.grad(y, (x, *parameters), dy)
    mean = x.mean(1) * centred
    rstd = ((x - mean[:, None]).square().mean(1) + EPS).rsqrt()
    statistics = torch.stack((rstd, mean, 0 * mean)[: kind.kept])
    given = {"dy": dy, "x": x, "statistics": statistics, "weight": parameters[0], "d_total": d_total}
    given["partials"] = torch.full((len(sums), 3, width), torch.nan)
    expected = {"dx": dx + d_total * residual}
    apart = width > (block or width)
    prove(backward(kind), {name: value.detach() for name, value in given.items()}, expected=expected)
    made = torch.full((len(sums), 3, width), torch.nan)
    run(learned(kind) if apart else backward(kind), given | {"partials": made, "dx": torch.empty(rows, width)})
    for found, wanted in zip(made.sum(1), sums, strict=True):
        assert relative_error(found, wanted) < (1e-6 if dtype == "f32" else 1e-3)


def run(program, given: dict[str, Tensor]) -> None:
    from regraft.kernels.support import execute
    from regraft.lowering.tile.ir import DTYPES

    made = {b.name: given[b.name].detach().to(DTYPES[b.dtype]) for b in program.buffers if b.role == "in"}
    execute(program, made | {b.name: given[b.name].to(DTYPES[b.dtype]) for b in program.buffers if b.role == "out"})


@pytest.mark.parametrize("block", [0, 64])
def test_a_mean_far_larger_than_the_deviation_does_not_show(block: int) -> None:
    x = (1e3 + torch.randn(6, 200)).double()
    kind = Norm(200, "f32", "f32", centred=True, block=block)
    shapes = {"statistics": torch.full((3, 6), torch.nan)}
    prove(forward(kind), {"x": x} | shapes, {"eps": EPS}, expected={"y": exact(kind, x, None, None)})


def test_a_large_mean_does_not_show_in_gradients_either() -> None:
    x, weight, bias = 1e3 + torch.randn(3, 40), torch.rand(40) + 0.5, torch.randn(40)
    arguments = (x, weight, bias, EPS, True, False, 0.0, 0)
    same_gradients(lambda *args: norm(*args)[0], lambda x, w, b, *_: layer_norm(x, w, b, eps=EPS), arguments)


def test_gemmas_offset_and_both_places_of_the_cast_are_the_dialects() -> None:
    x, weight = torch.randn(5, 48).half(), torch.randn(48) * 0.1
    made = {cast: norm(x, weight, None, EPS, False, cast == "late", 1.0, 0)[0] for cast in ("late", "early")}
    for cast, y in made.items():
        wanted = rms_norm(x, weight, eps=EPS, cast=cast, weight_offset=1.0, compute_dtype=torch.float32)
        assert y.dtype == wanted.dtype
        assert relative_error(y, wanted) < 1e-3
    before_weight = made["late"] / (weight + 1)
    assert relative_error(before_weight, before_weight.half()) < 1e-6


@pytest.mark.parametrize("centred", [False, True])
def test_the_operators_keep_what_they_promise(centred: bool) -> None:
    x = torch.randn(3, 24, 2).mT[:, :, ::2]
    residual, weight, bias = torch.randn(x.shape), torch.randn(12), torch.randn(12) if centred else None
    options = (EPS, centred, False, 0.0, 0)

    def definition(x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor | None, *_: object) -> list[Tensor]:
        total = x + residual
        y = layer_norm(total, weight, bias, eps=EPS) if centred else rms_norm(total, weight, eps=EPS)
        return [y, total]

    def without_statistics(*args: object) -> tuple[Tensor, ...]:
        return add_norm(*args)[:2]

    operator_checks(norm, (x, weight, bias, *options))
    same_gradients(without_statistics, definition, (x, residual, weight, bias, *options))


def test_no_rows_are_no_work() -> None:
    x, weight = torch.randn(0, 4, 7, requires_grad=True), torch.randn(7, requires_grad=True)
    y, statistics = norm(x, weight, None, EPS, False, False, 0.0, 0)
    y.sum().backward()
    assert y.shape == x.shape
    assert statistics.shape == (1, 0)
    assert torch.equal(weight.grad, torch.zeros(7))


WORK = "v = (x + row0) * column0; maximum(v, 0.5), v + silu(full0)"


@pytest.mark.parametrize(("width", "block", "dtype"), [(63, 0, "f32"), (40, 16, "f16"), (200, 0, "bf16")])
@pytest.mark.parametrize("centred", [False, True])
def test_work_behind_a_norm_is_done_in_registers(width: int, block: int, dtype: str, centred: bool) -> None:
    kind = Norm(width, dtype, dtype, "f32", "", centred, residual=True, rows=4, block=block)
    given = inputs(kind, 5)
    total = given["x"] + given["residual"]
    beside = {"full0": heavy(5, width), "row0": heavy(width), "column0": heavy(5)}
    outs = chain(WORK).evaluate(exact(kind, total, given["weight"], None), beside)
    program = forward(kind, WORK, ("f32", dtype), (dtype, "f32", dtype))
    prove(program, given | beside, {"eps": EPS}, expected={"out0": outs[0], "out1": outs[1], "total": total})


@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("centred", [False, True])
def test_the_operator_with_work_has_the_gradients_of_its_parts(summed: bool, centred: bool) -> None:
    def formula(x, residual, weight, bias, extras, epilogue, outputs, eps, centred, late, offset, rows):
        total = x if residual is None else x + residual
        y = layer_norm(total, weight, bias, eps=eps) if centred else rms_norm(total, weight, eps=eps)
        made = chain(epilogue).evaluate(y, {**dict(zip(chain(epilogue).extras, extras, strict=True)),
                                            "column0": extras[2].squeeze(-1)})  # fmt: skip
        return made if residual is None else [*made, total]

    x, residual, full = (torch.randn(2, 3, 17) for _ in range(3))
    row, column, bias = torch.randn(17), torch.randn(2, 3, 1), torch.randn(17) if centred else None
    args = (x.mT.contiguous().mT, residual if summed else None, torch.randn(17), bias, [full, row, column], WORK,
            "f32 f32", EPS, centred, False, 0.0, 0)  # fmt: skip
    operator_checks(norm_epilogue, args, formula=formula)
    empty = norm_epilogue(x[:0], None, None, None, [full[:0], row, column[:0]], WORK, "f32 f16", *args[7:])
    assert [(made.shape, made.dtype) for made in empty] == [((0, 3, 17), torch.float32), ((0, 3, 17), torch.float16)]
