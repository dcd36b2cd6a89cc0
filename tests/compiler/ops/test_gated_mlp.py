"""The gated block against its formula, unit by unit."""

import math

import pytest
import regraft.compiler.ops  # noqa: F401
import torch

gated_mlp = torch.ops.regraft.gated_mlp

ACTIVATIONS = {
    "identity": lambda z: z,
    "silu": lambda z: z / (1 + (-z).exp()),
    "gelu": lambda z: z * (1 + torch.erf(z / math.sqrt(2))) / 2,
    "gelu_tanh": lambda z: z * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2,
    "relu": lambda z: z.clamp(min=0),
    "sigmoid": lambda z: 1 / (1 + (-z).exp()),
    "tanh": lambda z: z.tanh(),
}


def weights(features, hidden):
    torch.manual_seed(hidden)
    shapes = (hidden, features), (hidden, features), (features, hidden), (hidden,), (hidden,), (features,)
    return [torch.randn(shape, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("features", "hidden"), [(1, 1), (3, 5), (5, 63)])
@pytest.mark.parametrize("biased", [False, True])
def test_is_the_formula(activation, features, hidden, biased):
    gate, up, down, gate_bias, up_bias, down_bias = weights(features, hidden)
    x = torch.randn(2, 3, features).double()
    biases = (gate_bias, up_bias, down_bias) if biased else ()
    b = biases or (0, 0, 0)
    expected = torch.einsum("...d,fd->...f", x, gate) + b[0]
    expected = ACTIVATIONS[activation](expected) * (torch.einsum("...d,fd->...f", x, up) + b[1])
    expected = torch.einsum("...f,df->...d", expected, down) + b[2]
    torch.testing.assert_close(gated_mlp(x, gate, up, down, *biases, activation=activation), expected)
    fused = torch.cat([gate, up])
    fused_biases = (torch.cat([gate_bias, up_bias]), None, down_bias) if biased else ()
    torch.testing.assert_close(gated_mlp(x, fused, None, down, *fused_biases, activation=activation), expected)


def test_the_names_of_the_activations_are_these():
    from regraft.compiler.ops.activation import ACTIVATIONS as offered

    assert set(offered) == set(ACTIVATIONS)


def test_runs_in_low_precision_under_autocast():
    gate, up, down, *_ = (w.float() for w in weights(5, 7))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert gated_mlp(torch.randn(3, 5), gate, up, down).dtype == torch.bfloat16


def test_bad_arguments_are_named():
    gate, up, down, *_ = weights(3, 5)
    x = torch.ones(2, 3).double()
    with pytest.raises(ValueError, match=r"activation must be one of .*'silu'.* got 'swish'"):
        gated_mlp(x, gate, up, down, activation="swish")
    with pytest.raises(ValueError, match="down_weight must be a matrix"):
        gated_mlp(x, gate, up, down[0])
    with pytest.raises(ValueError, match="up_bias must be None"):
        gated_mlp(x, gate, None, down, None, down[0])
