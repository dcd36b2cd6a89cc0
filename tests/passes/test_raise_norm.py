"""Norms of real architectures are raised at every place, and the raised program computes what the model did."""

import pytest
import torch
import torch.nn.functional as F
from regraft.compiler.program import module_path
from regraft.frontend.testing import assert_no_worse, run_pass


def calls(rewritten, name):
    """Argument dictionaries of the calls of one dialect operator."""
    graph = rewritten.program.graph
    return [dict(n.kwargs) for n in graph.nodes if str(n.target) == f"regraft.{name}.default"]


def test_cast_and_offset_of_gemma_are_attributes():
    def gemma(x, w):
        h = x.float()
        h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-5)
        return (h * (1.0 + w.float())).to(x.dtype)

    (call,) = calls(run_pass("raise-norm", gemma, "bf16[3, 8]", "bf16[8]"), "rms_norm")
    assert call == {"eps": 1e-5, "cast": "early", "weight_offset": 1.0, "compute_dtype": torch.float32}


def test_late_cast_is_not_taken_for_an_early_one():
    def llama(x, w):
        h = x.float()
        return w * (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-5)).to(x.dtype)

    (call,) = calls(run_pass("raise-norm", llama, "bf16[3, 8]", "bf16[8]"), "rms_norm")
    assert call.get("cast", "late") == "late"


def test_offset_added_in_half_precision_stays_outside():
    def half_offset(x, w):
        h = x.float()
        h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-5)
        return (h * (1.0 + w)).to(x.dtype)

    rewritten = run_pass("raise-norm", half_offset, "bf16[3, 8]", "bf16[8]")
    assert rewritten.targets() == ["aten.add.Tensor", "regraft.rms_norm.default"]
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_default_eps_of_rms_norm_is_that_of_the_dtype_it_computes_in():
    (call,) = calls(run_pass("raise-norm", lambda x: F.rms_norm(x, (8,)), "bf16[3, 8]"), "rms_norm")
    assert call["eps"] == torch.finfo(torch.float32).eps
    (call,) = calls(run_pass("raise-norm", lambda x: F.rms_norm(x, (8,)), "f64[3, 8]"), "rms_norm")
    assert call["eps"] == torch.finfo(torch.float64).eps


def test_cast_of_the_input_may_have_other_users():
    def shared_cast(x, w):
        h = x.float()
        return (w * (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-5)).to(x.dtype)), h.sum()

    rewritten = run_pass("raise-norm", shared_cast, "bf16[3, 8]", "bf16[8]")
    assert rewritten.count("rms_norm") == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_two_norms_of_one_value_are_both_raised():
    def two(x, v, w):
        return tuple(s * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)) for s in (v, w))

    assert run_pass("raise-norm", two, "f32[3, 8]", "f32[8]", "f32[8]").count("rms_norm") == 2


@pytest.mark.parametrize("columns", [1, 2])
def test_vector_as_long_as_the_time_axis_is_no_weight(columns):
    def per_token(x, scale):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * scale[:, None].expand(3, columns)

    rewritten = run_pass("raise-norm", per_token, f"f32[3, {columns}]", "f32[3]")
    assert rewritten.count("mul") == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


# Norms that each architecture makes in two layers: module paths end so.
NORMS = {
    "llama": {"input_layernorm": 2, "post_attention_layernorm": 2, "norm": 1},
    "gemma2": {
        "input_layernorm": 2,
        "post_attention_layernorm": 2,
        "pre_feedforward_layernorm": 2,
        "post_feedforward_layernorm": 2,
        "norm": 1,
    },
    "qwen3": {"input_layernorm": 2, "post_attention_layernorm": 2, "q_norm": 2, "k_norm": 2, "norm": 1},
    "phi3": {"input_layernorm": 2, "post_attention_layernorm": 2, "norm": 1},
    "gpt_neox": {"input_layernorm": 2, "post_attention_layernorm": 2, "final_layer_norm": 1},
    "t5": {"layer_norm": 2 * 2 + 2 * 3, "final_layer_norm": 2},
    "bert": {"LayerNorm": 1 + 2 * 2},
    "vit": {"layernorm_before": 2, "layernorm_after": 2, "layernorm": 1},
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("name", NORMS)
def test_every_norm_of_a_transformers_model_is_raised(name, dtype, hf_program):
    program, _ = hf_program(name, dtype, "canonicalise,raise-norm")
    raised = [n for n in program.graph.nodes if str(n.target).startswith(("regraft.rms_norm", "regraft.layer_norm"))]
    found = [module_path(node).rsplit(".", 1)[-1] for node in raised]
    assert {leaf: found.count(leaf) for leaf in found} == NORMS[name]
