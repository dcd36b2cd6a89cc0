"""What may be split over a shared prefix is split and exact; what may not is refused with its reason.

One case for each kind of attention (Hydragen, arXiv 2402.05099, says what holds for softmax over all keys; masks, caps
and sinks follow from the algebra of merging). Results and gradients are held to fp64 by ``assert_no_worse``.
"""

import pytest
import torch
from regraft.compiler.ops import OPS
from regraft.frontend.testing import assert_no_worse, run_pass

attend, attend_lse, merge = (OPS[name].overload for name in ("attention", "attention_lse", "merge_lse"))
ALWAYS = "sink-expand,share-prefix{min-prefix=1,min-gain=0}"
ROWS, HEADS, PREFIX, SUFFIX, WIDTH = 4, 4, 11, 5, 8
KEYS = PREFIX + SUFFIX


def types(queries=1, kv_heads=2, suffix=SUFFIX, width=WIDTH, values=None, q_heads=HEADS):
    """q, then keys and values of the prefix, then those of the rows."""
    values = values or width
    return [
        f"f32[{ROWS}, {q_heads}, {queries}, {width}]",
        *(f"f32[1, {kv_heads}, {PREFIX}, {size}]" for size in (width, values)),
        *(f"f32[{ROWS}, {kv_heads}, {suffix}, {size}]" for size in (width, values)),
    ]


def whole(kp, vp, ks, vs):
    """The keys and the values as a cache joins them."""
    return [torch.cat([p.expand(s.shape[0], -1, -1, -1), s], 2) for p, s in ((kp, ks), (vp, vs))]


def attending(bias=False, lengths=False, **words):
    """Attention over joined keys, with its further tensors after them."""

    def function(q, kp, vp, ks, vs, *more):
        rest = list(more)
        extra = [rest.pop(0) if given else None for given in (bias, lengths)]
        return attend(q, *whole(kp, vp, ks, vs), *extra, **words)

    return function


def distances(queries):
    """How far each key [1, KEYS] lies behind each query [queries, 1]."""
    return torch.arange(KEYS) - (torch.arange(queries)[:, None] + KEYS - queries)


def alibi(queries, dtype=torch.float32):
    slopes = 2.0 ** -torch.arange(1, HEADS + 1)
    return (slopes[:, None, None] * distances(queries)).to(dtype)[None]


def relative_bias(queries):
    """T5's: a learned number for each head and distance, one table for all rows."""
    return lambda q, kp, vp, ks, vs, table: attend(
        q, *whole(kp, vp, ks, vs), table[distances(queries).clamp(-7, 0).abs()].permute(2, 0, 1)[None]
    )


def with_sinks(q, kp, vp, ks, vs, sinks):
    """A learned logit for each head, without a value: one more part, counted once."""
    out, lse = attend_lse(q, *whole(kp, vp, ks, vs))
    return merge([out, torch.zeros_like(out)], [lse, sinks[None, :, None].expand_as(lse)])[0]


def quantised(q, kp, vp, ks, vs, kscale, vscale):
    """A prefix in eight bits with scales of its own, before the rows' keys in full."""
    return attend(q, *whole(kp.float() * kscale, vp.float() * vscale, ks, vs))


def blocks(keys=KEYS, hidden=0.3):
    """A boolean mask that leaves every row its last key."""
    mask = torch.rand(ROWS, 1, 1, keys, generator=torch.Generator().manual_seed(2)) > hidden
    mask[..., -1] = True
    return mask


def encoder(q, k, v, *lengths):
    """Cross attention of beams over one encoder run."""
    return attend(q, k.repeat_interleave(ROWS, 0), v.repeat_interleave(ROWS, 0), None, *lengths)


ENCODER = [f"f32[{ROWS}, {HEADS}, 1, {WIDTH}]", *[f"f32[1, {HEADS}, {PREFIX}, {WIDTH}]"] * 2]
LENGTHS = torch.tensor([KEYS, PREFIX, PREFIX + 2, 4])
LEGAL = {
    "one causal query": (attending(mask="causal", offset=KEYS - 1), types()),
    "several causal queries, lower-right": (attending(mask="causal", offset=KEYS - 3), types(3)),
    "a suffix of queries only, lower-right": (attending(mask="causal", offset=PREFIX), types(SUFFIX)),
    "an empty suffix": (attending(), types(suffix=0)),
    "several queries see the prefix only": (attending(mask="causal", offset=PREFIX - 1), types(2, suffix=1)),
    "ragged suffixes, some of them empty": (attending(lengths=True), [*types(), LENGTHS]),
    "ragged suffixes, causal": (
        attending(lengths=True, mask="causal", offset=KEYS - 2),
        [*types(2), torch.tensor([KEYS, PREFIX, KEYS - 1, PREFIX + 1])],
    ),
    "an additive mask of all rows": (attending(bias=True), [*types(3), f"f32[1, 1, 3, {KEYS}]"]),
    "an additive mask of each row": (attending(bias=True), [*types(3), f"f32[{ROWS}, 1, 3, {KEYS}]"]),
    "an additive mask of each head and row": (attending(bias=True), [*types(2), f"f32[{ROWS}, {HEADS}, 2, {KEYS}]"]),
    "an additive mask of two dimensions": (attending(bias=True), [*types(3), f"f32[3, {KEYS}]"]),
    "an additive constant for each row": (attending(bias=True), [*types(), f"f32[{ROWS}, 1, 1, 1]"]),
    "a boolean mask of each row": (attending(bias=True), [*types(), blocks()]),
    "a mask and ragged lengths": (attending(bias=True, lengths=True), [*types(), blocks(hidden=0.0), LENGTHS]),
    "an additive mask and ragged lengths": (
        attending(bias=True, lengths=True),
        [*types(), f"f32[{ROWS}, 1, 1, {KEYS}]", LENGTHS],
    ),
    "an additive mask and causality": (
        attending(bias=True, mask="causal", offset=KEYS - 3),
        [*types(3), f"f32[{ROWS}, 1, 3, {KEYS}]"],
    ),
    "ALiBi, one query": (attending(bias=True), [*types(), alibi(1)]),
    "ALiBi, several queries": (attending(bias=True, mask="causal", offset=KEYS - 3), [*types(3), alibi(3)]),
    "the relative bias of T5": (relative_bias(1), [*types(), f"f32[8, {HEADS}]"]),
    "the relative bias of T5, several queries": (relative_bias(2), [*types(2), f"f32[8, {HEADS}]"]),
    "a soft cap": (attending(softcap=2.0), types()),
    "a soft cap, a scale, and causality": (
        attending(softcap=2.0, scale=0.7, mask="causal", offset=KEYS - 2),
        types(2),
    ),
    "attention sinks": (with_sinks, [*types(), f"f32[{HEADS}]"]),
    "values wider than keys": (attending(), types(values=13)),
    "values narrower than keys": (attending(mask="causal", offset=KEYS - 2), types(2, values=3)),
    "keys of width 63": (attending(), types(width=63)),
    "heads of their own": (attending(), types(kv_heads=HEADS)),
    "grouped queries": (attending(), types(kv_heads=2)),
    "one key head for all queries": (attending(), types(kv_heads=1)),
    "cross attention of beams": (encoder, ENCODER),
    "cross attention over a padded encoder": (encoder, [*ENCODER, torch.tensor([PREFIX, 4, 1, 7])]),
    "a sliding window that covers the prefix": (attending(mask="sliding", offset=KEYS - 1, window=KEYS), types()),
    "a sliding window that just covers the prefix": (
        attending(mask="sliding", offset=KEYS - 3, window=KEYS),
        types(3),
    ),
    "bidirectional inside the prefix": (attending(mask="prefix", offset=KEYS - 2, window=PREFIX), types(2)),
    "upper-left queries after a bidirectional prefix": (attending(mask="prefix", window=PREFIX), types(3)),
    "a quantised prefix": (
        quantised,
        [types()[0], *[f"i8[1, 2, {PREFIX}, {WIDTH}]"] * 2, *types()[3:], *["f32[1, 2, 1, 1]"] * 2],
    ),
    "dropout that is switched off": (attending(dropout=0.0), types()),
}


@pytest.mark.parametrize("name", LEGAL)
def test_what_is_legal_fires_and_is_exact_with_its_gradients(name):
    function, inputs = LEGAL[name]
    rewritten = run_pass(ALWAYS, function, *inputs)
    passed = [r for r in rewritten.remarks if r.pass_name == "share-prefix" and r.kind == "passed"]
    assert len(passed) == 1, [str(r) for r in rewritten.remarks]
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


def written(q, kp, vp, ks, vs):
    k, v = whole(kp, vp, ks, vs)
    k[1] += 1
    return attend(q, k, v)


def own_values(q, kp, vp, ks, vs):
    k, _ = whole(kp, vp, ks, vs)
    return attend(q, k, torch.cat([vp.expand(ROWS, -1, -1, -1) * q.sum((1, 2, 3), keepdim=True), vs], 2))


def shifted_values(q, kp, vp, ks, vs):
    return attend(q, torch.cat([kp.expand(ROWS, -1, -1, -1), ks], 2), torch.cat([vs, vp.expand(ROWS, -1, -1, -1)], 2))


def padded_on_the_left(q, kp, vp, ks, vs):
    """The same text at other columns of each row: equal keys, but not at equal positions."""
    k, v = whole(kp, vp, ks, vs)
    at = (torch.arange(KEYS) + torch.arange(ROWS)[:, None]) % KEYS
    at = at[:, None, :, None]
    return attend(q, *(x.gather(2, at.expand_as(x)) for x in (k, v)))


def weights_too(q, kp, vp, ks, vs):
    k, v = whole(kp, vp, ks, vs)
    weights = (q @ k.mT).softmax(-1)
    return weights @ v, weights


ILLEGAL = {
    "dropout": (attending(dropout=0.1), types(), "dropout"),
    "upper-left causality": (attending(mask="causal"), types(3), "prefix-hidden"),
    "causality that starts within the prefix": (attending(mask="causal", offset=PREFIX - 3), types(), "prefix-hidden"),
    "the last shared key hidden": (attending(mask="causal", offset=PREFIX - 2), types(2), "prefix-hidden"),
    "a sliding window one key short": (
        attending(mask="sliding", offset=KEYS - 3, window=KEYS - 1),
        types(3),
        "prefix-hidden",
    ),
    "a sliding window over part of the prefix": (
        attending(mask="sliding", offset=KEYS - 1, window=SUFFIX + 3),
        types(),
        "prefix-hidden",
    ),
    "a sliding window over the suffix only": (
        attending(mask="sliding", offset=KEYS - 1, window=SUFFIX),
        types(),
        "prefix-hidden",
    ),
    "a bidirectional window": (
        attending(mask="sliding_bidirectional", offset=KEYS - 1, window=4),
        types(),
        "prefix-hidden",
    ),
    "blocks": (attending(mask="block_diagonal", offset=KEYS - 1, window=4), types(), "prefix-hidden"),
    "blocks in order": (attending(mask="block_causal", offset=KEYS - 1, window=4), types(), "prefix-hidden"),
    "keys of one row written": (written, types(kv_heads=HEADS), "not-shared"),
    "values of each row": (own_values, types(), "not-shared"),
    "values shared over other positions": (shifted_values, types(suffix=PREFIX), "keys-and-values-differ"),
    "the prompt at other positions in each row": (padded_on_the_left, types(), "not-shared"),
}


@pytest.mark.parametrize("name", ILLEGAL)
def test_what_is_not_legal_is_refused_with_its_reason(name):
    function, inputs, code = ILLEGAL[name]
    rewritten = run_pass("share-prefix{min-prefix=1,min-gain=0}", function, *inputs)
    (remark,) = (r for r in rewritten.remarks if r.pass_name == "share-prefix")
    assert rewritten.unchanged
    assert (remark.kind, remark.code) == ("missed", code), str(remark)


def test_weights_that_are_returned_are_left_whole():
    rewritten = run_pass("raise-attention,share-prefix{min-prefix=1,min-gain=0}", weights_too, *types(kv_heads=HEADS))
    assert not [r for r in rewritten.remarks if r.kind == "passed"]


def test_alibi_far_from_its_origin_is_no_worse_in_bf16_than_it_was_whole():
    inputs = [x.replace("f32", "bf16") for x in types()]
    rewritten = run_pass(ALWAYS, attending(bias=True), *inputs, alibi(1, torch.bfloat16) - 4096)
    assert not rewritten.unchanged
    assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs)


@pytest.mark.parametrize("suffix", [0, 1, 9])
@pytest.mark.parametrize("words", [{}, {"mask": "causal"}], ids=["unmasked", "causal"])
def test_a_suffix_of_any_length_goes_through_one_program(suffix, words):
    def function(q, kp, vp, ks, vs):
        offset = {"offset": PREFIX + ks.shape[2] - 1} if words else {}
        return attend(q, *whole(kp, vp, ks, vs), **words, **offset)

    dynamic = [x.replace(f", {SUFFIX}, ", f", s={SUFFIX}, ") for x in types()]
    rewritten = run_pass(ALWAYS, function, *dynamic)
    assert not rewritten.unchanged
    q, kp, vp, ks, vs = rewritten.inputs
    grown = (q, kp, vp, *(torch.cat([x, x + 1], 2)[:, :, :suffix] for x in (ks, vs)))
    assert_no_worse(rewritten.before, rewritten.program, grown)


@pytest.mark.parametrize("garbage", [1e4, -1e4])
def test_garbage_behind_a_rows_own_length_is_never_read(garbage):
    rewritten = run_pass(ALWAYS, attending(lengths=True), *types(), LENGTHS)
    q, kp, vp, ks, vs, lengths = rewritten.inputs
    beyond = (torch.arange(PREFIX, KEYS) >= lengths[:, None])[:, None, :, None]
    dirty = [x.masked_fill(beyond, garbage) for x in (ks, vs)]
    assert_no_worse(rewritten.before, rewritten.program, [q, kp, vp, *dirty, lengths])
