"""Inlining inserts what a function computes; several results are those of one operator."""

import pytest
import regraft.compiler.ops  # noqa: F401
import torch
from regraft.compiler.inline import inline
from regraft.compiler.rewriter import Edit
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

attention_lse = torch.ops.regraft.attention_lse


def edited(function):
    """A graph of attention with both results, the call replaced by ``function`` of its operands."""
    tensors = [torch.randn(1, 2, 3, 4) for _ in range(3)]

    def both(q, k, v):
        return sum(part.sum() for part in attention_lse(q, k, v))

    module = make_fx(both, pre_dispatch=True, tracing_mode="fake")(*tensors)
    (node,) = module.graph.find_nodes(op="call_function", target=attention_lse.default)
    edit = Edit(node, "test", "rule", 0, "", node.meta["val"][0].fake_mode)
    edit.replace(node, inline(edit, function, *node.all_input_nodes))
    edit.finish()
    module.recompile()
    return module, tensors


def test_both_results_of_an_operator_are_those_of_its_call():
    module, tensors = edited(lambda q, k, v: attention_lse(q, 2 * k, v))
    expected = sum(part.sum() for part in attention_lse(tensors[0], 2 * tensors[1], tensors[2]))
    torch.testing.assert_close(module(*tensors), expected)
    assert len(module.graph.find_nodes(op="call_function", target=attention_lse.default)) == 1


@pytest.mark.parametrize(
    "function",
    [lambda q, k, v: (q, k), lambda q, k, v: attention_lse(q, k, v)[::-1]],
    ids=["of none", "in another order"],
)
def test_several_results_that_are_not_one_call_s_are_refused(function):
    with pytest.raises(ValueError, match="must give those of one operator"):
        edited(function)


def test_nodes_that_share_a_value_stay_apart():
    with FakeTensorMode() as mode:
        same = torch.empty(2, 3)

    graph = fx.Graph()
    left, right = graph.placeholder("left"), graph.placeholder("right")
    whole = graph.call_function(torch.ops.aten.sub.Tensor, (left, right))
    graph.output(whole)
    for node in (left, right, whole):
        node.meta["val"] = same
    module = fx.GraphModule(nn.Module(), graph)
    edit = Edit(whole, "test", "rule", 0, "", mode)
    edit.replace(whole, inline(edit, lambda x, y: x - 2 * y, left, right))
    edit.finish()
    module.recompile()
    assert torch.equal(module(torch.ones(2, 3), torch.ones(2, 3)), -torch.ones(2, 3))
