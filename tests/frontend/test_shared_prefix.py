"""A shared prefix is held once, and generating over it gives what generating without it gives."""

from functools import partial

import pytest
import torch
from regraft.compiler.errors import UsageError

transformers = pytest.importorskip("transformers")
# Whether it pays at these sizes is not asked.
share_prefix = partial(pytest.importorskip("regraft.frontend.shared_prefix").share_prefix, min_gain=0)
hf = pytest.importorskip("regraft.frontend.hf")

NO_END = {"eos_token_id": None, "bos_token_id": None, "pad_token_id": 0}
LONG = {"do_sample": False, "max_new_tokens": 64}
GREEDY = {"do_sample": False, "max_new_tokens": 20}


def llama(**options):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "max_position_embeddings": 256}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    config = transformers.LlamaConfig(vocab_size=97, **sizes, **heads, **NO_END, **options)
    return sharpened(transformers.LlamaForCausalLM(config))


def gpt2():
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=97, n_positions=256, n_embd=32, n_layer=2, n_head=4, **NO_END)
    return sharpened(transformers.GPT2LMHeadModel(config))


def mistral(window):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.MistralConfig(vocab_size=97, num_key_value_heads=2, sliding_window=window, **sizes, **NO_END)
    return sharpened(transformers.MistralForCausalLM(config))


def gemma2():
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    options = {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 120, "attn_logit_softcapping": 3.0}
    config = transformers.Gemma2Config(vocab_size=97, **sizes, **options, **NO_END)
    return sharpened(transformers.Gemma2ForCausalLM(config))


def sharpened(model):
    """With larger weights, so that attention chooses among keys and no two tokens are nearly as likely."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return model.eval()


def tokens(*shape, seed=1):
    return torch.randint(1, 97, shape, generator=torch.Generator().manual_seed(seed))


def joined(prefix, suffix):
    return torch.cat([prefix.expand(len(suffix), -1), suffix], 1)


models = pytest.mark.parametrize("make", [llama, gpt2], ids=["llama", "gpt2"])


@pytest.mark.parametrize("make", [llama, gpt2, gemma2], ids=["grouped", "learned positions", "windows and soft cap"])
@pytest.mark.parametrize("rows", [1, 5])
def test_greedy_decoding_gives_the_same_tokens(make, rows):
    model, prefix, suffix = make(), tokens(23), tokens(rows, 4, seed=2)
    full = joined(prefix, suffix)
    model.set_attn_implementation("eager")
    expected = model.generate(full, **LONG)
    handle = share_prefix(model, prefix)
    assert torch.equal(handle.generate(suffix, **LONG), expected)
    assert torch.equal(handle.generate(input_ids=full, **LONG), expected)
    assert torch.equal(model.generate(full, past_key_values=handle.new_cache(), **LONG), expected)


@models
def test_rows_of_different_lengths_decode_as_with_padding_on_the_left(make):
    model, prefix = make(), tokens(17)
    full = torch.cat([prefix.expand(3, -1), tokens(3, 6, seed=2)], 1)
    mask = torch.ones_like(full)
    for row, pads in enumerate((0, 2, 5)):
        full[row] = torch.cat([full[row].new_zeros(pads), full[row, : full.shape[1] - pads]])
        mask[row, :pads] = 0
    expected = model.generate(full, attention_mask=mask, **GREEDY)
    handle = share_prefix(model, prefix)
    assert torch.equal(handle.generate(input_ids=full, attention_mask=mask, **GREEDY), expected)
    lists = [row[keep.bool()][17:].tolist() for row, keep in zip(full, mask, strict=True)]
    assert torch.equal(handle.generate(lists, **GREEDY), expected)


@models
def test_sampling_with_a_seed_gives_the_same_sequences(make):
    model, prefix = make(), tokens(1, 19)
    options = {"do_sample": True, "num_return_sequences": 7, "max_new_tokens": 12}
    torch.manual_seed(3)
    expected = model.generate(prefix, **options)
    handle = share_prefix(model, prefix)
    torch.manual_seed(3)
    found = handle.generate(**options)
    assert torch.equal(found, expected)
    assert len({tuple(row.tolist()) for row in found}) > 1


@pytest.mark.parametrize("length", [1, 2])
def test_the_shortest_prefix_is_decoded_from_without_a_suffix(length):
    model, prefix = llama(), tokens(1, length)
    expected = model.generate(prefix, **GREEDY)
    assert torch.equal(share_prefix(model, prefix).generate(**GREEDY), expected)


def test_branches_of_different_lengths_are_decoded_from_without_suffixes():
    model = gpt2()
    tree = share_prefix(model, tokens(7)).extend([[1], [2, 3, 4]])
    for row, path in zip(tree.generate(**GREEDY), tree.paths, strict=True):
        expected = model.generate(torch.tensor([path]), **GREEDY)[0]
        assert torch.equal(row[-len(expected) :], expected)


@models
@pytest.mark.parametrize("returned", [1, 3])
def test_beams_reorder_what_follows_the_prefix(make, returned):
    model, prefix, suffix = make(), tokens(21), tokens(2, 3, seed=2)
    options = {"do_sample": False, "num_beams": 4, "num_return_sequences": returned, "max_new_tokens": 16}
    expected = model.generate(joined(prefix, suffix), **options)
    assert torch.equal(share_prefix(model, prefix).generate(suffix, **options), expected)


@models
def test_a_tree_of_two_levels_gives_the_same_tokens(make):
    model, prefix, branches, suffix = make(), tokens(15), tokens(2, 9, seed=2), tokens(6, 3, seed=3)
    full = torch.cat([prefix.expand(6, -1), branches.repeat_interleave(3, 0), suffix], 1)
    expected = model.generate(full, **GREEDY)
    tree = share_prefix(share_prefix(model, prefix), branches)
    assert torch.equal(tree.generate(suffix, **GREEDY), expected)
    assert torch.equal(model.generate(full, past_key_values=tree.new_cache(), **GREEDY), expected)
    beams = {"do_sample": False, "num_beams": 3, "max_new_tokens": 8}
    assert torch.equal(tree.generate(suffix, **beams), model.generate(full, **beams))


@models
def test_groups_and_branches_of_different_sizes_give_the_same_tokens(make):
    model, prefix = make(), tokens(15)
    tree = share_prefix(model, prefix).extend([[1, 2, 3, 4, 5], [6, 7], [8]])
    suffixes = [[11, 12], [13], [14], [15, 16, 17], [18], [19]]
    rows = [1, 3, 2]
    found = tree.generate(suffixes, rows=rows, **GREEDY)
    leaves = [leaf for leaf, count in enumerate(rows) for _ in range(count)]
    for row, leaf, suffix in zip(found, leaves, suffixes, strict=True):
        whole = torch.tensor([[*tree.paths[leaf], *suffix]])
        assert row[-len(whole[0]) - 20 :].tolist() == model.generate(whole, **GREEDY)[0].tolist()


@models
def test_a_tree_that_was_found_gives_the_same_tokens(make):
    model = make()
    a, b, c = tokens(11).tolist(), tokens(7, seed=2).tolist(), tokens(5, seed=3).tolist()
    batch = [[*a, *b, 1], c, [*a, 2, 3], [*a, *b, 4], [*a, *b], c[:2]]
    groups = hf.group_by_prefix(batch, min_length=4)
    assert len(groups.levels) == 2
    found = groups.undo(share_prefix(model, groups).generate(groups.suffixes, rows=groups.rows, **GREEDY))
    for row, ids in zip(found, batch, strict=True):
        expected = model.generate(torch.tensor([ids]), **GREEDY)[0]
        assert torch.equal(row[-len(expected) :], expected)


def test_a_batch_without_common_prefixes_is_generated_too():
    model, batch = llama(), [[1, 2], [3], [4, 5, 6]]
    groups = hf.group_by_prefix(batch)
    found = share_prefix(model, groups).generate(groups.suffixes, rows=groups.rows, **GREEDY)
    for row, ids in zip(found, batch, strict=True):
        assert row[-len(ids) - 20 :].tolist() == model.generate(torch.tensor([ids]), **GREEDY)[0].tolist()


def logits(model, ids, handle=None, steps=24):
    """Teacher-forced logits of the last ``steps`` positions, one position at a time after the first."""
    cache = handle.new_cache() if handle else transformers.DynamicCache()
    start = cache.get_seq_length()
    first = ids.shape[1] - steps
    found = []
    with torch.no_grad():
        for begin, end in [(start, first + 1), *((i, i + 1) for i in range(first + 1, ids.shape[1]))]:
            out = model(ids[:, begin:end], past_key_values=cache, use_cache=True).logits
            found.append(out[:, -1].double().log_softmax(-1))
    return torch.stack(found, 1)


@models
def test_bf16_is_no_farther_from_fp32_than_the_model_is_by_itself(make):
    model, prefix = make(), tokens(64)
    ids = joined(prefix, tokens(8, 32, seed=2))
    exact = logits(model, ids)
    model.bfloat16()
    plain = logits(model, ids)
    shared = logits(model, ids, share_prefix(model, prefix))

    def divergence(found):
        return (exact.exp() * (exact - found)).sum(-1).mean()

    assert divergence(shared) <= 1.2 * divergence(plain)


def test_the_prefix_is_held_once_and_never_copied():
    model, prefix, suffix = llama(), tokens(100), tokens(16, 2, seed=2)
    handle = share_prefix(model, prefix)
    per_token = 2 * 2 * 2 * 8 * 4  # layers, keys and values, heads, width, bytes
    assert handle.nbytes == 100 * per_token
    cache = handle.new_cache()
    sizes = []

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            sizes.extend(
                each.numel() for each in torch.utils._pytree.tree_leaves(out) if isinstance(each, torch.Tensor)
            )
            return out

    with torch.no_grad(), Sizes():
        model(suffix[:, :1], past_key_values=cache, use_cache=True)
    assert max(sizes) < 16 * 2 * 100 * 8  # one copy of the keys for every row
    assert sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers) == 16 * per_token


def test_the_suffix_is_cropped_reset_and_repeated_and_the_prefix_stays():
    model, prefix, suffix = llama(), tokens(9), tokens(2, 5, seed=2)
    cache = share_prefix(model, prefix).new_cache()
    with torch.no_grad():
        whole = model(suffix, past_key_values=cache).logits[:, -1]
        cache.crop(-2)
        assert cache.get_seq_length() == 12
        again = model(suffix[:, 3:], past_key_values=cache).logits[:, -1]
        torch.testing.assert_close(again, whole)
        cache.crop(-1)
        cache.batch_repeat_interleave(3)
        last = model(suffix[:, 4:].repeat_interleave(3, 0), past_key_values=cache).logits[:, -1]
        torch.testing.assert_close(last, whole.repeat_interleave(3, 0))
        with pytest.raises(UsageError, match=r"crop\(-6\) with 5 positions after"):
            cache.crop(-6)
        cache.reset()
        assert cache.get_seq_length() == 9
        torch.testing.assert_close(model(suffix, past_key_values=cache).logits[:, -1], whole)


def test_a_traced_graph_says_where_the_prefix_is():
    model, prefix, suffix = llama(), tokens(9), tokens(3, 1, seed=2)
    handle = share_prefix(model, prefix)

    class Step(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids):
            return self.model(ids, past_key_values=handle.new_cache(), use_cache=True).logits

    with torch.no_grad():
        program = torch.export.export(Step(), (suffix,), strict=False)
    targets = [node.target for node in program.graph.nodes]
    assert targets.count(torch.ops.regraft.shared_prefix_cat.default) == 2 * 2
    expected = model(suffix, past_key_values=handle.new_cache(), use_cache=True).logits
    torch.testing.assert_close(program.module()(suffix), expected)


def whisper():
    torch.manual_seed(0)
    sizes = {"encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    widths = {"d_model": 16, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "num_mel_bins": 8}
    lengths = {"max_source_positions": 20, "max_target_positions": 40, "decoder_start_token_id": 1}
    ends = {"eos_token_id": 96, "pad_token_id": 0, "bos_token_id": 1, "suppress_tokens": None}
    config = transformers.WhisperConfig(vocab_size=97, **sizes, **widths, **lengths, **ends)
    model = sharpened(transformers.WhisperForConditionalGeneration(config))
    model.generation_config.update(decoder_start_token_id=1, no_timestamps_token_id=95, is_multilingual=False)
    return model


def test_beams_of_an_encoder_decoder_share_the_encoder_states():
    model, features = whisper(), torch.randn(2, 8, 40, generator=torch.Generator().manual_seed(0))
    options = {"num_beams": 16, "max_new_tokens": 20, "do_sample": False}
    expected = model.generate(features, **options)
    handle = share_prefix(model, features)
    assert handle.nbytes == 2 * 2 * (2 * 16 * 20) * 4  # layers, keys and values, states, bytes
    assert torch.equal(handle.generate(**options), expected)
    assert torch.equal(model.generate(features, past_key_values=handle.new_cache(), **options), expected)


def test_a_row_that_begins_otherwise_is_named_with_the_position():
    handle = share_prefix(llama(), torch.arange(1, 9))
    rows = joined(torch.arange(1, 9), tokens(3, 2))
    rows[1, 5] = 90
    with pytest.raises(UsageError, match="row 1 differs from the declared prefix at position 5: token 90, not token 6"):
        handle.generate(input_ids=rows)


def test_padding_before_the_prefix_is_refused_in_plain_generate():
    model, prefix = llama(), tokens(6)
    handle = share_prefix(model, prefix)
    full = joined(prefix, tokens(2, 3, seed=2))
    full[1] = torch.cat([full.new_zeros(2), full[1, :-2]])
    mask = (full != 0).long()
    with pytest.raises(UsageError, match="mask of row 1 hides a position of the shared prefix"):
        model.generate(full, attention_mask=mask, past_key_values=handle.new_cache(), max_new_tokens=2)


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        (torch.tensor([], dtype=torch.int64), "the prefix is empty"),
        (torch.ones(300, dtype=torch.int64), "300 tokens leave no room in a context of 256"),
        (torch.ones(3), "token ids must be int64 or int32"),
        ([5, 97], "token 97 is not in the vocabulary of 97"),
        (torch.ones(3, dtype=torch.int64, device="meta"), "the prefix is on meta, the model on cpu"),
    ],
)
def test_a_prefix_that_cannot_be_is_refused(prefix, message):
    with pytest.raises(UsageError, match=message):
        share_prefix(llama(), prefix)


def test_a_model_in_training_mode_is_refused():
    with pytest.raises(UsageError, match="training mode"):
        share_prefix(llama().train(), tokens(4))


def test_a_model_without_causal_attention_is_refused():
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = transformers.BertLMHeadModel(transformers.BertConfig(vocab_size=50, **sizes)).eval()
    with pytest.raises(UsageError, match="not causal"):
        share_prefix(model, tokens(4) % 50)


def test_a_sliding_window_covers_the_prefix_or_the_prefix_is_refused():
    prefix, suffix = tokens(10), tokens(3, 2, seed=2)
    with pytest.raises(UsageError, match="a sliding window of 10 does not cover a prefix of 10 tokens"):
        share_prefix(mistral(10), prefix)
    model = mistral(20)
    options = {"do_sample": False, "max_new_tokens": 8}
    expected = model.generate(joined(prefix, suffix), **options)
    handle = share_prefix(model, prefix)
    assert torch.equal(handle.generate(suffix, **options), expected)
    with pytest.raises(UsageError, match="at 21 positions the sliding window of 20 leaves the shared prefix"):
        handle.generate(suffix, do_sample=False, max_new_tokens=20)


def test_a_model_that_was_cast_after_sharing_is_refused():
    model = llama()
    handle = share_prefix(model, tokens(4))
    with pytest.raises(UsageError, match=r"the shared prefix is torch\.float32 on cpu, the model now gives"):
        model.bfloat16()(tokens(2, 1), past_key_values=handle.new_cache())


def test_another_attention_does_not_copy_the_prefix_silently():
    model = llama()
    handle = share_prefix(model, tokens(4))
    model.set_attn_implementation("sdpa")
    with pytest.raises(UsageError, match="would copy a shared prefix for every row"):
        model(tokens(2, 1), past_key_values=handle.new_cache())


def test_rows_that_do_not_divide_over_the_branches_are_refused():
    tree = share_prefix(llama(), tokens(4)).extend(tokens(2, 3))
    with pytest.raises(UsageError, match="3 rows do not divide over shared prefixes of 1, 1 rows"):
        tree.generate(tokens(3, 2))
    with pytest.raises(UsageError, match="rows must be 2 positive numbers"):
        tree.new_cache(rows=[1])
