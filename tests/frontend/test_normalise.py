"""Dynamo graphs in the normal form: words, records of inputs, metadata, and what is left as it was."""

import regraft.frontend.normalise as module
import torch
from regraft.compiler.program import InputKind, module_path, user_line
from regraft.compiler.remarks import RemarkLog
from regraft.frontend.normalise import normalise
from torch import nn


def normalised(function, *inputs, **options):
    """The program of the only graph of ``function``, and the remarks made on the way."""
    remarks, found = RemarkLog(), []

    def backend(gm, example_inputs):
        found.append((gm, [node.name for node in gm.graph.nodes], normalise(gm, example_inputs, remarks)))
        return gm.forward

    torch.compile(function, backend=backend, fullgraph=True, **options)(*inputs)
    ((gm, names, program),) = found
    assert [node.name for node in gm.graph.nodes] == names, "the graph of Dynamo was changed"
    program.module.graph.lint()
    return program, remarks


def calls(program):
    return [str(node.target) for node in program.graph.nodes if node.op == "call_function"]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(6)
        self.layers = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])
        self.layers[1].weight = self.layers[0].weight
        self.register_buffer("scale", torch.ones(6))
        self.offset = torch.arange(6.0)

    def forward(self, x):
        for layer in self.layers:
            x = torch.nn.functional.silu(layer(self.norm(x)))
        return x * self.scale + self.offset


def test_calls_become_pre_dispatch_aten():
    program, remarks = normalised(Block(), torch.randn(2, 6))
    layer = ["aten.layer_norm.default", "aten.linear.default", "aten.silu.default"]
    assert calls(program) == [*layer, *layer, "aten.mul.Tensor", "aten.add.Tensor"]
    assert not list(remarks)


def test_attention_is_kept_whole():
    def attend(q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    program, _ = normalised(attend, *torch.randn(3, 1, 2, 5, 8))
    assert calls(program) == ["aten.scaled_dot_product_attention.default"]


def test_inputs_are_told_apart_by_their_sources():
    program, _ = normalised(Block(), torch.randn(2, 6))
    records = {record.fqn or record.name: record.kind for record in program.inputs}
    assert records == {
        "l_x_": InputKind.USER,
        "norm.weight": InputKind.PARAMETER,
        "norm.bias": InputKind.PARAMETER,
        "layers.0.weight": InputKind.PARAMETER,  # Tied: Dynamo hands in one tensor for both layers.
        "layers.0.bias": InputKind.PARAMETER,
        "layers.1.bias": InputKind.PARAMETER,
        "scale": InputKind.BUFFER,
        "offset": InputKind.CONSTANT,
    }
    assert [node.name for node in program.placeholders()] == [record.name for record in program.inputs]


def test_a_module_in_a_closure_keeps_its_names():
    block = Block()
    program, _ = normalised(lambda x: block(x) * 2, torch.randn(2, 6))
    assert "layers.0.weight" in {record.fqn for record in program.inputs}


def test_symbolic_sizes_are_inputs_with_ranges():
    program, _ = normalised(
        lambda x, y: x.reshape(-1, x.shape[1]) @ y, torch.randn(3, 5), torch.randn(5, 7), dynamic=True
    )
    symbols = [record.name for record in program.inputs if record.kind is InputKind.SYMBOL]
    assert symbols
    assert set(program.ranges) >= set(symbols)
    assert all(low >= 0 and high is None for low, high in program.ranges.values())


def test_every_value_is_known_under_both_names_and_every_call_has_its_place():
    program, _ = normalised(Block(), torch.randn(2, 6))
    for node in program.graph.nodes:
        if node.op == "output":
            continue
        assert node.meta["val"] is node.meta["example_value"]
        if node.op == "call_function":
            assert "test_normalise.py" in user_line(node) or "torch/nn" in user_line(node)
    places = [module_path(node) for node in program.graph.nodes if node.op == "call_function"]
    assert places == ["norm", "layers.0", "", "norm", "layers.1", "", "", ""]


def test_values_carry_the_dtype_of_their_autocast_region():
    def cast(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = x @ x
        return y, x @ x

    program, _ = normalised(cast, torch.randn(4, 4))
    dtypes = [node.meta["val"].dtype for node in program.graph.nodes if str(node.target) == "aten.matmul.default"]
    assert dtypes == [torch.bfloat16, torch.float32]


def test_writes_without_users_are_kept_in_order():
    def write(x):
        y = x.clone()
        y.mul_(3)
        y[0] = 1
        y[:, 1] += 2
        return y

    program, _ = normalised(write, torch.randn(3, 4))
    written = [name for name in calls(program) if name.split(".")[1].endswith("_")]
    assert written == ["aten.mul_.Tensor", "aten.fill_.Tensor", "aten.add_.Tensor", "aten.copy_.default"]


def test_tracing_draws_no_random_numbers_and_leaves_fake_values_alone():
    state = torch.get_rng_state()
    program, _ = normalised(lambda x: torch.nn.functional.dropout(x.clone().add_(torch.rand(3)), 0.5), torch.ones(3))
    random = torch.get_rng_state()
    torch.set_rng_state(state)
    torch.rand(3), torch.nn.functional.dropout(torch.ones(3), 0.5)
    assert torch.equal(random, torch.get_rng_state()), "only the call itself drew"
    assert calls(program)[-1] == "aten.dropout.default"


def test_what_cannot_be_traced_alone_is_copied_with_the_reason():
    def spell(x):
        x = x.clone()
        before = x.view(3, 4).sum()
        x.t_()
        return x.sum(0), before

    _, remarks = normalised(spell, torch.randn(3, 4))
    messages = [remark.message for remark in remarks]
    assert any(message.startswith("t_ was left as it is") for message in messages)
    assert all(remark.kind == "analysis" and remark.line for remark in remarks)


def test_equal_layers_are_traced_once(monkeypatch):
    traced = []
    record = module.record
    monkeypatch.setattr(module, "record", lambda *args: traced.append(1) or record(*args))
    normalised(nn.Sequential(*(nn.Sequential(nn.Linear(6, 6), nn.GELU()) for _ in range(32))), torch.randn(2, 6))
    assert len(traced) == 2
