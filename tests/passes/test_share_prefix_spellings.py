"""A shared prompt is split however it is spelled, and what only looks like one is left whole: by the pipeline, run."""

import pytest
import torch
import torch.nn.functional as F
from regraft.compiler.ops.shared_prefix import shared_prefix_cat
from regraft.frontend.testing import assert_no_worse, run_pass

PASSES = "canonicalise,raise-attention,sink-expand,share-prefix{min-prefix=1,min-gain=0}"
ROWS, PREFIX, SUFFIX = 4, 9, 5
TYPES = (
    f"f32[{ROWS}, 4, 1, 8]",
    *[f"f32[1, 2, {PREFIX}, 8]"] * 2,
    *[f"f32[{ROWS}, 2, {SUFFIX}, 8]"] * 2,
    f"f32[{ROWS}, 1, 1, 1]",
)


def expanded(p):
    return p.expand(ROWS, -1, -1, -1)


def grouped(x):
    return x.repeat_interleave(2, 1)


def sdpa(q, k, v):
    return F.scaled_dot_product_attention(q, grouped(k), grouped(v))


def spelled(repeat=expanded, attention=sdpa):
    """Attention over a prompt that is repeated so, before the rows' own keys."""

    def function(q, kp, vp, ks, vs, factor):
        return attention(q, torch.cat([repeat(kp), ks], 2), torch.cat([repeat(vp), vs], 2)) * factor

    return function


def changed(change):
    """Attention over joined keys and values, changed so; ``change`` takes a value and a number for each row."""

    def function(q, kp, vp, ks, vs, factor):
        k, v = (change(torch.cat([expanded(p), s], 2), factor) for p, s in ((kp, ks), (vp, vs)))
        return sdpa(q, k, v)

    return function


def written_out(q, k, v):
    return (q @ grouped(k).mT / 8**0.5).softmax(-1) @ grouped(v)


def hugging_face(q, k, v):
    k, v = (x[:, :, None].expand(-1, -1, 2, -1, -1).reshape(ROWS, 4, -1, 8) for x in (k, v))
    return F.scaled_dot_product_attention(q, k, v)


def declared(q, kp, vp, ks, vs, factor):
    return sdpa(q, shared_prefix_cat(kp, ks, 2), shared_prefix_cat(vp, vs, 2))


FIRE = {
    "expand": spelled(),
    "expand of a new dimension": spelled(lambda p: p[0].expand(ROWS, -1, -1, -1)),
    "repeat": spelled(lambda p: p.repeat(ROWS, 1, 1, 1)),
    "tile": spelled(lambda p: p.tile(ROWS, 1, 1, 1)),
    "repeat_interleave": spelled(lambda p: p.repeat_interleave(ROWS, 0)),
    "stack": spelled(lambda p: torch.stack([p[0]] * ROWS)),
    "cat along the batch": spelled(lambda p: torch.cat([p] * ROWS)),
    "an index of zeros": spelled(lambda p: p.index_select(0, torch.zeros(ROWS, dtype=torch.int64))),
    "a merged view": spelled(lambda p: p[:, None].expand(1, ROWS, 2, PREFIX, 8).reshape(ROWS, 2, PREFIX, 8)),
    "declared": declared,
    "behind an empty cache": spelled(lambda p: torch.cat([torch.tensor([]), expanded(p)], -2)),
    "groups by enable_gqa": spelled(attention=lambda *x: F.scaled_dot_product_attention(*x, enable_gqa=True)),
    "groups as Hugging Face repeats them": spelled(attention=hugging_face),
    "written out": spelled(attention=written_out),
}


@pytest.mark.parametrize("name", FIRE)
def test_a_shared_prompt_is_split_in_this_spelling(name):
    rewritten = run_pass(PASSES, FIRE[name], *TYPES)
    verdicts = [r for r in rewritten.remarks if r.pass_name == "share-prefix"]
    assert [r.kind for r in verdicts] == ["passed"], [str(r) for r in verdicts]
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def in_place(x, _):
    x = x.clone()
    x[1] += 1
    return x


def through_a_view(x, _):
    x = x.clone()
    x[2].zero_()
    return x


ROLLED = torch.tensor([[(at + row) % (PREFIX + SUFFIX) for at in range(PREFIX + SUFFIX)] for row in range(ROWS)])
NEAR_MISSES = {
    "one row written": changed(in_place),
    "one row written through a view": changed(through_a_view),
    "one row filled": changed(lambda x, _: x.index_fill(0, torch.tensor([1]), 0.0)),
    "one row put": changed(lambda x, _: x.index_put((torch.tensor([1]),), torch.zeros(()))),
    "dropout": changed(lambda x, _: F.dropout(x, 0.5, training=True)),
    "noise": changed(lambda x, _: x + torch.rand_like(x)),
    "a factor for each row": changed(lambda x, f: x * f),
    "a summand for each row": changed(lambda x, f: x + f),
    "positions of each row": changed(lambda x, f: x * (f * torch.arange(14.0)[:, None]).cos()),
    "a gate of each row": changed(lambda x, f: torch.where(f > 0, x, 0.0)),
    "padding on the left": changed(lambda x, _: x.gather(2, ROLLED[:, None, :, None].expand_as(x))),
    "rolled along the batch": changed(lambda x, f: (x + f).roll(1, 0)),
    "batch statistics": changed(lambda x, f: F.batch_norm(x + f, None, None, training=True)),
    "sorted along the batch": changed(lambda x, f: (x + f).sort(0).values),
    "summed along the batch": changed(lambda x, f: (x + f).cumsum(0)),
    "mixed along time with what is behind": changed(lambda x, _: x.flip(2).cumsum(2)),
    "normalised along time": changed(lambda x, _: x.softmax(2)),
    "rows in another order": spelled(lambda p: torch.cat([p, p + 1, p, p])),
    "different prompts stacked": spelled(lambda p: torch.stack([p[0], p[0] + 1, p[0], p[0]])),
    "prompts in turn": spelled(lambda p: torch.cat([p, p * 2]).repeat(2, 1, 1, 1)),
    "an index of other rows": spelled(lambda p: torch.cat([p, p * 2]).index_select(0, torch.tensor([0, 1, 0, 1]))),
    "a prompt of each row": lambda q, kp, vp, ks, vs, f: sdpa(q, ks * f, vs),
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_a_near_miss_is_left_whole(name):
    rewritten = run_pass(PASSES, NEAR_MISSES[name], *TYPES)
    verdicts = [r for r in rewritten.remarks if r.pass_name == "share-prefix"]
    assert [(r.kind, r.code) for r in verdicts] == [("missed", "not-shared")], [str(r) for r in verdicts]
    assert not rewritten.count("attention_lse")
