"""Dissolving gives the same values and gradients without an operator of the dialect left."""

import pytest
import torch
from regraft.compiler.execute import execute
from regraft.compiler.ops import OPS
from regraft.frontend.capture import capture
from regraft.lowering.dissolve import dissolve
from torch import nn

SINGLE = [name for name, op in OPS.items() if len(op.overload._schema.returns) == 1]


class Call(nn.Module):
    """One operator on the tensors among its example arguments."""

    def __init__(self, op, args, kwargs):
        super().__init__()
        self.op, self.args, self.kwargs = op, args, kwargs

    def forward(self, *tensors):
        given = iter(tensors)
        args = [next(given) if isinstance(arg, torch.Tensor) else arg for arg in self.args]
        kwargs = {k: next(given) if isinstance(v, torch.Tensor) else v for k, v in self.kwargs.items()}
        return self.op.overload(*args, **kwargs)


@pytest.mark.parametrize("name", SINGLE)
def test_every_operator_dissolves_into_what_it_stands_for(name):
    op = OPS[name]
    for args, kwargs in op.example_inputs():
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
        tensors = [tensor.detach() for tensor in tensors]
        program = capture(Call(op, args, kwargs), tuple(tensors))
        plain = dissolve(program)
        assert not any("regraft" in str(node.target) for node in plain.graph.nodes if node.op == "call_function")
        torch.manual_seed(0)
        (expected,) = execute(program, tensors)
        torch.manual_seed(0)
        (got,) = plain(*tensors)
        assert torch.equal(got, expected)
        assert got.stride() == expected.stride()
