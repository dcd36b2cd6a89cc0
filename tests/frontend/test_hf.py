"""The Hugging Face door keeps every kind of mask, and refuses what it cannot express."""

import pytest
import torch
from regraft.compiler.errors import UsageError

transformers = pytest.importorskip("transformers")
hf = pytest.importorskip("regraft.frontend.hf")

SMALL = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}


def llama(**options):
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL, **options)).eval()


def mistral(window):
    torch.manual_seed(0)
    config = transformers.MistralConfig(**SMALL, sliding_window=window)
    return transformers.MistralForCausalLM(config).eval()


def gemma2(cap):
    torch.manual_seed(0)
    config = transformers.Gemma2Config(**SMALL, head_dim=8, sliding_window=5, attn_logit_softcapping=cap)
    return transformers.Gemma2ForCausalLM(config).eval()


def logits(model, **inputs):
    with torch.no_grad():
        return model(**inputs).logits


@pytest.mark.parametrize(
    ("make", "reference"),
    [(llama, "sdpa"), (lambda: mistral(4), "sdpa"), (lambda: gemma2(3.0), "eager")],
    ids=["causal", "sliding", "soft-capped"],
)
@pytest.mark.parametrize("padded", [False, True])
def test_logits_equal_those_of_the_implementation_it_replaces(make, reference, padded):
    model = make()
    ids = torch.randint(0, 64, (2, 11))
    inputs = {"input_ids": ids}
    if padded:
        mask = torch.ones_like(ids)
        mask[1, :4] = 0
        inputs["attention_mask"] = mask
    model.set_attn_implementation(reference)
    expected = logits(model, **inputs)
    hf.use(model)
    seen = slice(4, None) if padded else slice(None)
    torch.testing.assert_close(logits(model, **inputs)[:, seen], expected[:, seen])


def test_future_tokens_never_reach_the_past():
    model = hf.use(llama())
    ids = torch.randint(0, 64, (1, 9))
    changed = ids.clone()
    changed[0, 6:] = (changed[0, 6:] + 1) % 64
    first, second = logits(model, input_ids=ids), logits(model, input_ids=changed)
    assert torch.equal(first[:, :6], second[:, :6])
    assert not torch.equal(first[:, 6:], second[:, 6:])


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_generation_gives_the_same_tokens(cache):
    model = llama()
    ids = torch.randint(0, 64, (2, 7))
    options = {"max_new_tokens": 9, "do_sample": False, "cache_implementation": cache, "pad_token_id": 0}
    expected = model.generate(ids, **options)
    assert torch.equal(hf.use(model).generate(ids, **options), expected)


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("kind", ["none", "boolean", "additive", "of each head"])
def test_one_query_and_several_are_attended_alike(queries, kind):
    model = llama()
    q, k, v = torch.randn(2, 4, queries, 8), torch.randn(2, 2, 9, 8), torch.randn(2, 2, 9, 8)
    masks = {
        "none": None,
        "boolean": torch.rand(2, 1, queries, 9) > 0.3,
        "additive": torch.randn(2, 1, queries, 9),
        "of each head": torch.randn(2, 4, queries, 9),
    }
    found, _ = hf.attention(model.model.layers[0].self_attn, q, k, v, masks[kind], is_causal=False)
    k, v = (x.repeat_interleave(2, 1) for x in (k, v))
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, masks[kind])
    torch.testing.assert_close(found, expected.transpose(1, 2))


def test_attention_weights_are_refused_by_name():
    model = hf.use(llama())
    with pytest.raises(NotImplementedError, match="attention weights"):
        hf.attention(model.model.layers[0].self_attn, *torch.randn(3, 1, 4, 3, 8), None, output_attentions=True)


def test_a_model_that_is_not_from_transformers_is_refused():
    with pytest.raises(UsageError, match="Linear is not a transformers model"):
        hf.use(torch.nn.Linear(2, 2))
