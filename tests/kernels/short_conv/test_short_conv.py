"""The short convolution as tile programs and as an operator: odd lengths, fewer times than taps, any strides."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from regraft.compiler.ops.activation import ACTIVATIONS
from regraft.compiler.ops.short_conv import short_conv as dialect
from regraft.kernels.short_conv.op import short_conv, short_conv_backward
from regraft.kernels.short_conv.program import ShortConv, backward, derivative, forward
from regraft.lowering.tile import Builder, reference, span
from regraft.tests.kernels.harness import operator_checks, prove, same_gradients, same_strides
from torch import Tensor

LENGTHS = st.sampled_from((1, 3, 63, 200))
TAPS = st.sampled_from((1, 2, 3, 4, 7))
DTYPES = st.sampled_from(("f32", "f16", "bf16"))
SIDES = st.sampled_from(((4, 32), (16, 16)))


def inputs(conv: ShortConv, heads: int, time: int, *, transposed: bool) -> dict[str, Tensor]:
    """Numbers that every dtype holds exactly."""
    generator = torch.Generator().manual_seed(time + conv.taps)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).bfloat16().double()

    made = {name: random(2, time, heads).mT if transposed else random(2, heads, time) for name in ("u", "dy")}
    made["k"] = random(heads, conv.taps)
    return made | ({"bias": random(heads)} if conv.bias else {})


@settings(max_examples=10, deadline=None)
@given(
    time=LENGTHS,
    taps=TAPS,
    heads=st.sampled_from((1, 5, 17)),
    dtype=DTYPES,
    bias=st.booleans(),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    sides=SIDES,
    transposed=st.booleans(),
)
def test_any_length_and_taps_are_the_dialects(
    time: int, taps: int, heads: int, dtype: str, bias: bool, activation: str, sides: tuple[int, int], transposed: bool
) -> None:
    conv = ShortConv(taps, dtype, bias, activation, *sides)
    given = inputs(conv, heads, time, transposed=transposed)
    dy = given.pop("dy")
    y = dialect(given["u"], given["k"], given.get("bias"), activation=activation)
    prove(forward(conv), given, expected={"y": torch.empty_like(dy).copy_(y)})


@settings(max_examples=7, deadline=None)
@given(
    time=LENGTHS,
    taps=TAPS,
    heads=st.sampled_from((1, 5)),
    dtype=st.sampled_from(("f32", "f16")),
    bias=st.booleans(),
    activation=st.sampled_from(("identity", "silu", "gelu")),
    sides=SIDES,
    transposed=st.booleans(),
)
@example(time=200, taps=4, heads=5, dtype="f32", bias=True, activation="silu", sides=(16, 16), transposed=True)
def test_gradients_are_those_of_the_dialect(
    time: int, taps: int, heads: int, dtype: str, bias: bool, activation: str, sides: tuple[int, int], transposed: bool
) -> None:
    conv = ShortConv(taps, dtype, bias, activation, *sides)
    given = inputs(conv, heads, time, transposed=transposed)
    dy = given["dy"]
    leaves = [given[name].detach().requires_grad_() for name in ("u", "k", "bias")[: 2 + bias]]
    y = dialect(*leaves, activation=activation)
    du, *_ = torch.autograd.grad(y, leaves, dy)
    piece = 8 * sides[1]
    partials = torch.zeros(taps + bias, 2, -(-time // piece), heads, dtype=torch.float64)
    for batch in range(2):
        for number in range(partials.shape[2]):
            part = pieces_of_sums(given, conv, batch, number * piece, min((number + 1) * piece, time))
            partials[:, batch, number] = part
    prove(backward(conv), given, expected={"du": torch.empty_like(dy).copy_(du), "partials": partials})


def pieces_of_sums(given: dict[str, Tensor], conv: ShortConv, batch: int, start: int, stop: int) -> Tensor:
    """dk: of what the samples from ``start`` to ``stop`` take part in; dbias: of the results there."""
    u, bias = given["u"][batch], given.get("bias")
    z = dialect(u, given["k"], bias).requires_grad_()
    (dz,) = torch.autograd.grad(ACTIVATIONS[conv.activation](z), z, given["dy"][batch])
    within = torch.zeros_like(u)
    within[:, start:stop] = u[:, start:stop]
    k = given["k"].detach().requires_grad_()
    (dk,) = torch.autograd.grad(dialect(within, k), k, dz)
    return torch.cat((dk.T, dz[None, :, start:stop].sum(2))) if conv.bias else dk.T


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"identity"}))
def test_derivatives_are_those_of_the_activations(activation: str) -> None:
    t = Builder("slope", "The derivative of an activation.")
    x, y = t.input("x", (64,), "f64"), t.output("y", (64,), "f64")
    t.tasks(("only", 1))
    t.store(y, (span(0, 64),), derivative(t, activation, t.load(x, (span(0, 64),)).f32))
    given = torch.linspace(-9, 9, 64, dtype=torch.float64, requires_grad=True)
    (wanted,) = torch.autograd.grad(ACTIVATIONS[activation](given).sum(), given)
    made = torch.empty(64, dtype=torch.float64)
    reference.run(t.program(), {"x": given.detach(), "y": made}, compute=torch.float64)
    torch.testing.assert_close(made, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("bias", [True, False])
def test_the_operator_is_one_and_has_the_gradients_of_the_dialect(bias: bool) -> None:
    u, k = torch.randn(2, 5, 40), torch.randn(5, 4)
    arguments = (u, k, torch.randn(5) if bias else None, "silu", 4, 16)
    operator_checks(short_conv, arguments, formula=lambda u, k, b, act, *_: dialect(u, k, b, activation=act))


@pytest.mark.parametrize("view", [
    lambda x: x,
    lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
    lambda x: x[:, 1::2, ::3],
    lambda x: x[:, :1].expand(-1, 6, -1),
    lambda x: x.transpose(0, 1),
], ids=["contiguous", "channels last", "strided", "expanded", "batch inside"])  # fmt: skip
def test_u_is_read_in_place_and_the_result_has_its_layout(view) -> None:
    u = view(torch.randn(4, 6, 30))
    heads = u.shape[1]
    k, bias, dy = torch.randn(heads, 3), torch.randn(heads), view(torch.randn(4, 6, 30))
    torch.testing.assert_close(short_conv(u, k, bias, "gelu", 4, 16), dialect(u, k, bias, activation="gelu"))
    assert short_conv(u, k, bias, "gelu", 4, 16).stride() == torch.empty_like(u).stride()
    same_strides(short_conv, (u, k, bias, "gelu", 4, 16))
    same_strides(short_conv_backward, (dy, u, k, bias, "gelu", 4, 16))


def test_gradients_of_views_are_those_of_the_dialect() -> None:
    u, k = torch.randn(2, 30, 10), torch.randn(3, 5)
    same_gradients(
        lambda u, k: short_conv(u.mT[:, ::2], k.T, None, "gelu_tanh", 4, 16),
        lambda u, k: dialect(u.mT[:, ::2], k.T, activation="gelu_tanh"),
        (u, k),
    )


@pytest.mark.parametrize("shape", [(0, 3, 8), (2, 0, 8), (2, 3, 0)])
def test_nothing_at_all_is_convolved(shape: tuple[int, int, int]) -> None:
    u, k = torch.randn(shape, requires_grad=True), torch.randn(shape[1], 4, requires_grad=True)
    y = short_conv(u, k, None, "silu", 4, 16)
    assert y.shape == shape
    y.sum().backward()
    assert torch.equal(k.grad, torch.zeros_like(k))
