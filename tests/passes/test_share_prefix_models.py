"""The pass splits every layer of real models whose prompt, or whose encoder states, are expanded in the graph."""

import pytest
import regraft
import torch
from torch import nn

transformers = pytest.importorskip("transformers")

ALWAYS = "default,share-prefix{min-prefix=1,min-gain=0}"
ROWS, PREFIX, LAYERS = 3, 9, 2
ENDS = {"eos_token_id": None, "bos_token_id": 1, "pad_token_id": 0}
SIZES = {"vocab_size": 61, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": LAYERS} | ENDS
GROUPED = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}


def decoder(name, **options):
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**SIZES, **options, attn_implementation="eager")
    head = "GPT2LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM"
    return getattr(transformers, head)(config).eval()


DECODERS = {
    "Llama": lambda: decoder("Llama", **GROUPED),
    "Llama, one key head": lambda: decoder("Llama", **(GROUPED | {"num_key_value_heads": 1})),
    "GPT-2": lambda: decoder("GPT2", n_embd=32, n_layer=LAYERS, n_head=4),
    "Qwen 3": lambda: decoder("Qwen3", **GROUPED),
    "Gemma 2, windows that cover": lambda: decoder("Gemma2", **GROUPED, sliding_window=64, attn_logit_softcapping=3.0),
    "GPT-NeoX": lambda: decoder("GPTNeoX", num_attention_heads=4),
    "MPT, ALiBi": lambda: decoder("Mpt", d_model=32, n_heads=4, n_layers=LAYERS, max_seq_len=64),
}


class Continue(nn.Module):
    """A model on tokens that follow a prefix, whose keys and values are expanded to the rows in the graph."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, *states):
        cache = transformers.DynamicCache()
        for layer in range(LAYERS):
            k, v = (x.expand(ids.shape[0], -1, -1, -1) for x in states[2 * layer : 2 * layer + 2])
            cache.update(k, v, layer)
        positions = torch.arange(PREFIX, PREFIX + ids.shape[1])[None]
        given = {} if self.model.config.model_type == "mpt" else {"position_ids": positions}
        return self.model(ids, past_key_values=cache, use_cache=True, **given).logits


def prefix_states(model):
    ids = torch.randint(2, 61, (1, PREFIX), generator=torch.Generator().manual_seed(1))
    cache = transformers.DynamicCache()
    with torch.no_grad():
        model(ids, past_key_values=cache, use_cache=True)
    return [each for layer in cache.layers for each in (layer.keys, layer.values)]


def split(optimized):
    return [r for r in optimized.report.remarks if r.pass_name == "share-prefix" and r.kind == "passed"]


def error(found, wanted):
    return float((found.detach().double() - wanted.detach()).norm() / wanted.detach().norm())


def assert_as_exact_as_whole(model, shared, inputs):
    whole = model(*inputs)
    exact = model.double()(*(x.double() if x.is_floating_point() else x for x in inputs))
    assert error(shared, exact) <= max(2 * error(whole, exact), 2e-6)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("queries", [1, 3])
def test_every_layer_of_a_decoder_is_split_and_exact(name, queries):
    model = Continue(DECODERS[name]())
    ids = torch.randint(2, 61, (ROWS, queries), generator=torch.Generator().manual_seed(2))
    inputs = (ids, *prefix_states(model.model))
    shared = regraft.optimize(model, inputs, passes=ALWAYS)
    assert len(split(shared)) == LAYERS, [str(r) for r in shared.report.remarks if r.pass_name == "share-prefix"]
    assert_as_exact_as_whole(model, shared(*inputs), inputs)


def test_a_window_that_does_not_cover_the_prefix_leaves_its_layers_whole():
    model = Continue(decoder("Gemma2", **GROUPED, sliding_window=5))
    ids = torch.randint(2, 61, (ROWS, 3), generator=torch.Generator().manual_seed(2))
    inputs = (ids, *prefix_states(model.model))
    # The cache is told of no window, so that the mask alone hides what has left it.
    shared = regraft.optimize(model, inputs, passes=ALWAYS)
    assert len(split(shared)) <= LAYERS // 2
    assert_as_exact_as_whole(model, shared(*inputs), inputs)


class Beams(nn.Module):
    """One decoding step of as many beams over one encoder run."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, states, mask=None):
        rows = ids.shape[0]
        outputs = transformers.modeling_outputs.BaseModelOutput(last_hidden_state=states.repeat_interleave(rows, 0))
        given = {} if mask is None else {"attention_mask": mask.repeat_interleave(rows, 0)}
        return self.model(encoder_outputs=outputs, decoder_input_ids=ids, use_cache=False, **given).logits


def t5():
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": LAYERS, "num_heads": 4, "vocab_size": 61}
    config = transformers.T5Config(**sizes, decoder_start_token_id=0, attn_implementation="eager")
    return transformers.T5ForConditionalGeneration(config)


def bart():
    sizes = {"d_model": 32, "encoder_layers": 1, "decoder_layers": LAYERS, "encoder_ffn_dim": 48}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "decoder_ffn_dim": 48}
    config = transformers.BartConfig(vocab_size=61, **sizes, **heads, attn_implementation="eager")
    return transformers.BartForConditionalGeneration(config)


def whisper():
    sizes = {"d_model": 32, "encoder_layers": 1, "decoder_layers": LAYERS, "encoder_ffn_dim": 48, "num_mel_bins": 8}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "decoder_ffn_dim": 48}
    ends = {"decoder_start_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "bos_token_id": 1}
    config = transformers.WhisperConfig(vocab_size=61, **sizes, **heads, **ends, attn_implementation="eager")
    return transformers.WhisperForConditionalGeneration(config)


@pytest.mark.parametrize("make", [t5, bart, whisper])
@pytest.mark.parametrize("queries", [1, 3])
def test_cross_attention_of_beams_is_shared_and_projected_once(make, queries):
    torch.manual_seed(0)
    model = Beams(make().eval())
    inputs = (torch.randint(2, 61, (ROWS, queries)), torch.randn(1, 13, 32))
    shared = regraft.optimize(model, inputs, passes=ALWAYS)
    assert len(split(shared)) == LAYERS, [str(r) for r in shared.report.remarks if r.pass_name == "share-prefix"]
    assert [r for r in shared.report.remarks if r.pass_name == "sink-expand" and r.kind == "passed"]
    assert_as_exact_as_whole(model, shared(*inputs), inputs)


@pytest.mark.parametrize("make", [t5, bart])
def test_a_padded_encoder_is_shared_with_its_mask(make):
    torch.manual_seed(0)
    model = Beams(make().eval())
    mask = torch.ones(1, 13, dtype=torch.int64)
    mask[0, 8:] = 0
    inputs = (torch.randint(2, 61, (ROWS, 2)), torch.randn(1, 13, 32), mask)
    # The gradient of a bias of keys is zero but for rounding, which two ways of rounding do not share.
    shared = regraft.optimize(model, inputs, passes=ALWAYS, check="off")
    assert len(split(shared)) == LAYERS, [str(r) for r in shared.report.remarks if r.pass_name == "share-prefix"]
    assert_as_exact_as_whole(model, shared(*inputs), inputs)
