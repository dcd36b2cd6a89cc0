"""The examples of prefix sharing, on small random models: the same tokens as without it, in the order of the batch."""

import random
import sys
from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")

sys.path.insert(0, str(Path(__file__).parents[2]))
from regraft.frontend.hf import group_by_prefix  # noqa: E402

from examples import shared_beams, shared_prompt, shared_tree  # noqa: E402

NO_END = {"eos_token_id": None, "bos_token_id": None, "pad_token_id": 0}


class Characters:
    """A tokenizer of characters, as far as the examples use one."""

    class Encoded:
        def __init__(self, text):
            self.input_ids = [ord(char) for char in text]

    def __call__(self, text):
        return self.Encoded(text)

    def decode(self, ids):
        return "".join(map(chr, ids))


def llama():
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "max_position_embeddings": 1024}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    return sharpened(
        transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=128, **sizes, **heads, **NO_END))
    )


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


def sharpened(model):
    """With larger weights, so that no two tokens are nearly as likely."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(16)
    return model.eval()


def test_sixteen_beams_over_shared_states_are_those_of_plain_generate():
    model, features = whisper(), torch.randn(1, 8, 40, generator=torch.Generator().manual_seed(0))
    how = {"num_beams": 16, "max_new_tokens": 12}
    plain = model.generate(features, do_sample=False, **how)
    shared, held = shared_beams.beams(model, features, **how)
    assert torch.equal(shared, plain)
    assert held == 2 * 2 * (16 * 20) * 4  # layers, keys and values, states of one copy, bytes


@pytest.fixture(scope="module")
def asked():
    """Two verdicts wanted on each of three reviews, in any order, with the model that is asked."""
    prompt, written, _ = shared_tree.reviews(Characters(), 300, 3)
    about = [review for review in range(3) for _ in range(2)]
    random.Random(0).shuffle(about)
    return llama(), [[*prompt, *written[review]] for review in about]


def test_a_tree_of_reviews_is_found_and_answers_come_in_the_order_of_the_batch(asked):
    model, rows = asked
    expected = []
    for row in rows:
        whole = torch.tensor([row])
        expected.append(model.generate(whole, max_new_tokens=5, do_sample=False)[0, whole.shape[1] :].tolist())
    groups = group_by_prefix(rows, min_length=32)
    assert [len(level.ids) for level in groups.levels] == [1, 3]
    import regraft

    sharing = regraft.share_prefix(model, groups)
    assert shared_tree.answers(sharing, groups, 5, do_sample=False) == expected
    assert len({tuple(row) for row in expected}) > 1


def test_the_answers_to_one_row_are_sampled_apart(asked):
    model, rows = asked
    import regraft

    groups = group_by_prefix(rows, min_length=32)
    torch.manual_seed(0)
    found = shared_tree.answers(regraft.share_prefix(model, groups), groups, 5, do_sample=True, temperature=9.0)
    assert len({tuple(row) for row in found}) == len(rows)


def test_a_review_says_what_its_verdict_is():
    _, written, meant = shared_tree.reviews(Characters(), 10, 9)
    assert set(meant) == set(shared_tree.SAID)
    for review, verdict in zip(written, meant, strict=True):
        sentences = Characters().decode(review).split(": ", 1)[1].removesuffix("\nVerdict:")
        assert all(sentence.strip(". ") in " ".join(shared_tree.SAID[verdict]) for sentence in sentences.split(". "))


def test_bf16_is_no_farther_from_fp32_with_sharing():
    prompt, _ = shared_prompt.sums(Characters(), 300, 1)
    forced = torch.tensor([shared_prompt.sums(Characters(), 96, 1, seed=seed)[0] for seed in range(1, 9)])
    plain, shared = shared_prompt.divergences(llama(), prompt, forced)
    assert plain > 0
    assert shared <= 1.2 * plain


def test_the_divergence_sees_another_prompt(monkeypatch):
    prompt, _ = shared_prompt.sums(Characters(), 300, 1)
    forced = torch.tensor([shared_prompt.sums(Characters(), 96, 1, seed=seed)[0] for seed in (1, 2)])
    share = shared_prompt.regraft.share_prefix
    monkeypatch.setattr(shared_prompt.regraft, "share_prefix", lambda model, ids: share(model, ids[::-1]))
    plain, shared = shared_prompt.divergences(llama(), prompt, forced)
    assert shared > 1.2 * plain
