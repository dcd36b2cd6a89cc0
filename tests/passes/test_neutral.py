"""Attention that was written out compiles, once raised, to no more kernels than before."""

import pytest
import torch
from regraft.compiler.execute import flat_arguments
from regraft.compiler.pipeline import Pipeline
from regraft.frontend.capture import capture
from regraft.passes import DEFAULT, registry
from torch._inductor import config, metrics

SIZES = {"vocab_size": 99, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
SIZES |= {"num_attention_heads": 4, "num_key_value_heads": 4}
BEFORE = "canonicalise,fold-constants"


def kernels(model, passes):
    """How many kernels Inductor generates for a model after these passes."""
    inputs = {"input_ids": torch.arange(14).reshape(2, 7), "use_cache": False}
    program = capture(model, inputs)
    Pipeline.parse(passes, registry, DEFAULT).run(program)
    program.recompile()
    torch._dynamo.reset()
    metrics.reset()
    values = flat_arguments(program, [inputs[node.name] for node in program.user_inputs()])
    with torch.no_grad(), config.patch(force_disable_caches=True):
        torch.compile(program.module)(*values)
    return metrics.generated_kernel_count


def build(name, implementation):
    transformers = pytest.importorskip("transformers")
    sizes = {
        "GPT2": {"vocab_size": 99, "n_embd": 32, "n_layer": 1, "n_head": 4},
        "Gemma2": SIZES | {"num_key_value_heads": 2, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 3},
    }[name]
    configuration = getattr(transformers, f"{name}Config")(**sizes, attn_implementation=implementation)
    torch.manual_seed(0)
    head = "LMHeadModel" if name == "GPT2" else "ForCausalLM"
    return getattr(transformers, f"{name}{head}")(configuration).eval()


@pytest.mark.parametrize("name", ["GPT2", "Gemma2"])
def test_written_out_attention_compiles_to_no_more_kernels(name):
    model = build(name, "eager")
    assert 0 < kernels(model, "default") <= kernels(model, BEFORE)
