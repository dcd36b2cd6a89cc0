"""Attention against a loop over rows in double precision, for every mask it can name."""

import math

import pytest
import regraft.compiler.ops  # noqa: F401
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

attention = torch.ops.regraft.attention
attention_lse = torch.ops.regraft.attention_lse

SEES = {
    "none": lambda r, j, w: True,
    "causal": lambda r, j, w: j <= r,
    "sliding": lambda r, j, w: r - w < j <= r,
    "sliding_bidirectional": lambda r, j, w: abs(j - r) < w,
    "prefix": lambda r, j, w: j <= r or j < w,
    "block_diagonal": lambda r, j, w: j // w == r // w,
    "block_causal": lambda r, j, w: j // w <= r // w,
}
WINDOWS = {
    "none": 0,
    "causal": 0,
    "sliding": 3,
    "sliding_bidirectional": 2,
    "prefix": 2,
    "block_diagonal": 4,
    "block_causal": 3,
}
MASKS = [(mask, offset) for mask in SEES for offset in ((0,) if mask == "none" else (0, 2, -2))]


def naive(q, k, v, bias=None, key_lengths=None, *, mask="none", offset=0, window=0, scale=None, softcap=0.0):
    """One row at a time, in fp64: the output and the log-sum-exp."""
    q, k, v = q.double(), k.double(), v.double()
    batch, heads, queries, _ = q.shape
    keys, group = k.shape[2], heads // k.shape[1]
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    out = q.new_zeros(batch, heads, queries, v.shape[-1])
    lse = q.new_full((batch, heads, queries), -math.inf)
    if bias is not None:
        bias = bias.expand(batch, heads, queries, keys)
    for b in range(batch):
        kb = b if k.shape[0] > 1 else 0
        for h in range(heads):
            for i in range(queries):
                seen = [j for j in range(keys) if SEES[mask](i + offset, j, window)]
                if key_lengths is not None:
                    seen = [j for j in seen if j < key_lengths[b]]
                if bias is not None and bias.dtype == torch.bool:
                    seen = [j for j in seen if bias[b, h, i, j]]
                if not seen:
                    continue
                logits = k[kb, h // group, seen] @ q[b, h, i] * scale
                if softcap:
                    logits = softcap * torch.tanh(logits / softcap)
                if bias is not None and bias.dtype != torch.bool:
                    logits = logits + bias[b, h, i, seen].double()
                lse[b, h, i] = logits.logsumexp(0)
                if lse[b, h, i] > -math.inf:
                    out[b, h, i] = logits.softmax(0) @ v[kb, h // group, seen]
    return out, lse


def inputs(queries=5, keys=7, heads=4, kv_heads=2, batch=2, width=8, v_width=None, dtype=torch.float64, kv_batch=None):
    torch.manual_seed(queries * 100 + keys)
    kv_batch = batch if kv_batch is None else kv_batch
    q = 2 * torch.randn(batch, heads, queries, width, dtype=dtype)
    k = torch.randn(kv_batch, kv_heads, keys, width, dtype=dtype)
    v = torch.randn(kv_batch, kv_heads, keys, v_width or width, dtype=dtype)
    return q, k, v


@pytest.mark.parametrize(("mask", "offset"), MASKS)
@pytest.mark.parametrize("softcap", [0.0, 3.0])
def test_every_mask_is_the_explicit_one(mask, offset, softcap):
    q, k, v = inputs()
    attributes = {"mask": mask, "offset": offset, "window": WINDOWS[mask], "softcap": softcap}
    out, lse = naive(q, k, v, **attributes)
    torch.testing.assert_close(attention(q, k, v, **attributes), out)
    torch.testing.assert_close(attention_lse(q, k, v, **attributes), (out, lse))


@pytest.mark.parametrize("mask", SEES)
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (1, 63), (3, 1), (3, 100), (63, 3)])
def test_odd_lengths(mask, queries, keys):
    q, k, v = inputs(queries, keys, batch=1, heads=3, kv_heads=1, width=3, v_width=5)
    attributes = {"mask": mask, "window": WINDOWS[mask]}
    out, lse = naive(q, k, v, **attributes)
    torch.testing.assert_close(attention(q, k, v, **attributes), out)
    torch.testing.assert_close(attention_lse(q, k, v, **attributes), (out, lse))


@pytest.mark.parametrize("mask", SEES)
@pytest.mark.parametrize("kind", ["bool", "float", "float with -inf"])
@pytest.mark.parametrize("shape", [(5, 7), (2, 1, 1, 7), (4, 1, 7)])
def test_a_bias_and_key_lengths_act_on_top_of_the_mask(mask, kind, shape):
    q, k, v = inputs()
    bias = torch.randn(shape, dtype=torch.float64)
    if kind == "bool":
        bias = bias > -0.5
    elif kind == "float with -inf":
        bias = bias.masked_fill(bias < -1, -math.inf)
    lengths = torch.tensor([7, 2])
    attributes = {"mask": mask, "window": WINDOWS[mask]}
    for key_lengths in (None, lengths):
        for softcap in (0.0, 4.0):
            expected = naive(q, k, v, bias, key_lengths, **attributes, softcap=softcap)
            found = attention_lse(q, k, v, bias, key_lengths, **attributes, softcap=softcap)
            torch.testing.assert_close(found, expected)
            found = attention(q, k, v, bias, key_lengths, **attributes, softcap=softcap)
            torch.testing.assert_close(found, expected[0])


@pytest.mark.parametrize("mask", ["none", "causal", "sliding"])
def test_keys_may_be_shared_by_the_whole_batch(mask):
    q, k, v = inputs(batch=3, kv_batch=1)
    attributes = {"mask": mask, "window": WINDOWS[mask]}
    out, lse = naive(q, k, v, **attributes)
    torch.testing.assert_close(attention(q, k, v, **attributes), out)
    torch.testing.assert_close(attention_lse(q, k, v, **attributes), (out, lse))


def test_there_may_be_no_batch_or_several():
    q, k, v = inputs(batch=6)
    expected = attention(q, k, v, mask="causal")
    nested = [t.unflatten(0, (2, 3)) for t in (q, k, v)]
    torch.testing.assert_close(attention(*nested, mask="causal").flatten(0, 1), expected)
    torch.testing.assert_close(attention(q[0], k[0], v[0], mask="causal"), expected[0])
    for part, whole in zip(attention_lse(*nested), attention_lse(q, k, v), strict=True):
        torch.testing.assert_close(part.flatten(0, 1), whole)
    lengths = torch.tensor([1, 2, 3, 4, 5, 6])
    expected = attention(q, k, v, None, lengths)
    torch.testing.assert_close(attention(*nested, None, lengths.view(2, 3)).flatten(0, 1), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("softcap", [0.0, 5.0])
def test_low_precision_stays_within_its_rounding(dtype, softcap):
    q, k, v = inputs(dtype=dtype, queries=9, keys=9)
    out, lse = naive(q, k, v, mask="causal", softcap=softcap)
    # Logits of size up to 8 are rounded once per operation, and the weights carry that error to values of size 3.
    tolerance = 32 * torch.finfo(dtype).eps
    found = attention(q, k, v, mask="causal", softcap=softcap)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), out, rtol=0, atol=tolerance)
    found, found_lse = attention_lse(q, k, v, mask="causal", softcap=softcap)
    assert (found.dtype, found_lse.dtype) == (dtype, torch.float32)
    torch.testing.assert_close(found.double(), out, rtol=0, atol=4 * torch.finfo(dtype).eps)
    torch.testing.assert_close(found_lse.double(), lse, rtol=0, atol=32 * torch.finfo(torch.float32).eps)


def empty_row_calls():
    q, k, v = inputs(dtype=torch.float32)
    hidden = torch.ones(5, 7, dtype=torch.bool)
    hidden[1] = False
    additive = torch.zeros(5, 7).masked_fill(~hidden, -math.inf)
    yield "bool", (q, k, v, hidden), {}
    yield "float", (q, k, v, additive), {}
    yield "lengths", (q, k, v, None, torch.tensor([0, 3])), {}
    yield "before the keys", (q, k, v), {"mask": "causal", "offset": -3}
    yield "no keys", (q, k[:, :, :0], v[:, :, :0]), {}
    yield "no keys, causal", (q, k[:, :, :0], v[:, :, :0]), {"mask": "causal"}


EMPTY = [pytest.param(args, attributes, id=name) for name, args, attributes in empty_row_calls()]


@pytest.mark.parametrize(("args", "attributes"), EMPTY)
@pytest.mark.parametrize("softcap", [0.0, 5.0])
def test_a_row_that_sees_nothing_is_zero_and_passes_no_nan(args, attributes, softcap):
    _, expected_lse = naive(*args, **attributes)
    empty = expected_lse == -math.inf
    assert empty.any()
    q, k, v = (t.detach().clone().requires_grad_() for t in args[:3])
    out = attention(q, k, v, *args[3:], **attributes, softcap=softcap)
    out_lse, lse = attention_lse(q, k, v, *args[3:], **attributes, softcap=softcap)
    assert torch.equal(lse == -math.inf, empty)
    for found in (out, out_lse):
        assert (found[empty] == 0).all()
        assert found.isfinite().all()
    (out.sum() + out_lse.sum() + lse.masked_fill(empty, 0.0).sum()).backward()
    for tensor in (q, k, v):
        assert tensor.grad.isfinite().all()
    assert (q.grad[empty] == 0).all()


@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
def test_an_empty_row_is_zero_in_every_implementation_that_sdpa_may_choose(backend):
    q, k, v = inputs(dtype=torch.float32, kv_heads=4)
    with sdpa_kernel(backend):
        out = attention(q, k, v, mask="causal", offset=-1)
    assert (out[:, :, 0] == 0).all()
    assert (out[:, :, 1:] != 0).all()


def test_the_log_sum_exp_is_contiguous_whatever_the_strides_of_the_inputs():
    q, k, v = (t.transpose(1, 2).contiguous().transpose(1, 2) for t in inputs(dtype=torch.float32))
    assert not q.is_contiguous()
    _, lse = attention_lse(q, k, v, mask="causal")
    assert lse.is_contiguous()


def test_dropout_is_the_one_of_sdpa():
    q, k, v = inputs(dtype=torch.float32, kv_heads=4)
    torch.manual_seed(3)
    found = attention(q, k, v, dropout=0.5)
    torch.manual_seed(3)
    assert torch.equal(found, F.scaled_dot_product_attention(q, k, v, dropout_p=0.5))
    assert not torch.allclose(found, attention(q, k, v))
    assert not torch.allclose(attention(q, k, v, softcap=9.0, dropout=0.5), attention(q, k, v, softcap=9.0))


def test_upper_left_causality_is_not_lower_right():
    q, k, v = inputs(queries=3, keys=7)
    lower_right = attention(q, k, v, mask="causal", offset=4)
    assert not torch.allclose(attention(q, k, v, mask="causal"), lower_right)
    torch.testing.assert_close(lower_right[:, :, -1:], attention(q[:, :, -1:], k, v))


@pytest.mark.parametrize("operator", [attention, attention_lse])
def test_lengths_may_be_dynamic(operator):
    class Model(torch.nn.Module):
        def forward(self, q, k, v):
            offset = k.shape[2] - q.shape[2]
            return operator(q, k, v, mask="sliding", offset=offset, window=4)

    dims = (
        {0: torch.export.Dim("batch"), 2: torch.export.Dim("queries")},
        {0: torch.export.Dim("batch"), 2: torch.export.Dim("keys")},
    )
    program = torch.export.export(Model(), inputs(), dynamic_shapes=(dims[0], dims[1], dims[1]))
    for exported in (program, program.run_decompositions()):
        other = inputs(11, 23, batch=5)
        torch.testing.assert_close(exported.module()(*other), Model()(*other))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"mask": "diagonal"}, "mask must be one of 'none', 'causal', .* got 'diagonal'"),
        ({"mask": "sliding"}, "window must be at least 1"),
        ({"mask": "prefix", "window": -1}, "window must be the length of the prefix"),
        ({"mask": "causal", "window": 3}, "window must be 0 for mask 'causal'"),
        ({"offset": 3}, "offset must be 0 for mask 'none'"),
        ({"softcap": -1.0}, "softcap"),
        ({"dropout": 2.0}, "dropout must be a probability"),
        ({"bias": torch.zeros(1, 1, 1, 1, 7)}, "bias must be of rank at most 4"),
        ({"key_lengths": torch.tensor(3)}, "key_lengths must be of rank 1"),
    ],
)
def test_a_bad_attribute_is_named(attributes, message):
    with pytest.raises(ValueError, match=message):
        attention(*inputs(), **attributes)


def test_bad_shapes_are_named():
    q, k, v = inputs()
    with pytest.raises(ValueError, match=r"q, k and v must be .* of one rank"):
        attention(q, k[0], v)
    with pytest.raises(ValueError, match="query heads must be a multiple of the 2 key heads, got 3"):
        attention_lse(q[:, :3], k, v)
