"""Small random models of real architectures, traced once and run through a pipeline."""

from functools import cache

import pytest
import torch
from regraft.compiler.pipeline import Pipeline
from regraft.compiler.program import Program
from regraft.frontend.capture import capture
from regraft.passes import DEFAULT, registry

COMMON = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 97,
    "max_position_embeddings": 64,
}
GROUPED = {**COMMON, "num_key_value_heads": 2, "use_cache": False}
IDS = torch.arange(14).view(2, 7)


@pytest.fixture
def hf_program():
    """``hf_program(name, dtype, passes) -> (rewritten, before)``."""
    transformers = pytest.importorskip("transformers")

    def build(name: str, dtype: torch.dtype, passes: str) -> tuple[Program, Program]:
        before = _captured(transformers, name, dtype)
        program = before.copy()
        Pipeline.parse(passes, registry, DEFAULT).run(program)
        program.recompile()
        return program, before

    return build


@cache
def _captured(transformers, name: str, dtype: torch.dtype) -> Program:
    torch.manual_seed(0)
    model, inputs = _models(transformers)[name]()
    inputs = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
    return capture(model.to(dtype).eval(), inputs)


def _models(t):
    """Builders of ``(model, keyword inputs)`` by architecture."""
    ids = {"input_ids": IDS}
    image = {"pixel_values": torch.linspace(-1, 1, 2 * 3 * 16 * 16).view(2, 3, 16, 16)}
    gated = {"feed_forward_proj": "gated-gelu", "use_cache": False}
    return {
        "llama": lambda: (t.LlamaForCausalLM(t.LlamaConfig(**GROUPED)), ids),
        "gemma2": lambda: (t.Gemma2ForCausalLM(t.Gemma2Config(**GROUPED, head_dim=8)), ids),
        "qwen3": lambda: (t.Qwen3ForCausalLM(t.Qwen3Config(**GROUPED, head_dim=8)), ids),
        "phi3": lambda: (t.Phi3ForCausalLM(t.Phi3Config(**GROUPED, pad_token_id=0)), ids),
        "gpt_neox": lambda: (t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**COMMON, rotary_pct=0.5, use_cache=False)), ids),
        "gptj": lambda: (
            t.GPTJForCausalLM(
                t.GPTJConfig(vocab_size=97, n_positions=64, n_embd=32, n_layer=2, n_head=4, rotary_dim=4)
            ),
            ids,
        ),
        "t5": lambda: (
            t.T5ForConditionalGeneration(
                t.T5Config(vocab_size=97, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, **gated)
            ),
            {**ids, "decoder_input_ids": IDS},
        ),
        "bert": lambda: (t.BertModel(t.BertConfig(**COMMON)), ids),
        "vit": lambda: (
            t.ViTModel(
                t.ViTConfig(
                    hidden_size=32,
                    intermediate_size=48,
                    num_hidden_layers=2,
                    num_attention_heads=4,
                    image_size=16,
                    patch_size=8,
                )
            ),
            image,
        ),
    }
