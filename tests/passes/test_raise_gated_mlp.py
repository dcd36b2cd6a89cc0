"""Gated blocks of real architectures are raised, ungated ones are not, and the result is the model's."""

import pytest
import torch
import torch.nn.functional as F
from regraft.compiler.execute import execute, flat_arguments
from regraft.compiler.program import module_path
from regraft.frontend.testing import assert_no_worse, run_pass
from torch._inductor import metrics


def blocks(program):
    return [node for node in program.graph.nodes if str(node.target) == "regraft.gated_mlp.default"]


@pytest.mark.parametrize(
    ("name", "activation", "fused", "count"),
    [
        ("llama", "silu", False, 2),
        ("qwen3", "silu", False, 2),
        ("gemma2", "gelu_tanh", False, 2),
        ("phi3", "silu", True, 2),
        ("t5", "gelu_tanh", False, 4),
        ("gpt_neox", None, False, 0),
        ("bert", None, False, 0),
        ("vit", None, False, 0),
    ],
)
def test_every_gated_block_of_a_transformers_model_is_raised(name, activation, fused, count, hf_program):
    program, _ = hf_program(name, torch.float32, "canonicalise,raise-gated-mlp")
    found = blocks(program)
    assert len({module_path(node) for node in found}) == len(found) == count
    for node in found:
        assert node.kwargs["activation"] == activation
        assert (node.args[2] is None) is fused


def test_activated_factor_is_the_gate_wherever_it_stands():
    def forward(x, first, second, down):
        return F.linear(F.linear(x, first) * F.silu(F.linear(x, second)), down)

    rewritten = run_pass("raise-gated-mlp", forward, "f32[3, 5]", "f32[7, 5]", "f32[7, 5]", "f32[5, 7]")
    (node,) = blocks(rewritten.program)
    assert [argument.name for argument in node.args[1:3]] == ["inputs_2", "inputs_1"]


def test_gate_and_up_of_different_widths_are_left_alone():
    def forward(x, gate, up, down):
        return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)

    rewritten = run_pass("raise-gated-mlp", forward, "f32[3, 5]", "f32[1, 5]", "f32[7, 5]", "f32[5, 7]")
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_linear_times_itself_is_no_gate():
    def forward(x, weight, down):
        h = F.linear(x, weight)
        return F.linear(F.silu(h) * h, down)

    rewritten = run_pass("raise-gated-mlp", forward, "f32[3, 5]", "f32[7, 5]", "f32[5, 7]")
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


RAISE = "canonicalise,raise-norm,raise-rotary,raise-gated-mlp"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("name", ["llama", "gemma2", "t5", "qwen3", "phi3", "gpt_neox", "gptj", "bert", "vit"])
def test_raised_model_computes_what_the_model_did(name, dtype, hf_program):
    program, before = hf_program(name, dtype, RAISE)
    inputs = [node.meta["val"] for node in program.user_inputs()]
    values = [
        torch.randn(tuple(v.shape), dtype=v.dtype) if v.is_floating_point() else torch.arange(v.numel()).view(v.shape)
        for v in inputs
    ]
    with torch.no_grad():
        for old, new in zip(execute(before, values), execute(program, values), strict=True):
            if isinstance(old, torch.Tensor) and old.is_floating_point():
                bound = 64 * torch.finfo(old.dtype).eps * old.abs().max()
                assert (old - new).abs().max() <= bound


def test_raising_leaves_inductor_as_many_kernels(hf_program):
    program, before = hf_program("llama", torch.float32, RAISE)
    ids = torch.arange(14).view(2, 7)
    counts = []
    for candidate in (before, program):
        torch._dynamo.reset()
        metrics.reset()
        arguments = flat_arguments(candidate, [ids])
        with torch.no_grad(), torch._inductor.config.patch(fx_graph_cache=False):
            torch.compile(candidate.module, fullgraph=True)(*arguments)
        counts.append(metrics.generated_kernel_count)
    assert counts[0] == counts[1] > 0
