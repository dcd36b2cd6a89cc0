"""act(gate) * up as tile programs, an operator and a candidate, against the dialect's definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regraft.compiler.ops.activation import ACTIVATIONS
from regraft.kernels.gated_mlp.candidates import GatedMlpTile
from regraft.kernels.gated_mlp.op import gated_activation
from regraft.kernels.gated_mlp.program import SLOPES, Gated, backward, forward
from regraft.lowering.candidates import Call, Reference, call_with
from regraft.lowering.targets import target_for
from regraft.tests.kernels.harness import operator_checks, prove, same_gradients
from torch import Tensor


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).half().double()


def block(activation: str, *, fused: bool, dtype: torch.dtype = torch.float32) -> Call:
    x, gate, up, down, bias = (random(*shape).to(dtype) for shape in ((2, 3, 5), (7, 5), (7, 5), (5, 7), (7,)))
    weights = (torch.cat((gate, up)), None, down, torch.cat((bias, bias))) if fused else (gate, up, down, bias, bias)
    return call_with(torch.ops.regraft.gated_mlp.default, x, *weights, activation=activation)


def test_every_activation_of_the_dialect_has_a_slope() -> None:
    assert list(SLOPES) == list(ACTIVATIONS)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@settings(max_examples=3, deadline=None)
@given(
    width=st.sampled_from((1, 3, 17, 63, 200)),
    rows=st.sampled_from((1, 5)),
    dtypes=st.sampled_from((("f32", "f32"), ("f16", "f16"), ("bf16", "bf16"), ("f16", "f32"))),
)
def test_any_width_is_gated_and_has_gradients(activation: str, width: int, rows: int, dtypes: tuple[str, str]) -> None:
    kind = Gated(activation, width, *dtypes, dtypes[1], rows=4, block=64)
    # Wide enough to bend every activation, not so wide that fp64 cancels in torch's 1 - tanh(x)^2.
    gate, up = (2 * random(rows, width)).requires_grad_(), random(rows, width, seed=1).requires_grad_()
    y = ACTIVATIONS[activation](gate) * up
    dy = random(rows, width, seed=2)
    given = {"gate": gate.detach(), "up": up.detach()}
    prove(forward(kind), given, expected={"y": y.detach()})
    dgate, dup = torch.autograd.grad(y, (gate, up), dy)
    prove(backward(kind), given | {"dy": dy}, expected={"dgate": dgate, "dup": dup})


@pytest.mark.parametrize("activation", ["silu", "identity"])
def test_torch_finds_nothing_wrong_with_the_operator(activation: str) -> None:
    # As a fused projection leaves them: parts of wider rows.
    gate, up = (part.requires_grad_() for part in random(2, 3, 14).float().chunk(2, dim=-1))
    operator_checks(gated_activation, (gate, up, activation, 0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_gradients_of_the_operator_are_those_of_the_dialect(dtype: torch.dtype) -> None:
    gate, up = random(3, 2, 9).to(dtype).transpose(0, 1), random(2, 3, 9, seed=1).to(dtype)
    same_gradients(
        lambda gate, up: gated_activation(gate, up, "gelu_tanh", 0),
        lambda gate, up: ACTIVATIONS["gelu_tanh"](gate) * up,
        (gate, up),
    )


def test_the_slope_of_a_flat_tail_keeps_its_digits() -> None:
    gate = torch.tensor([5.0, 7.0, -9.0], requires_grad=True)
    gated_activation(gate, torch.ones(3), "tanh", 0).sum().backward()
    expected = gate.detach().double().cosh().pow(-2)
    torch.testing.assert_close(gate.grad, expected.float(), rtol=1.3e-6, atol=0.0)


def test_no_rows_are_fine_and_what_does_not_fit_is_named() -> None:
    empty = torch.zeros(2, 0, 6, requires_grad=True)
    gated_activation(empty, empty, "silu", 0).sum().backward()
    assert empty.grad.shape == (2, 0, 6)
    with pytest.raises(ValueError, match=r"gate is \[2, 6\], up is \[1, 6\]"):
        gated_activation(torch.zeros(2, 6), torch.zeros(1, 6), "silu", 0)
    with pytest.raises(ValueError, match="'swish' is none of identity, silu"):
        gated_activation(torch.zeros(2, 6), torch.zeros(2, 6), "swish", 0)


@pytest.mark.parametrize("fused", [False, True])
def test_unmeasured_the_candidate_is_no_better_than_inductor_and_computes_the_block(fused: bool) -> None:
    call, candidate, target = block("gelu", fused=fused), GatedMlpTile(), target_for("sm_90")
    assert candidate.supports(call, target) is None
    reference = Reference("gated_mlp").estimate(call, target, {})
    for config in candidate.configs(call, target):
        assert candidate.estimate(call, target, config).seconds >= reference.seconds
        torch.testing.assert_close(candidate.run(call, config), call.target(**call.arguments))


def test_cpus_and_fp64_are_declined() -> None:
    candidate = GatedMlpTile()
    assert candidate.supports(block("silu", fused=False), target_for("cpu")).code == "device"
    assert candidate.supports(block("silu", fused=False, dtype=torch.float64), target_for("sm_90")).code == "dtype"
