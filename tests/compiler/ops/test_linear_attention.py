"""Chunked linear attention against its recurrence, step by step."""

import pytest
import regraft.compiler.ops  # noqa: F401
import torch
from regraft.compiler.ops.linear_attention import recurrence, segment_sums

linear_attention = torch.ops.regraft.linear_attention
LENGTHS = [1, 3, 63, 64, 65, 200]


def step_by_step(q, k, v, decay=None, state=None, scale=1.0):
    """The recurrence, in fp64."""
    q, k, v = (x.double() for x in (q, k, v))
    heads = max(x.shape[1] for x in (q, k, v))
    q, k, v = (x.repeat_interleave(heads // x.shape[1], 1) for x in (q, k, v))
    batch, _, length, width = q.shape
    s = q.new_zeros(batch, heads, width, v.shape[-1]) if state is None else state.double()
    out = torch.empty_like(v)
    for t in range(length):
        if decay is not None:
            g = (decay if decay.dim() == 1 else decay[:, :, t]).double()
            s = s * g.exp()[..., None, None]
        s = s + k[:, :, t, :, None] * v[:, :, t, None, :]
        out[:, :, t] = scale * (q[:, :, t, None] @ s)[:, :, 0]
    return out, s


def inputs(length, *, heads=(2, 2, 2), widths=(5, 7), rate=-0.5, seed=0):
    torch.manual_seed(seed)
    q, k = (torch.randn(2, h, length, widths[0]) for h in heads[:2])
    v = torch.randn(2, heads[2], length, widths[1])
    steps = rate * 2 * torch.rand(2, max(heads), length)
    return q, k, v, steps, torch.randn(2, max(heads), *widths)


def off(found, expected):
    return ((found.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("rate", [0.0, -1e-4, -0.5, -20.0])
def test_it_is_the_recurrence_at_any_length_and_decay(length, rate):
    q, k, v, steps, state = inputs(length, rate=rate)
    for decay in (None, steps, steps[0, :, 0]):
        for initial in (None, state):
            found = linear_attention(q, k, v, decay, initial, scale=0.3)
            for a, b in zip(found, step_by_step(q, k, v, decay, initial, scale=0.3), strict=True):
                assert off(a, b) < 1e-6


@pytest.mark.parametrize("chunk", [1, 7, 64, 300])
def test_the_chunk_changes_rounding_only(chunk):
    q, k, v, steps, state = (x.double() for x in inputs(65))
    for a, b in zip(
        linear_attention(q, k, v, steps, state, chunk=chunk), step_by_step(q, k, v, steps, state), strict=True
    ):
        assert off(a, b) < 1e-13


def test_a_step_that_forgets_all_leaves_nothing_of_the_past_and_no_nan():
    q, k, v, steps, state = inputs(65)
    steps[:, :, 40] = -torch.inf
    steps.requires_grad_()
    out, final = linear_attention(q, k, v, steps, state)
    fresh, fresh_final = linear_attention(*(x[:, :, 40:] for x in (q, k, v)), steps[:, :, 40:])
    torch.testing.assert_close(out[:, :, 40:], fresh)
    torch.testing.assert_close(final, fresh_final)
    (out.sum() + final.sum()).backward()
    assert steps.grad.isfinite().all()


def test_what_decays_little_after_what_decays_much_is_not_lost_in_the_sum():
    q, k, v, steps, _ = inputs(64, rate=-1e-3)
    steps[:, :, :8] = -1e4
    assert off(linear_attention(q, k, v, steps)[0], step_by_step(q, k, v, steps)[0]) < 1e-6


@pytest.mark.parametrize("heads", [(4, 4, 4), (1, 1, 4), (2, 2, 4), (4, 1, 2)])
def test_heads_are_shared_in_groups(heads):
    q, k, v, steps, state = inputs(17, heads=heads)
    for a, b in zip(linear_attention(q, k, v, steps, state), step_by_step(q, k, v, steps, state), strict=True):
        assert off(a, b) < 1e-6


@pytest.mark.parametrize("at", [1, 64, 101])
def test_two_calls_in_a_row_are_one_call(at):
    q, k, v, steps, state = inputs(200)
    whole, final = linear_attention(q, k, v, steps, state)
    first, middle = linear_attention(*(x[:, :, :at] for x in (q, k, v, steps)), state)
    second, last = linear_attention(*(x[:, :, at:] for x in (q, k, v, steps)), middle)
    torch.testing.assert_close(torch.cat((first, second), 2), whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(last, final, rtol=1e-5, atol=1e-5)


def test_it_does_not_drift_over_eight_thousand_steps():
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 1, 8192, 4) for _ in range(3))
    for decay in (torch.zeros(1), torch.full((1,), -1e-3)):
        for a, b in zip(linear_attention(q, k, v, decay), step_by_step(q, k, v, decay), strict=True):
            assert off(a, b) < 1e-4


def test_the_state_is_fp32_whatever_the_inputs_are():
    q, k, v, steps, _ = inputs(33)
    out, state = linear_attention(*(x.bfloat16() for x in (q, k, v, steps)))
    assert (out.dtype, state.dtype) == (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("n", [1, 32, 33, 1000, 1100])
def test_a_recurrence_in_groups_is_the_recurrence(n):
    torch.manual_seed(0)
    rates, x = -torch.rand(2, n).double(), torch.randn(2, n, 3).double()
    torch.testing.assert_close(recurrence(rates, x), segment_sums(rates).exp() @ x)


def test_a_compiled_call_takes_any_length_of_several_chunks_without_compiling_again():
    compiled = torch.compile(linear_attention, backend="aot_eager", fullgraph=True, dynamic=True)
    for length in (200, 331, 4500):
        with torch._dynamo.config.patch(error_on_recompile=length != 200):
            arguments = inputs(length)[:4]
            for a, b in zip(compiled(*arguments), linear_attention(*arguments), strict=True):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_bad_arguments_are_named():
    q, k, v, steps, state = inputs(5)
    with pytest.raises(ValueError, match=r"v must be as long as q \(5\), got 4"):
        linear_attention(q, k, v[:, :, 1:])
    with pytest.raises(ValueError, match="k must be as wide as q"):
        linear_attention(q, k[..., 1:], v)
    with pytest.raises(ValueError, match=r"q must be of a number of heads that divides 3, got 2"):
        linear_attention(q, k, v[:, :1].expand(2, 3, 5, 7))
    with pytest.raises(ValueError, match=r"decay must be \[heads\] or \[batch, heads, time\], got rank 2"):
        linear_attention(q, k, v, steps[0])
    with pytest.raises(ValueError, match="decay must be of 2 heads, got 3"):
        linear_attention(q, k, v, torch.zeros(3))
    with pytest.raises(ValueError, match="initial_state must be of shape"):
        linear_attention(q, k, v, None, state[..., 1:])
    with pytest.raises(ValueError, match="chunk must be at least 1"):
        linear_attention(q, k, v, chunk=0)
