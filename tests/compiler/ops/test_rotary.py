"""Rotary embedding against multiplication by a complex number."""

import pytest
import regraft.compiler.ops  # noqa: F401
import torch

rotary = torch.ops.regraft.rotary


def angles(length, pairs):
    return torch.arange(length).double().outer(10.0 ** -torch.arange(pairs).double()) + 0.3


def rotate_by_complex(x, theta, interleaved):
    """Each pair as one complex number, times exp(i theta)."""
    pairs = x.unflatten(-1, (-1, 2)) if interleaved else x.unflatten(-1, (2, -1)).transpose(-1, -2)
    turned = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * torch.polar(torch.ones_like(theta), theta))
    return turned.flatten(-2) if interleaved else turned.transpose(-1, -2).flatten(-2)


def tables(theta, interleaved):
    theta = theta.repeat_interleave(2, -1) if interleaved else torch.cat([theta, theta], -1)
    return theta.cos(), theta.sin()


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(("length", "width", "rest"), [(1, 2, 0), (3, 6, 0), (63, 4, 0), (5, 4, 1), (5, 2, 7)])
def test_pairs_turn_by_their_angle_and_the_rest_passes_through(interleaved, length, width, rest):
    torch.manual_seed(0)
    x, theta = torch.randn(2, 3, length, width + rest).double(), angles(length, width // 2)
    expected = torch.cat([rotate_by_complex(x[..., :width], theta, interleaved), x[..., width:]], -1)
    torch.testing.assert_close(rotary(x, *tables(theta, interleaved), interleaved=interleaved), expected)


@pytest.mark.parametrize("interleaved", [False, True])
def test_scores_depend_on_the_distance_only(interleaved):
    q, k = torch.randn(2, 1, 6).double()
    cos, sin = tables(torch.arange(9).double().outer(torch.tensor([1.0, 0.3, 0.1]).double()), interleaved)
    q, k = (rotary(t.expand(9, 6), cos, sin, interleaved=interleaved) for t in (q, k))
    scores = q @ k.T
    for distance in range(9):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))


def test_tables_may_have_a_batch_of_their_own():
    x, theta = torch.randn(2, 3, 5, 4).double(), angles(10, 2).view(2, 1, 5, 2)
    cos, sin = tables(theta, False)
    found = rotary(x, cos, sin)
    for b in range(2):
        torch.testing.assert_close(found[b], rotary(x[b], cos[b], sin[b]))


def test_the_dtype_is_what_aten_promotes_to():
    x, (cos, sin) = torch.randn(5, 4).bfloat16(), tables(angles(5, 2).float(), False)
    assert rotary(x, cos, sin).dtype == torch.float32
    assert rotary(x, cos.bfloat16(), sin.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("width", [4, 6])
def test_the_length_may_be_dynamic(width):
    class Model(torch.nn.Module):
        def forward(self, x, cos, sin):
            return rotary(x, cos, sin)

    time = torch.export.Dim("time")
    shapes = ({1: time}, {0: time}, {0: time})
    program = torch.export.export(
        Model(), (torch.randn(2, 5, 6), torch.ones(5, width), torch.ones(5, width)), dynamic_shapes=shapes
    )
    inputs = torch.randn(2, 11, 6), torch.randn(11, width), torch.randn(11, width)
    torch.testing.assert_close(program.run_decompositions().module()(*inputs), rotary(*inputs))


def test_bad_widths_are_named():
    x = torch.ones(5, 4)
    with pytest.raises(ValueError, match=r"sin must be as wide as cos \(4\), got 2"):
        rotary(x, torch.ones(5, 4), torch.ones(5, 2))
    with pytest.raises(ValueError, match="width of cos must be even, got 3"):
        rotary(x, torch.ones(5, 3), torch.ones(5, 3))
    with pytest.raises(ValueError, match="width of cos must be at most x's 4 features, got 6"):
        rotary(x, torch.ones(5, 6), torch.ones(5, 6))
