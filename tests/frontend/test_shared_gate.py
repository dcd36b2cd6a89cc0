"""A prefix is shared where that is predicted to pay, level by level; elsewhere rows decode from copies of their own."""

import copy
import logging
import pickle
from itertools import product

import pytest
import torch
from regraft.compiler.errors import UsageError

transformers = pytest.importorskip("transformers")
shared_prefix = pytest.importorskip("regraft.frontend.shared_prefix")
from regraft.frontend.shared_gate import Decision, Gate  # noqa: E402

share_prefix = shared_prefix.share_prefix
GREEDY = {"do_sample": False, "max_new_tokens": 9, "pad_token_id": 0}
HEADS, KV_HEADS, WIDTH = 8, 4, 64


def model(context=4096, **options):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "max_position_embeddings": context}
    config = transformers.LlamaConfig(vocab_size=97, num_attention_heads=4, num_key_value_heads=2, **sizes, **options)
    made = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    made.generation_config.eos_token_id = None
    return made.eval()


def tokens(*shape, seed=1):
    return torch.randint(1, 97, shape, generator=torch.Generator().manual_seed(seed))


def decided(levels, rows, own=64, **options):
    states = torch.empty(rows, KV_HEADS, own, WIDTH)
    return Gate(HEADS, **options).decide(levels, states, states)


@pytest.mark.parametrize(
    ("levels", "rows", "code"),
    [
        ([(4096, 1)], 1, "short-prefix"),
        ([(4096, 1)], 2, "few-rows"),
        ([(1024, 1)], 2, "few-rows"),
        ([(1024, 1)], 3, "no-gain"),
        ([(255, 1)], 64, "short-prefix"),
        ([(16, 1)], 256, "short-prefix"),
        ([(4096, 64)], 64, "short-prefix"),
        ([(300, 1)], 3, "no-gain"),
    ],
)
def test_few_rows_and_short_prefixes_are_declined(levels, rows, code):
    decision = decided(levels, rows)
    assert decision.keep == (False,) * len(levels)
    assert (decision.remark.kind, decision.remark.code) == ("missed", code)
    assert "min_gain=0" in decision.remark.unblock


@pytest.mark.parametrize(
    ("levels", "rows", "keep"),
    [
        ([(4096, 1)], 64, (True,)),
        ([(4096, 1), (1024, 8)], 128, (True, True)),
        ([(4096, 1), (4, 8)], 128, (True, False)),
        ([(4, 1), (4096, 8)], 128, (False, True)),
        ([(4, 1), (4096, 2), (8, 32), (2048, 64)], 512, (False, True, False, True)),
    ],
)
def test_levels_of_few_tokens_join_the_level_below(levels, rows, keep):
    decision = decided(levels, rows)
    assert decision.keep == keep
    assert decision.remark.kind == "passed"


def test_every_level_is_shared_where_no_gain_is_asked_for():
    assert decided([(4, 1), (2, 2)], 4, min_gain=0).keep == (True, True)


def test_a_level_that_cannot_join_is_kept():
    states = torch.empty(128, KV_HEADS, 64, WIDTH)
    assert Gate(HEADS).decide([(4, 1), (4096, 8)], states, states, fixed=[0]).keep == (True, True)


@pytest.mark.parametrize("rows", [2, 24])
def test_the_judgement_is_said_by_the_cache_and_in_the_log(rows, caplog):
    made, prefix = model(), tokens(2048)
    cache = share_prefix(made, prefix).new_cache()
    assert cache.remark is None
    with caplog.at_level(logging.INFO, logger="regraft"), torch.no_grad():
        made(tokens(rows, 1), past_key_values=cache)
    assert cache.remark.kind == ("missed" if rows == 2 else "passed")
    assert str(cache.remark) in caplog.text
    held = cache.layers[0].keys.shape[2]
    assert held == (1 + 2048 if rows == 2 else 1)
    cache.reset()
    assert cache.remark is None
    assert cache.get_seq_length() == 2048


KEEPS = list(product([True, False], repeat=3))


@pytest.mark.parametrize("keep", KEEPS, ids=[" ".join("shared" if k else "copied" for k in keep) for keep in KEEPS])
@pytest.mark.parametrize("rows", [None, [1, 3, 2, 1]], ids=["equal groups", "unequal groups"])
def test_a_tree_gives_the_same_tokens_whichever_of_its_levels_are_copied(keep, rows, monkeypatch):
    made = model()
    tree = share_prefix(made, tokens(9)).extend(tokens(2, 5, seed=2)).extend(tokens(4, 6, seed=3))
    monkeypatch.setattr(Gate, "decide", lambda *_, **__: Decision(keep, None))
    leaves = [leaf for leaf, count in enumerate(rows or [2] * 4) for _ in range(count)]
    full = torch.cat([torch.tensor([tree.paths[leaf] for leaf in leaves]), tokens(len(leaves), 3, seed=4)], 1)
    made.set_attn_implementation("eager")
    expected = made.generate(full, **GREEDY)
    made.set_attn_implementation("regraft")
    assert torch.equal(tree.generate(input_ids=full, rows=rows, **GREEDY), expected)
    assert torch.equal(made.generate(full, past_key_values=tree.new_cache(rows), **GREEDY), expected)
    beams = {"do_sample": False, "num_beams": 3, "max_new_tokens": 6, "pad_token_id": 0}
    assert torch.equal(tree.generate(input_ids=full, rows=rows, **beams), made.generate(full, **beams))


@pytest.mark.parametrize("keep", [(True, True), (True, False), (False, False)])
def test_nodes_of_different_lengths_are_copied_with_their_padding_hidden(keep, monkeypatch):
    made = model()
    tree = share_prefix(made, tokens(9)).extend([[1, 2, 3, 4, 5], [6, 7], [8]])
    monkeypatch.setattr(Gate, "decide", lambda *_, **__: Decision(keep, None))
    suffixes, rows = [[11, 12], [13], [14], [15, 16, 17], [18], [19]], [1, 3, 2]
    found = tree.generate(suffixes, rows=rows, **GREEDY)
    leaves = [leaf for leaf, count in enumerate(rows) for _ in range(count)]
    for row, leaf, suffix in zip(found, leaves, suffixes, strict=True):
        expected = made.generate(torch.tensor([[*tree.paths[leaf], *suffix]]), **GREEDY)[0]
        assert torch.equal(row[-len(expected) :], expected)


def test_rows_that_are_padded_before_a_copied_prefix_are_refused_too():
    made, prefix = model(), tokens(6)
    cache = share_prefix(made, prefix).new_cache()
    full = torch.cat([torch.zeros(2, 2, dtype=torch.int64), prefix.expand(2, -1), tokens(2, 3)], 1)
    with pytest.raises(UsageError, match="mask of row 0 hides a position of the shared prefix"):
        made.generate(full, attention_mask=(full != 0).long(), past_key_values=cache, **GREEDY)


def test_plain_generate_names_the_first_row_that_differs_and_where():
    made = model()
    handle = share_prefix(made, torch.arange(1, 9))
    rows = torch.cat([torch.arange(1, 9).expand(3, -1), tokens(3, 2)], 1)
    rows[1, 5] = 90
    for options in ({"inputs": rows}, {"input_ids": rows}):
        with pytest.raises(
            UsageError, match="row 1 differs from the declared prefix at position 5: token 90, not token 6"
        ):
            made.generate(**options, past_key_values=handle.new_cache(), **GREEDY)
    with pytest.raises(UsageError, match="row 1 differs from the declared prefix at position 5"):
        made.generate(rows, prefill_chunk_size=2, past_key_values=handle.new_cache(), **GREEDY)


def test_plain_generate_refuses_what_follows_the_prefix_without_it():
    made = model()
    handle = share_prefix(made, torch.arange(1, 9))
    with pytest.raises(UsageError, match="row 0 differs from the declared prefix at position 0"):
        made.generate(torch.tensor([[50, 51]]), past_key_values=handle.new_cache(), **GREEDY)
    with pytest.raises(UsageError, match="row 0 differs from the declared prefix at position 3: the end of the row"):
        made.generate(torch.tensor([[1, 2, 3]]), past_key_values=handle.new_cache(), **GREEDY)


def test_plain_generate_takes_what_follows_with_a_mask_of_the_whole():
    made, prefix, suffix = model(), tokens(8), tokens(2, 3, seed=2)
    full = torch.cat([prefix.expand(2, -1), suffix], 1)
    expected = made.generate(full, **GREEDY)[:, 8:]
    cache = share_prefix(made, prefix).new_cache()
    found = made.generate(suffix, attention_mask=torch.ones_like(full), past_key_values=cache, **GREEDY)
    assert torch.equal(found, expected)


def test_plain_generate_refuses_embeddings_that_it_cannot_compare():
    made = model()
    handle = share_prefix(made, tokens(8))
    with pytest.raises(UsageError, match="without token ids cannot be compared"):
        made.generate(inputs_embeds=torch.zeros(1, 9, 32), past_key_values=handle.new_cache(), **GREEDY)


def test_rows_of_a_tree_are_compared_each_with_its_own_prefix():
    made = model()
    tree = share_prefix(made, tokens(6)).extend(tokens(2, 4, seed=2))
    full = torch.tensor([[*tree.paths[leaf], 5] for leaf in (0, 1)])
    made.generate(full, past_key_values=tree.new_cache(), **GREEDY)
    with pytest.raises(UsageError, match="row 0 differs from the declared prefix at position"):
        made.generate(full.flip(0), past_key_values=tree.new_cache(), **GREEDY)


def test_a_model_that_generates_with_checks_can_be_copied_and_saved():
    made, prefix = model(), tokens(6)
    handle = share_prefix(made, prefix)
    full = torch.cat([prefix, torch.tensor([7])])[None]
    expected = made.generate(full, past_key_values=handle.new_cache(), **GREEDY)
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        with torch.no_grad():
            other.lm_head.weight.neg_()
        assert not torch.equal(other.generate(full, **GREEDY), expected)
    assert torch.equal(made.generate(full, **GREEDY), expected)
