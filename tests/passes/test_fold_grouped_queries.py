"""Query heads that share a key head become rows; the rule's own examples hold the numbers."""

import torch
import torch.nn.functional as F
from regraft.frontend.testing import assert_no_worse, run_pass


def attend(**attributes):
    return lambda q, k, v: torch.ops.regraft.attention(q, k, v, **attributes)


def test_a_decoding_step_is_raised_and_folded_by_the_default_passes():
    def decode(q, keys, values, k, v, position):
        keys.index_copy_(2, position, k)
        values.index_copy_(2, position, v)
        repeated = [x[:, :, None].expand(2, 2, 3, 7, 8).reshape(2, 6, 7, 8) for x in (keys, values)]
        mask = (torch.arange(7) <= position)[None, None].expand(2, 1, 1, 7)
        return F.scaled_dot_product_attention(q, *repeated, attn_mask=mask)

    types = ["f32[2, 6, 1, 8]", *["f32[2, 2, 7, 8]"] * 2, *["f32[2, 2, 1, 8]"] * 2]
    rewritten = run_pass("raise-attention,fold-grouped-queries", decode, *types, torch.tensor([4]))
    assert rewritten.count("regraft.attention") == 1
    assert rewritten.count("scaled_dot_product") == 0
    (attention,) = (n for n in rewritten.program.graph.nodes if "regraft.attention" in str(n.target))
    assert attention.args[0].meta["val"].shape == (2, 2, 3, 8)


def test_the_limit_on_the_query_length_is_an_option():
    types = ("f32[1, 4, 3, 8]", "f32[1, 2, 7, 8]", "f32[1, 2, 7, 8]")
    assert not run_pass("fold-grouped-queries", attend(), *types).unchanged
    declined = run_pass("fold-grouped-queries{max-query-length=2}", attend(), *types)
    assert declined.unchanged
    assert declined.remark.code == "long-queries"


def test_a_single_query_that_sees_every_key_needs_no_mask():
    types = ("f32[1, 4, 1, 8]", "f32[1, 2, 7, 8]", "f32[1, 2, 7, 8]")
    rewritten = run_pass("fold-grouped-queries", attend(mask="causal", offset=6), *types)
    (attention,) = (n for n in rewritten.program.graph.nodes if "regraft.attention" in str(n.target))
    assert len(attention.args) == 3
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def test_key_lengths_stay_with_their_batch_row():
    def attend_to_lengths(q, k, v):
        return torch.ops.regraft.attention(q, k, v, key_lengths=torch.tensor([7, 3]), mask="causal", offset=5)

    types = ("f32[2, 4, 2, 8]", "f32[2, 2, 7, 8]", "f32[2, 2, 7, 8]")
    rewritten = run_pass("fold-grouped-queries", attend_to_lengths, *types)
    assert not rewritten.unchanged
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)
