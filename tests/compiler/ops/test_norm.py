"""Normalisation against the formula in double precision, and the chains of the models it is raised from, to the bit."""

import pytest
import regraft.compiler.ops  # noqa: F401
import torch
import torch.nn.functional as F

rms_norm = torch.ops.regraft.rms_norm
layer_norm = torch.ops.regraft.layer_norm

WIDTHS = [1, 3, 63, 100]


def llama(x, weight, eps):
    h = x.to(torch.float32)
    h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + eps)
    return weight * h.to(x.dtype)


def gemma(x, weight, eps):
    h = x.float()
    h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + eps)
    return (h * (1.0 + weight.float())).type_as(x)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("offset", [0.0, 1.0])
@pytest.mark.parametrize("cast", ["late", "early"])
def test_rms_norm_is_the_formula(width, offset, cast):
    torch.manual_seed(width)
    x, weight = 3 * torch.randn(2, 5, width).double() + 1, torch.randn(width).double()
    root = torch.stack([(row**2).sum() / width + 1e-3 for row in x.flatten(0, 1)]).sqrt().view(2, 5, 1)
    found = rms_norm(x, weight, eps=1e-3, cast=cast, weight_offset=offset)
    torch.testing.assert_close(found, x / root * (offset + weight))
    torch.testing.assert_close(rms_norm(x, eps=1e-3, cast=cast), x / root)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("weight_dtype", [torch.float32, torch.bfloat16])
def test_rms_norm_is_llamas_and_gemmas_to_the_bit(dtype, weight_dtype):
    torch.manual_seed(0)
    x, weight = (9 * torch.randn(3, 7, 63)).to(dtype), torch.randn(63).to(weight_dtype)
    late = rms_norm(x, weight, eps=1e-5, compute_dtype=torch.float32)
    early = rms_norm(x, weight, eps=1e-5, cast="early", weight_offset=1.0, compute_dtype=torch.float32)
    for found, expected in (late, llama(x, weight, 1e-5)), (early, gemma(x, weight, 1e-5)):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)


def test_the_statistic_is_taken_in_the_dtype_asked_for():
    x = torch.full((1, 4), 300.0, dtype=torch.float16)
    assert (rms_norm(x) == 0).all(), "300 squared is beyond fp16"
    torch.testing.assert_close(rms_norm(x, compute_dtype=torch.float32), torch.ones_like(x))


def test_late_and_early_differ_where_the_weight_is_rounded():
    torch.manual_seed(0)
    x, weight = torch.randn(4, 63, dtype=torch.bfloat16), torch.randn(63, dtype=torch.bfloat16)
    late, early = (rms_norm(x, weight, cast=cast, compute_dtype=torch.float32) for cast in ("late", "early"))
    assert not torch.equal(late, early)


@pytest.mark.parametrize("width", WIDTHS)
def test_layer_norm_is_the_formula(width):
    torch.manual_seed(width)
    x, weight, bias = (
        3 * torch.randn(2, 5, width).double() + 1,
        torch.randn(width).double(),
        torch.randn(width).double(),
    )
    centred = x - x.mean(-1, keepdim=True)
    expected = centred / (centred.square().mean(-1, keepdim=True) + 1e-3).sqrt()
    torch.testing.assert_close(layer_norm(x, eps=1e-3), expected)
    torch.testing.assert_close(layer_norm(x, weight, bias, eps=1e-3), expected * weight + bias)
    torch.testing.assert_close(layer_norm(x, None, bias, eps=1e-3), expected + bias)


def test_layer_norm_casts_around_when_a_compute_dtype_is_given():
    x, weight, bias = torch.randn(3, 63).bfloat16(), torch.randn(63), torch.randn(63)
    found = layer_norm(x, weight, bias, compute_dtype=torch.float32)
    assert torch.equal(found, F.layer_norm(x.float(), (63,), weight, bias).bfloat16())


@pytest.mark.parametrize("operator", [rms_norm, layer_norm])
def test_strides_do_not_matter(operator):
    x, weight = torch.randn(5, 4, 6).transpose(0, 2), torch.randn(5)
    torch.testing.assert_close(operator(x, weight), operator(x.contiguous(), weight))


@pytest.mark.parametrize("operator", [rms_norm, layer_norm])
def test_rows_may_be_dynamic(operator):
    class Model(torch.nn.Module):
        def forward(self, x, weight):
            return operator(x, weight)

    rows = {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}
    program = torch.export.export(Model(), (torch.randn(2, 3, 5), torch.ones(5)), dynamic_shapes=(rows, None))
    x, weight = torch.randn(7, 11, 5), torch.randn(5)
    torch.testing.assert_close(program.run_decompositions().module()(x, weight), operator(x, weight))


def test_bad_arguments_are_named():
    x = torch.ones(2, 3)
    with pytest.raises(ValueError, match="cast must be one of 'late', 'early', got 'never'"):
        rms_norm(x, cast="never")
    with pytest.raises(ValueError, match="weight must be a vector"):
        rms_norm(x, x)
    with pytest.raises(ValueError, match="weight_offset must be 0 without a weight"):
        rms_norm(x, weight_offset=1.0)
    with pytest.raises(ValueError, match="bias must be a vector"):
        layer_norm(x, None, x)
