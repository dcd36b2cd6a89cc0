"""Models of every kind of attention share a prefix, or their encoder's states, and generate the same tokens."""

from functools import partial

import pytest
import torch
from regraft.compiler.errors import UsageError

transformers = pytest.importorskip("transformers")
share_prefix = partial(pytest.importorskip("regraft.frontend.shared_prefix").share_prefix, min_gain=0)

ENDS = {"eos_token_id": None, "bos_token_id": 1, "pad_token_id": 0}
SIZES = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
GREEDY = {"do_sample": False, "max_new_tokens": 12}


def made(model):
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return model.eval()


def decoder(name, **options):
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**(SIZES | ENDS | options))
    return made(getattr(transformers, f"{name}ForCausalLM")(config))


def gpt_oss():
    model = decoder(
        "GptOss", num_key_value_heads=2, head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=120
    )
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.sinks.copy_(torch.tensor([3.0, -1.0, 8.0, 0.5]))
    return model


def bloom():
    return decoder("Bloom", n_head=4, n_layer=2)


DECODERS = {
    "soft caps and windows (Gemma 2)": lambda: decoder(
        "Gemma2", num_key_value_heads=2, head_dim=8, sliding_window=120, attn_logit_softcapping=3.0
    ),
    "sinks and windows (gpt-oss)": gpt_oss,
    "normalised queries and keys (Qwen 3)": lambda: decoder("Qwen3", num_key_value_heads=2, head_dim=8),
    "one key head (GPT-BigCode)": lambda: decoder("GPTBigCode", n_embd=32, n_head=4, n_layer=2, multi_query=True),
    "partly rotated (GPT-NeoX)": lambda: decoder("GPTNeoX", rotary_pct=0.5),
    "mixture of experts (Mixtral)": lambda: decoder(
        "Mixtral", num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2
    ),
}


def tokens(*shape, seed=1):
    return torch.randint(2, 97, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("options", [{}, {"num_beams": 3}], ids=["greedy", "beams"])
def test_a_shared_prefix_gives_the_tokens_of_eager_attention(name, options):
    model, prefix, suffix = DECODERS[name](), tokens(21), tokens(3, 4, seed=2)
    full = torch.cat([prefix.expand(3, -1), suffix], 1)
    model.set_attn_implementation("eager")
    expected = model.generate(full, **GREEDY, **options)
    handle = share_prefix(model, prefix)
    assert torch.equal(handle.generate(suffix, **GREEDY, **options), expected)
    assert torch.equal(model.generate(full, **GREEDY, **options), expected)


def test_alibi_is_refused_with_its_reason():
    with pytest.raises(UsageError, match=r"Bloom.* does not take its attention from AttentionInterface"):
        share_prefix(bloom(), tokens(8))


def t5():
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
    ends = {"decoder_start_token_id": 0, "eos_token_id": None, "pad_token_id": 0}
    return made(transformers.T5ForConditionalGeneration(transformers.T5Config(vocab_size=97, **sizes, **ends)))


def bart():
    torch.manual_seed(0)
    sizes = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 64}
    ends = {"decoder_start_token_id": 1, "eos_token_id": None, "pad_token_id": 0, "bos_token_id": 1}
    config = transformers.BartConfig(vocab_size=97, **sizes, **heads, **ends, forced_eos_token_id=None)
    return made(transformers.BartForConditionalGeneration(config))


@pytest.mark.parametrize("make", [t5, bart], ids=["relative position bias (T5)", "learned positions (BART)"])
@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize("options", [{}, {"num_beams": 4}, {"num_beams": 4, "num_return_sequences": 2}])
def test_encoder_states_are_shared_and_their_padding_stays_hidden(make, padded, options):
    model, ids = make(), tokens(2, 11)
    mask = torch.ones_like(ids)
    if padded:
        mask[1, 6:] = 0
        ids = ids * mask
    model.set_attn_implementation("eager")
    expected = model.generate(ids, attention_mask=mask, **GREEDY, **options)
    handle = share_prefix(model, {"input_ids": ids, "attention_mask": mask})
    assert torch.equal(handle.generate(**GREEDY, **options), expected)
    cache = handle.new_cache()
    assert torch.equal(model.generate(ids, attention_mask=mask, past_key_values=cache, **GREEDY, **options), expected)
    assert cache.cross_attention_cache.layers[0].keys.shape[0] == 2
