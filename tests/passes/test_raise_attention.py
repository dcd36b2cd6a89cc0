"""Every attention of the models people use is raised, with the mask it has."""

import pytest
import torch
from regraft.compiler.execute import execute
from regraft.compiler.pipeline import Pipeline
from regraft.frontend.backend import regraft
from regraft.frontend.capture import capture
from regraft.frontend.testing import assert_no_worse, run_pass
from regraft.passes import registry
from torch import nn

PASSES = "canonicalise,fold-constants,raise-attention"
DECODER = {"vocab_size": 99, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
DECODER |= {"num_attention_heads": 4, "num_key_value_heads": 2}
ENCODER = {key: value for key, value in DECODER.items() if key != "num_key_value_heads"}


def token_ids(length=7):
    return torch.randint(3, 99, (2, length), generator=torch.Generator().manual_seed(0))


def padding():
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[1, 5:] = 0
    return mask


def build(name, implementation):
    transformers = pytest.importorskip("transformers")
    ids = {"input_ids": token_ids()}
    config, model, sizes, inputs = {
        "llama": ("LlamaConfig", "LlamaForCausalLM", DECODER, ids),
        "padded llama": ("LlamaConfig", "LlamaForCausalLM", DECODER, ids | {"attention_mask": padding()}),
        "mistral": ("MistralConfig", "MistralForCausalLM", DECODER | {"sliding_window": 3}, ids),
        "gemma2": (
            "Gemma2Config",
            "Gemma2ForCausalLM",
            DECODER | {"sliding_window": 3, "head_dim": 8, "query_pre_attn_scalar": 8},
            ids,
        ),
        "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", DECODER | {"head_dim": 8}, ids),
        "gpt2": ("GPT2Config", "GPT2LMHeadModel", {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4}, ids),
        "padded bert": ("BertConfig", "BertModel", ENCODER, ids | {"attention_mask": padding()}),
        "t5": (
            "T5Config",
            "T5ForConditionalGeneration",
            {"vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4},
            ids | {"decoder_input_ids": token_ids(5)},
        ),
    }[name]
    config = getattr(transformers, config)(**sizes, attn_implementation=implementation)
    torch.manual_seed(0)
    causal = model.endswith(("LM", "Generation", "LMHeadModel"))
    return getattr(transformers, model)(config).eval(), inputs | ({"use_cache": False} if causal else {})


def masks_of(program):
    nodes = [node for node in program.graph.nodes if "regraft.attention" in str(node.target)]
    return [(n.kwargs.get("mask", "none"), n.kwargs.get("window", 0), len(n.args) > 3) for n in nodes]


@pytest.mark.parametrize(
    ("name", "implementation", "masks"),
    [
        ("llama", "sdpa", [("causal", 0, False)] * 2),
        ("llama", "eager", [("causal", 0, False)] * 2),
        ("padded llama", "sdpa", [("causal", 0, True)] * 2),
        ("padded llama", "eager", [("none", 0, True)] * 2),
        ("mistral", "sdpa", [("sliding", 3, False)] * 2),
        ("gemma2", "eager", [("sliding", 3, False), ("causal", 0, False)]),
        ("qwen3", "eager", [("causal", 0, False)] * 2),
        ("gpt2", "eager", [("causal", 0, False)] * 2),
        ("padded bert", "sdpa", [("none", 0, True)] * 2),
        ("t5", "eager", [("none", 0, True), ("causal", 0, True), ("none", 0, False)]),
    ],
)
def test_every_attention_of_a_model_is_raised_with_its_mask(name, implementation, masks):
    model, inputs = build(name, implementation)
    program = capture(model, inputs)
    before = program.copy()
    result = Pipeline.parse(PASSES, registry).run(program)
    program.recompile()
    missed = [str(remark) for remark in result.remarks.of("raise-attention", "missed")]
    assert masks_of(program) == masks, missed
    values = [inputs[node.name] for node in program.user_inputs()]
    with torch.no_grad():
        old, new = (execute(each, values)[0] for each in (before, program))
    torch.testing.assert_close(new, old, rtol=1e-4, atol=2e-6)


def test_grouped_heads_are_not_repeated():
    model, inputs = build("llama", "sdpa")
    program = capture(model, inputs)
    Pipeline.parse(PASSES, registry).run(program)
    keys = [node.args[1].meta["val"].shape[1] for node in program.graph.nodes if "regraft.att" in str(node.target)]
    assert keys == [2, 2]


def test_multihead_attention_without_weights_is_raised():
    module = nn.MultiheadAttention(16, 4, batch_first=True).eval()

    def attend(x):
        return module(x, x, x, need_weights=False)[0]

    rewritten = run_pass("canonicalise,raise-attention", attend, "f32[2, 5, 16]")
    assert rewritten.count("regraft.attention") == 1
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_multihead_attention_that_returns_its_weights_is_not():
    module = nn.MultiheadAttention(16, 4, batch_first=True).eval()
    rewritten = run_pass("raise-attention", lambda x: module(x, x, x), "f32[2, 5, 16]")
    assert rewritten.unchanged
    assert rewritten.remark.code == "interior-used"


def test_a_repeat_used_elsewhere_stays():
    def attend(q, k, v):
        repeated = k.repeat_interleave(2, dim=1)
        out = torch.nn.functional.scaled_dot_product_attention(q, repeated, v.repeat_interleave(2, dim=1))
        return out, repeated

    rewritten = run_pass("raise-attention", attend, "f32[2, 4, 5, 8]", "f32[2, 2, 5, 8]", "f32[2, 2, 5, 8]")
    (attention,) = (n for n in rewritten.program.graph.nodes if "regraft.attention" in str(n.target))
    assert attention.args[1].meta["val"].shape[1] == 4


def test_dropout_of_sdpa_draws_the_same_numbers():
    def attend(q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.5)

    rewritten = run_pass("raise-attention", attend, *["f32[2, 4, 5, 8]"] * 3)
    assert not rewritten.unchanged
    results = []
    for program in (rewritten.before, rewritten.program):
        torch.manual_seed(3)
        results.append(execute(program, rewritten.inputs)[0])
    assert torch.equal(*results)


@pytest.mark.parametrize(
    ("name", "implementation", "masks"),
    [
        ("llama", "sdpa", [("causal", 0, False)] * 2),
        ("llama", "eager", [("causal", 0, False)] * 2),
        ("padded llama", "sdpa", [("causal", 0, True)] * 2),
        ("mistral", "sdpa", [("sliding", 3, False)] * 2),
    ],
)
def test_masks_of_a_model_are_read_while_the_length_is_not_fixed(name, implementation, masks):
    model, inputs = build(name, implementation)
    length = {1: torch.export.Dim.DYNAMIC}
    shapes = {key: length if isinstance(value, torch.Tensor) else None for key, value in inputs.items()}
    program = capture(model, inputs, dynamic_shapes=shapes)
    result = Pipeline.parse(PASSES, registry).run(program)
    program.recompile()
    assert masks_of(program) == masks, [str(remark) for remark in result.remarks]
    for size in (3, 7, 12):
        given = {"input_ids": token_ids(size)}
        if "attention_mask" in inputs:
            given["attention_mask"] = (torch.arange(size) < torch.tensor([[size], [2]])).long()
        with torch.no_grad():
            values = [given.get(node.name, False) for node in program.user_inputs()]
            new, old = execute(program, values)[0], model(**given, use_cache=False).logits
        torch.testing.assert_close(new, old, rtol=1e-4, atol=2e-6)


def test_dynamo_with_dynamic_lengths_reads_the_mask_too():
    model, _ = build("mistral", "sdpa")
    torch._dynamo.reset()
    found = []
    options = {"report": found, "strict": True, "passes": "canonicalise,fold-constants,raise-attention"}
    compiled = torch.compile(model, backend=regraft, dynamic=True, options=options)
    with torch.no_grad():
        for size in (5, 7, 12):
            new, old = (each(token_ids(size), use_cache=False).logits for each in (compiled, model))
            torch.testing.assert_close(new, old, rtol=1e-4, atol=2e-6)
    verdicts = [remark for report in found for remark in report.remarks if remark.pass_name == "raise-attention"]
    said = [remark.message for remark in verdicts if remark.kind == "passed"]
    assert said
    assert all("mask sliding, window 3" in message for message in said)


def test_a_dynamic_mask_that_cannot_be_read_stays_a_tensor_and_says_why():
    def attend(q, k, v, start):
        visible = torch.arange(k.shape[-2]) <= torch.arange(q.shape[-2])[:, None] + start
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, visible)

    types = ("f32[2, 4, t=5, 8]", "f32[2, 4, s=7, 8]", "f32[2, 4, s=7, 8]", "i64[1]")
    rewritten = run_pass("raise-attention", attend, *types)
    assert masks_of(rewritten.program) == [("none", 0, True)]
    (note,) = [remark for remark in rewritten.remarks if remark.kind == "analysis"]
    assert note.code == "mask-dynamic"
    assert note.unblock
