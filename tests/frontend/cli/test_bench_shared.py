"""``regraft bench --shared-prompt``: every way of decoding after one prompt gives the same logits, with its memory."""

import pytest

pytest.importorskip("transformers")

LLAMA = """
import torch
import transformers


def load():
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 24, "num_hidden_layers": 1, "max_position_embeddings": 2048}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=50, **sizes, **heads)).eval()


def encoder():
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    return transformers.BertModel(transformers.BertConfig(vocab_size=50, **sizes)).eval()
"""
ZOO = """
import torch
import transformers

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 97}


def mistral():
    torch.manual_seed(0)
    config = transformers.MistralConfig(num_key_value_heads=2, sliding_window=50, **SIZES)
    return transformers.MistralForCausalLM(config).eval()


def gpt2():
    torch.manual_seed(0)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=97)).eval()


def t5():
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2, "vocab_size": 97}
    return transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes)).eval()
"""
PER_TOKEN = 2 * 2 * 16 * 4  # keys and values, heads, width, bytes


@pytest.fixture
def llama(tmp_path):
    path = tmp_path / "tiny_llama.py"
    path.write_text(LLAMA)
    return f"{path}:load"


def test_every_way_gives_the_logits_of_a_whole_row(regraft, llama):
    sizes = ("--shared-prompt", 1024, "--batch", 32, "--suffix", 3)
    found = regraft("bench", llama, *sizes, "--seconds", 0, "--json").json
    timings = {timing["name"]: timing for timing in found["timings"]}
    assert list(timings) == [
        "transformers, static cache",
        "transformers, default cache",
        "share_prefix, eager",
        "compiled, without the pass",
        "compiled, with the pass",
    ]
    assert all(timing["match"] < 1e-5 and timing["tokens_per_s"] > 0 for timing in timings.values())
    assert timings["transformers, static cache"]["kv_bytes"] == 32 * (1024 + 3 + 1) * PER_TOKEN
    assert timings["share_prefix, eager"]["kv_bytes"] == (1024 + 32 * 3) * PER_TOKEN
    assert [remark["kind"] for remark in found["share_prefix"]] == ["passed"]
    assert found["baseline"] == "transformers, static cache"


def test_a_table_says_what_it_compares_with(regraft, llama):
    ran = regraft("bench", llama, "--shared-prompt", 5, "--batch", 3, "--suffix", 2, "--seconds", 0, "--eager")
    assert ran.code == 0
    assert "tokens/s" in ran.out
    assert "compiled" not in ran.out
    assert "prompt 5, batch 3, suffix 2" in ran.out
    assert "speed-up: over transformers, static cache" in ran.out


@pytest.mark.parametrize("name", ["gpt2", "mistral"])
def test_learned_positions_and_sliding_windows_agree_too(regraft, tmp_path, name):
    path = tmp_path / "zoo.py"
    path.write_text(ZOO)
    sizes = ("--shared-prompt", 40, "--batch", 3, "--suffix", 5)
    found = regraft("bench", f"{path}:{name}", *sizes, "--seconds", 0, "--eager", "--json").json
    assert len(found["timings"]) == 3
    assert all(timing["match"] < 1e-5 for timing in found["timings"])


def test_an_encoder_decoder_is_refused(regraft, tmp_path):
    path = tmp_path / "zoo.py"
    path.write_text(ZOO)
    ran = regraft("bench", f"{path}:t5", "--shared-prompt", 9)
    assert ran.code == 2
    assert "T5ForConditionalGeneration is no decoder" in ran.err


def test_what_does_not_fit_is_left_out_and_named(regraft, llama, monkeypatch):
    from regraft.frontend import bench_shared

    monkeypatch.setattr(bench_shared, "_free_bytes", lambda device: 2 * 3 * 300 * PER_TOKEN)
    sizes = ("--shared-prompt", 290, "--batch", 3, "--suffix", 9)
    found = regraft("bench", llama, *sizes, "--seconds", 0, "--eager", "--json").json
    assert list(found["left_out"]) == ["transformers, default cache"]
    assert [timing["name"] for timing in found["timings"]] == ["transformers, static cache", "share_prefix, eager"]
    monkeypatch.setattr(bench_shared, "_free_bytes", lambda device: 1)
    ran = regraft("bench", llama, *sizes, "--seconds", 0, "--eager")
    assert "transformers, static cache: left out, needs" in ran.out
    assert "speed-up: over share_prefix, eager" in ran.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--shared-prompt", 0), "must each be at least 1"),
        (("--shared-prompt", 2040), "leave no room in a context of 2048"),
        (("--shared-prompt", 9, "--skip", "raise-norm"), "with and without share-prefix"),
        (("--shared-prompt", 9, "--inputs", "f32[2]"), "--inputs does not apply to --shared-prompt"),
    ],
)
def test_a_wrong_request_is_refused(regraft, llama, words, message):
    ran = regraft("bench", llama, *words)
    assert ran.code == 2
    assert message in ran.err


def test_a_model_that_generates_nothing_is_refused(regraft, llama):
    ran = regraft("bench", llama.replace(":load", ":encoder"), "--shared-prompt", 9)
    assert ran.code == 2
    assert "BertModel" in ran.err
