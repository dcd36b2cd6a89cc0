"""Merging is a commutative monoid, and any split of the keys gives back the whole."""

import itertools
import math

import pytest
import regraft.compiler.ops  # noqa: F401
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

attention = torch.ops.regraft.attention
attention_lse = torch.ops.regraft.attention_lse
merge_lse = torch.ops.regraft.merge_lse

finite = st.floats(-80, 80)
masses = st.lists(st.one_of(finite, st.just(-math.inf)), min_size=4, max_size=4)


def part(lses, seed):
    lse = torch.tensor(lses, dtype=torch.float64)
    out = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return out.masked_fill((lse == -math.inf).unsqueeze(-1), 0.0), lse


def merge(*parts):
    outs, lses = zip(*parts, strict=True)
    return merge_lse(list(outs), list(lses))


@given(masses, masses, masses)
def test_merging_is_associative_and_commutative(a, b, c):
    a, b, c = part(a, 0), part(b, 1), part(c, 2)
    whole = merge(a, b, c)
    torch.testing.assert_close(merge(merge(a, b), c), whole)
    torch.testing.assert_close(merge(a, merge(b, c)), whole)
    torch.testing.assert_close(merge(c, a, b), whole)


@given(masses)
def test_the_empty_part_is_the_identity(a):
    a = part(a, 0)
    identity = torch.zeros(4, 3, dtype=torch.float64), torch.full((4,), -math.inf, dtype=torch.float64)
    for merged in (merge(a), merge(a, identity), merge(identity, a), merge(identity, a, identity)):
        torch.testing.assert_close(merged, a)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 13), max_size=3).map(sorted),
    st.sampled_from(["none", "causal"]),
    st.sampled_from([0.1, 3.0, 30.0]),
    st.integers(0, 5),
)
def test_attention_split_anywhere_is_attention(cuts, mask, sharpness, seed):
    torch.manual_seed(seed)
    q = sharpness * torch.randn(2, 4, 5, 6, dtype=torch.float64)
    k, v = torch.randn(2, 2, 2, 13, 6, dtype=torch.float64)

    def at(start):
        return {"mask": "causal", "offset": 8 - start} if mask == "causal" else {}

    spans = itertools.pairwise([0, *cuts, 13])
    parts = [attention_lse(q, k[:, :, a:b], v[:, :, a:b], **at(a)) for a, b in spans]
    out, lse = merge(*parts)
    torch.testing.assert_close((out, lse), attention_lse(q, k, v, **at(0)))
    torch.testing.assert_close(out, attention(q, k, v, **at(0)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("heavy", ["prefix", "suffix"])
def test_a_long_prefix_does_not_drown_a_short_suffix(dtype, heavy):
    torch.manual_seed(0)
    q = torch.randn(3, 2, 1, 8, dtype=torch.float64)
    prefix, suffix = torch.randn(1, 2, 200, 8, dtype=torch.float64), torch.randn(3, 2, 3, 8, dtype=torch.float64)
    aligned = (suffix if heavy == "suffix" else prefix)[:, :, :1]
    q = 3 * (q + 2 * aligned)
    keys = torch.cat([prefix.expand(3, -1, -1, -1), suffix], 2)
    values = keys.roll(1, -1)
    exact = attention(q, keys, values)
    logits = (q @ keys.mT / 8**0.5).softmax(-1)
    share = logits[..., 200:].sum(-1).mean()
    assert share > 0.3 if heavy == "suffix" else share < 0.3
    q, prefix, suffix = q.to(dtype), prefix.to(dtype), suffix.to(dtype)
    whole = attention(
        q,
        *(
            torch.cat([p.expand(3, -1, -1, -1), s], 2)
            for p, s in ((prefix, suffix), (prefix.roll(1, -1), suffix.roll(1, -1)))
        ),
    )
    out, lse = merge(attention_lse(q, prefix, prefix.roll(1, -1)), attention_lse(q, suffix, suffix.roll(1, -1)))
    assert (out.dtype, lse.dtype) == (dtype, torch.float32)
    error, error_whole = (out.double() - exact).abs().max(), (whole.double() - exact).abs().max()
    assert error <= 2 * error_whole + 4 * torch.finfo(dtype).eps


def test_the_log_sum_exp_is_natural():
    ones, zero = torch.ones(1, 1), torch.zeros(1)
    out, lse = merge_lse([ones, 3 * ones], [zero, torch.log(torch.tensor([3.0]))])
    torch.testing.assert_close(out, torch.tensor([[2.5]]))
    torch.testing.assert_close(lse, torch.log(torch.tensor([4.0])))


def test_rows_empty_in_every_part_are_zero_and_pass_no_nan():
    lses = [torch.tensor([-math.inf, -math.inf, 0.5], requires_grad=True) for _ in range(2)]
    lses[1] = torch.tensor([-math.inf, 1.5, -math.inf], requires_grad=True)
    outs = [torch.ones(3, 2, requires_grad=True) for _ in range(2)]
    out, lse = merge_lse(outs, lses)
    assert out.tolist() == [[0, 0], [1, 1], [1, 1]]
    assert lse.tolist() == [-math.inf, 1.5, 0.5]
    (out.sum() + lse[1:].sum()).backward()
    for tensor in (*outs, *lses):
        assert tensor.grad.isfinite().all()
        assert (tensor.grad[0] == 0).all()


def test_gradients_reach_the_keys_of_every_part_as_in_whole_attention():
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 2, n, 4, dtype=torch.float64, requires_grad=True) for n in (3, 9, 9))
    merged, _ = merge(*(attention_lse(q, k[:, :, a:b], v[:, :, a:b]) for a, b in ((0, 2), (2, 2), (2, 9))))
    found = torch.autograd.grad(merged.sin().sum(), (q, k, v))
    expected = torch.autograd.grad(attention(q, k, v).sin().sum(), (q, k, v))
    torch.testing.assert_close(found, expected)


def test_dtypes_are_those_of_the_first_part_and_of_the_merge():
    half, lse = torch.ones(2, 3, dtype=torch.bfloat16), torch.zeros(2)
    out, merged = merge_lse([half, half.float()], [lse, lse])
    assert (out.dtype, merged.dtype) == (torch.bfloat16, torch.float32)
    out, merged = merge_lse([half, half], [lse, lse.double()])
    assert (out.dtype, merged.dtype) == (torch.bfloat16, torch.float64)


def test_bad_parts_are_named():
    out, lse = torch.ones(2, 3), torch.zeros(2)
    with pytest.raises(ValueError, match="outs must be at least one part"):
        merge_lse([], [])
    with pytest.raises(ValueError, match=r"lses must be one per out \(2\), got 1"):
        merge_lse([out, out], [lse])
    with pytest.raises(ValueError, match="an lse must be of rank 1, got rank 2"):
        merge_lse([out], [lse[:, None]])


def test_lengths_may_be_dynamic():
    class Model(torch.nn.Module):
        def forward(self, a, b, c, d):
            return merge_lse([a, b], [c, d])

    dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}

    def inputs(batch, time):
        return *torch.randn(2, batch, time, 3), *torch.randn(2, batch, time)

    program = torch.export.export(Model(), inputs(2, 5), dynamic_shapes=(dims,) * 4)
    other = inputs(3, 11)
    torch.testing.assert_close(program.run_decompositions().module()(*other), Model()(*other))
