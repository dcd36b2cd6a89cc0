"""A decode step with a static cache, as transformers users compile it: raised, folded, right, and compiled once."""

import copy

import pytest
import torch
from regraft.benchmarks import decode
from regraft.frontend.backend import regraft

STEPS, BATCH, CONTEXT, LAYERS = 8, 3, 16, 2


@pytest.fixture(scope="module")
def run():
    """Reports, and the logits of each step compiled and eager."""
    transformers = pytest.importorskip("transformers")
    torch._dynamo.reset()
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = transformers.LlamaConfig(**(decode.SHAPE | small | {"vocab_size": 99}), num_hidden_layers=LAYERS)
    model = transformers.LlamaForCausalLM(config).eval()
    reports = []
    options = {"report": reports, "strict": True}
    compiled = torch.compile(copy.copy(model), backend=regraft, dynamic=False, options=options)
    logits = {"compiled": [], "eager": []}
    for name, module in (("compiled", compiled), ("eager", model)):
        cache = decode.filled_cache(model, BATCH, CONTEXT, "cpu")
        decode._rewind(cache, CONTEXT - STEPS)
        for step in range(STEPS):
            at = CONTEXT - STEPS + step
            token = torch.arange(BATCH)[:, None] + step
            mask = (torch.arange(CONTEXT) <= at).long().expand(BATCH, -1).contiguous()
            options = {"past_key_values": cache, "position_ids": torch.full((BATCH, 1), at), "attention_mask": mask}
            with torch.no_grad():
                logits[name].append(module(input_ids=token, use_cache=True, **options).logits)
    return reports, logits


def test_every_layer_is_raised_with_its_own_key_heads_and_folded(run):
    reports, _ = run
    for report in reports:
        passed = [remark for remark in report.remarks if remark.kind == "passed"]
        raised = [remark for remark in passed if remark.pass_name == "raise-attention"]
        assert len(raised) == LAYERS
        assert all("2 query heads per key head" in remark.message for remark in raised)
        assert sum(remark.pass_name == "fold-grouped-queries" for remark in passed) == LAYERS


def test_the_logits_are_those_of_eager(run):
    _, logits = run
    for compiled, eager in zip(logits["compiled"][:4], logits["eager"][:4], strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=2e-6)


def test_eight_steps_recompile_at_most_once(run):
    reports, _ = run
    assert 1 <= len(reports) <= 2
