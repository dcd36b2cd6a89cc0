"""Merging parts of an attention: the tile programs against the dialect's definition, and the algebra of merging."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.ops.merge_lse import merge_lse
from regraft.kernels.merge_lse.candidates import MergeLseTiles
from regraft.kernels.merge_lse.op import merge_lse as tile_merge
from regraft.kernels.merge_lse.op import merge_lse_backward
from regraft.kernels.merge_lse.outputs import merge_outputs
from regraft.kernels.merge_lse.program import Parts, backward, forward
from regraft.lowering.candidates import call_with
from regraft.lowering.targets import target_for
from regraft.tests.kernels.harness import operator_checks, prove, relative_error, same_gradients
from torch import Tensor


def parts(count: int, rows: int, features: int) -> tuple[list[Tensor], list[Tensor]]:
    """Parts of different mass; the first row is empty in all, the second in all but one."""
    generator = torch.Generator().manual_seed(count + rows)
    outs = [torch.randn(2, 1, rows, features, generator=generator).half().double() for _ in range(count)]
    lses = [(torch.randn(2, 1, rows, generator=generator) * 3).half().double() for _ in range(count)]
    for at, (out, lse) in enumerate(zip(outs, lses, strict=True)):
        out[:, :, 0], lse[:, :, 0] = 0.0, -torch.inf
        if at:
            out[:, :, 1:2], lse[:, :, 1:2] = 0.0, -torch.inf
    return outs, lses


def named(outs: list[Tensor], lses: list[Tensor], prefix: str = "") -> dict[str, Tensor]:
    return {f"{prefix}out{at}": out for at, out in enumerate(outs)} | {
        f"{prefix}lse{at}": lse for at, lse in enumerate(lses)
    }


@settings(max_examples=6, deadline=None)
@given(
    count=st.integers(1, 4),
    rows=st.sampled_from((1, 3, 17)),
    features=st.sampled_from((1, 16, 40, 63, 128)),
    dtype=st.sampled_from(("f32", "f16", "bf16")),
)
def test_parts_are_merged_and_gradients_split(count: int, rows: int, features: int, dtype: str) -> None:
    outs, lses = parts(count, rows, features)
    kinds = Parts((dtype,) * count, ("f32",) * count, features, rows=4)
    out, lse = merge_lse(outs, lses)
    prove(forward(kinds), named(outs, lses), expected={"out": out, "lse": lse})

    tensors = [tensor.clone().requires_grad_() for tensor in (*outs, *lses)]
    out, lse = merge_lse(tensors[:count], tensors[count:])
    dout, dlse = torch.randn_like(out).half().double(), torch.randn_like(lse).half().double()
    dlse[:, :, 0] = 0.0
    torch.autograd.backward([out, lse.where(lse.isfinite(), lse.new_zeros(()))], [dout, dlse])
    grads = [tensor.grad for tensor in tensors]
    given = named(outs, lses) | {"dout": dout, "dlse": dlse}
    prove(backward(kinds, True), given, expected=named(grads[:count], grads[count:], "d"))


def test_the_order_of_the_parts_makes_no_difference_nor_does_an_empty_one() -> None:
    outs, lses = ([tensor.float() for tensor in tensors] for tensors in parts(3, 9, 24))
    out, lse = tile_merge(outs, lses, 4, 4)
    inner = tile_merge(outs[1:], lses[1:], 4, 4)
    identity = (torch.zeros_like(out), torch.full_like(lse, -torch.inf))
    other = tile_merge([inner[0], identity[0], outs[0]], [inner[1], identity[1], lses[0]], 4, 4)
    assert relative_error(other[0], out) < 1e-6
    assert relative_error(other[1], lse) < 1e-6


def test_torch_finds_nothing_wrong_with_the_operators() -> None:
    outs, lses = ([tensor.float() for tensor in tensors] for tensors in parts(2, 3, 16))
    outs[0] = outs[0].mT.contiguous().mT.requires_grad_()
    operator_checks(tile_merge, (outs, lses, 4, 4))
    outs = [out.detach() for out in outs]
    torch.library.opcheck(merge_lse_backward, (torch.randn(2, 1, 3, 16), None, outs, lses, 4, 4))


def test_gradients_of_the_operator_are_those_of_the_dialect() -> None:
    (a, b), (c, d) = ([tensor[:, :, 1:].float() for tensor in tensors] for tensors in parts(2, 6, 16))
    same_gradients(
        lambda a, b, c, d: tile_merge([a, b], [c, d], 4, 4),
        lambda a, b, c, d: merge_lse([a, b], [c, d]),
        (a, b, c, d),
    )


def test_no_rows_and_no_features_are_fine() -> None:
    out, lse = tile_merge([torch.zeros(2, 1, 0, 4)] * 2, [torch.zeros(2, 1, 0)] * 2, 4, 4)
    assert (out.shape, lse.shape) == ((2, 1, 0, 4), (2, 1, 0))


@pytest.mark.parametrize(
    ("shape", "dtype", "code"),
    [
        ((2, 3, 5, 16), torch.float64, "dtype"),
        ((3, 5, 16), torch.float32, "rank"),
        ((2, 3, 5, 2000), torch.float32, "head-dim"),
    ],
)
def test_what_the_candidate_declines_has_a_code(shape: tuple[int, ...], dtype: torch.dtype, code: str) -> None:
    outs, lses = [torch.zeros(shape, dtype=dtype)] * 2, [torch.zeros(shape[:-1])] * 2
    call = call_with(torch.ops.regraft.merge_lse.default, outs, lses)
    decline = MergeLseTiles().supports(call, target_for("sm_90"))
    assert decline is not None
    assert decline.code == code


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_output_alone_is_the_same(count: int, dtype: torch.dtype) -> None:
    outs, lses = parts(count, 5, 24)
    outs = [out.to(dtype) for out in outs]
    lses = [lse.to(torch.promote_types(dtype, torch.float32)) for lse in lses]
    expected, found = merge_lse(outs, lses)[0], merge_outputs(outs, lses)
    torch.testing.assert_close(found, expected)
    assert not found[:, :, 0].any(), "a row that is empty in every part"
