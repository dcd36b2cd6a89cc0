"""What may not be reordered is seen: writes through views, random draws, mode switches."""

import pytest
import torch
import torch.nn.functional as F
from regraft.compiler.analysis.effects import aliases, effects, is_random, mutated
from regraft.frontend.capture import capture
from torch import fx, nn

aten = torch.ops.aten


def graph_of(function, *inputs):
    class Module(nn.Module):
        def forward(self, *args):
            return function(*args)

    return capture(Module(), inputs).graph


def call(graph, name):
    return next(node for node in graph.nodes if node.op == "call_function" and name in str(node.target))


def test_write_through_a_view_of_a_view_reaches_the_source():
    def forward(x):
        y = x * 2
        y.view(-1)[1:].add_(1)
        return y

    graph = graph_of(forward, torch.ones(2, 2))
    facts = effects(graph)
    ((writer, written),) = facts.writes.items()
    assert writer is call(graph, "add_")
    assert written == {call(graph, "mul")}


def test_computing_later_crosses_only_writes_to_what_is_read():
    def forward(x, z):
        y = x * 2
        before = y.cos()
        z[0].add_(1)
        y[0].add_(1)
        return before.sin()

    graph = graph_of(forward, torch.ones(2, 2), torch.ones(2, 2))
    facts = effects(graph)
    crossed = facts.moved_across([call(graph, "cos"), call(graph, "sin")], call(graph, "sin"))
    assert crossed is not None
    assert facts.storage[crossed.args[0]] is call(graph, "mul")
    assert facts.moved_across([call(graph, "sin")], call(graph, "sin")) is None


def test_write_before_two_storages_become_one_is_not_forgotten():
    graph = fx.Graph()
    x, y = graph.placeholder("x"), graph.placeholder("y")
    read = graph.call_function(aten.cos.default, (y,))
    write = graph.call_function(aten.add_.Tensor, (y, 1))
    for node in (x, y):
        node.meta["val"] = torch.empty(3)
    # A higher-order operator may hand back any of its inputs.
    joined = graph.call_function(torch.ops.higher_order.wrap_with_set_grad_enabled, (False, x, y))
    root = graph.call_function(aten.sin.default, (read,))
    graph.output((root, joined))
    assert effects(graph).moved_across([read, root], root) is write


@pytest.mark.parametrize(("training", "writes"), [(True, 2), (False, 0)])
def test_batch_norm_writes_its_statistics_only_in_training(training, writes):
    module = nn.BatchNorm1d(3).train(training)
    module.register_buffer("num_batches_tracked", None)
    graph = capture(module, (torch.randn(4, 3),)).graph
    assert len(mutated(call(graph, "batch_norm"))) == writes


def test_dropout_draws_only_in_training_with_a_probability():
    for p, training, draws in ((0.5, True, True), (0.0, True, False), (0.5, False, False)):
        graph = graph_of(lambda x, p=p, training=training: F.dropout(x, p, training), torch.ones(3))
        nodes = [node for node in graph.nodes if "dropout" in str(node.target)]
        assert [is_random(node) for node in nodes] == [draws] * len(nodes)


def test_random_factories_are_random():
    assert is_random(call(graph_of(lambda x: torch.rand_like(x), torch.ones(3)), "rand"))


def test_pieces_of_a_split_share_the_storage_of_the_whole():
    graph = graph_of(lambda x: (x * 2).chunk(2)[1] + 1, torch.ones(4))
    facts = effects(graph)
    assert facts.storage[call(graph, "getitem")] is call(graph, "mul")
    assert aliases(call(graph, "chunk")) == [call(graph, "mul")]


def test_flat_mode_switches_part_the_graph_into_regions():
    graph = fx.Graph()
    x = graph.placeholder("x")
    before = graph.call_function(aten.cos.default, (x,))
    graph.call_function(torch._C._set_grad_enabled, (False,))
    inside = graph.call_function(aten.cos.default, (x,))
    graph.call_function(torch._C._set_grad_enabled, (True,))
    after = graph.call_function(aten.cos.default, (x,))
    graph.output((before, inside, after))
    assert len(effects(graph).regions_of([before, inside, after])) == 3
