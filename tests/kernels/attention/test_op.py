"""The operators of attention: gradients, promises to torch.compile, and what must not happen."""

import pytest
import torch
from regraft.compiler.ops.attention import attention, attention_lse
from regraft.kernels.attention.blocks import block_sparse_attention, tile_lists
from regraft.kernels.attention.epilogue import attention_epilogue
from regraft.kernels.attention.op import attention_backward, attention_forward
from regraft.kernels.attention.program import AttentionTile
from regraft.lowering.tile import TileError
from regraft.lowering.tile.chain import chain
from regraft.tests.kernels.harness import operator_checks, relative_error, same_gradients
from torch import Tensor

TILE = "32x16,w4,s2"


def heads(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def formula(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    lengths: Tensor | None,
    lists: list[Tensor],
    mask: str,
    offset: int,
    window: int,
    scale: float,
    softcap: float,
    tile: str,
) -> tuple[Tensor, Tensor]:
    return attention_lse(
        q, k, v, bias, lengths, mask=mask, offset=offset, window=window, scale=scale, softcap=softcap
    )  # fmt: skip


def test_torch_finds_nothing_wrong_with_the_operators() -> None:
    q, k, v = heads(2, 1, 3, 16).requires_grad_(), heads(2, 1, 5, 16), heads(2, 1, 5, 16)
    args = (q, k, v, None, torch.tensor([5, 2]), [], "sliding", 2, 3, 0.3, 4.0, "16x16,w4,s2")
    operator_checks(attention_forward, args, formula=formula)
    out, lse = (made.detach() for made in attention_forward(*args))
    saved = (q.detach(), k, v, out, lse)
    torch.library.opcheck(attention_backward, (heads(*out.shape), heads(*lse.shape), *saved, *args[3:]))


def test_strides_may_be_any_and_the_result_lies_as_q_does() -> None:
    q = heads(2, 13, 4, 24).transpose(1, 2)
    k, v = heads(2, 24, 2, 30).permute(0, 2, 3, 1), heads(1, 2, 30, 16).expand(2, -1, -1, -1)
    args = (q, k, v, None, None, [], "causal", 17, 0, 0.3, 0.0, TILE)
    operator_checks(attention_forward, args)
    out, lse = attention_forward(*args)
    assert out.transpose(1, 2).is_contiguous()
    assert lse.is_contiguous()
    same_gradients(attention_forward, formula, args)


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("mask", ["none", "causal", "sliding"])
def test_a_few_grouped_queries_share_a_tile(queries: int, mask: str) -> None:
    q, k, v = heads(2, 3, queries, 16), heads(2, 1, 40, 16), heads(2, 1, 40, 24)
    offset, window = (0, 0) if mask == "none" else (40 - queries, 7 * (mask == "sliding"))
    args = (q, k, v, None, torch.tensor([40, 36]), [], mask, offset, window, 0.25, 0.0, "16x16,w4,s2")
    same_gradients(attention_forward, formula, args)
    operator_checks(attention_forward, args)


def test_a_bias_that_is_shared_is_not_copied_for_every_head() -> None:
    q, k, v = heads(2, 4, 1, 16), heads(2, 2, 20, 16), heads(2, 2, 20, 16)
    bias = heads(1, 1, 1, 20) > 0
    same_gradients(attention_forward, formula, (q, k, v, bias, None, [], "none", 0, 0, 0.25, 0.0, TILE))


def test_later_keys_leave_earlier_queries_bit_by_bit() -> None:
    q, k, v = heads(1, 2, 50, 16), heads(1, 2, 50, 16), heads(1, 2, 50, 16)
    args = (None, None, [], "causal", 0, 0, 0.25, 0.0, TILE)
    before = attention_forward(q, k, v, *args)
    k[:, :, 29:], v[:, :, 29:] = 1e4, -1e4
    after = attention_forward(q, k, v, *args)
    for x, y in zip(before, after, strict=True):
        assert torch.equal(x[:, :, :29], y[:, :, :29])


def test_a_query_that_sees_nothing_gives_nothing_and_passes_no_gradient() -> None:
    q, k, v = (heads(1, 1, 20, 16, seed=at).requires_grad_() for at in range(3))
    bias = torch.zeros(20, 20)
    bias[3] = -torch.inf
    for bias_, lengths in ((bias, None), (bias == 0, None), (None, torch.tensor([0]))):
        out, lse = attention_forward(q, k, v, bias_, lengths, [], "none", 0, 0, 0.25, 0.0, TILE)
        row = 3 if lengths is None else slice(None)
        assert not out[:, :, row].any()
        assert (lse[:, :, row] == -torch.inf).all()
        dq, dk, dv = torch.autograd.grad(out.sum(), (q, k, v))
        assert not dq[:, :, row].any()
        assert all(grad.isfinite().all() for grad in (dq, dk, dv))


def test_no_keys_and_no_queries_are_fine() -> None:
    for queries, keys in ((3, 0), (0, 3)):
        q, k, v = heads(2, 2, queries, 16).requires_grad_(), heads(2, 2, keys, 16), heads(2, 2, keys, 16)
        out, lse = attention_forward(q, k, v, None, None, [], "none", 0, 0, 0.25, 0.0, TILE)
        assert torch.equal(out, torch.zeros(2, 2, queries, 16))
        assert torch.equal(lse, torch.full((2, 2, queries), -torch.inf))
        out.sum().backward()
        assert torch.equal(q.grad, torch.zeros_like(q))


@pytest.mark.parametrize("causal", [False, True])
def test_listed_tiles_are_the_only_ones_visited(causal: bool) -> None:
    visible = torch.tensor([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]], dtype=torch.bool)
    q, k, v = heads(1, 1, 41, 16), heads(1, 1, 58, 16), heads(1, 1, 58, 16)
    full = visible.repeat_interleave(16, 0).repeat_interleave(16, 1)[:41, :58]
    tile = AttentionTile(16, 16, 4, 2)

    def sparse(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return block_sparse_attention(q, k, v, visible, causal=causal, tile=tile)

    def dense(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return attention_lse(q, k, v, full, mask="causal" if causal else "none")

    same_gradients(sparse, dense, (q, k, v))
    before, _ = sparse(q, k, v)
    k[:, :, 16:32] = 100.0
    assert torch.equal(sparse(q, k, v)[0][:, :, :16], before[:, :, :16])


def test_lists_hold_what_is_visible_both_ways() -> None:
    visible = torch.tensor([[1, 0, 1], [0, 0, 1]], dtype=torch.bool)
    counts, entries, counts_of_keys, entries_of_keys = tile_lists(visible)
    assert counts.tolist() == [2, 1]
    assert entries[0, :2].tolist() == [0, 2]
    assert entries[1, 0] == 2
    assert counts_of_keys.tolist() == [1, 0, 2]
    assert entries_of_keys[2, :2].tolist() == [0, 1]


def test_what_the_kernel_does_not_take_is_refused() -> None:
    q = heads(1, 3, 4, 16)

    def call(q: Tensor, k: Tensor, scale: float = 0.25, bias: Tensor | None = None) -> Tensor:
        return attention_forward(q, k, k, bias, None, [], "none", 0, 0, scale, 0.0, TILE)[0]

    with pytest.raises(TileError, match="no multiple of 2 key heads"):
        call(q, heads(1, 2, 4, 16))
    with pytest.raises(TileError, match="up to 256 features"):
        call(heads(1, 1, 4, 300), heads(1, 1, 4, 300))
    with pytest.raises(TileError, match="scale above 0"):
        call(q, q, scale=-1.0)
    with pytest.raises(TileError, match="no gradient of its bias"):
        call(q, q, bias=torch.zeros(4, 4, requires_grad=True)).sum().backward()


def test_fp16_gradients_are_as_good_as_fp16() -> None:
    q, k, v = (heads(1, 2, 33, 64, seed=at).half() for at in range(3))
    same_gradients(attention_forward, formula, (q, k, v, None, None, [], "causal", 0, 0, 0.125, 0.0, TILE))


def test_the_candidates_compute_the_dialects_operator() -> None:
    from regraft.kernels.attention.candidates import AttentionLseTiles, AttentionTiles
    from regraft.lowering.candidates import call_with

    config = {"block_m": 32, "block_n": 16, "num_warps": 4, "num_stages": 2}
    q, kv = heads(4, 9, 16), heads(2, 20, 16)
    call = call_with(torch.ops.regraft.attention.default, q, kv, kv, None, torch.tensor(17), mask="causal", offset=11)
    exact = attention(q, kv, kv, None, torch.tensor(17), mask="causal", offset=11)
    assert relative_error(AttentionTiles().run(call, config), exact) < 1e-6
    q = heads(3, 4, 9, 16)
    call = call_with(torch.ops.regraft.attention_lse.default, q, kv[None], kv[None], mask="prefix", window=4)
    exact = attention_lse(q, kv[None], kv[None], mask="prefix", window=4)
    for found, wanted in zip(AttentionLseTiles().run(call, config), exact, strict=True):
        assert relative_error(found, wanted) < 1e-6


WORK = "v = x * sigmoid(full0); v, maximum(v, 0.1) + full1"


def worked(q, k, v, bias, lengths, extras, epilogue, outputs, *options) -> list[Tensor]:
    out = formula(q, k, v, bias, lengths, [], *options)[0]
    return chain(epilogue).evaluate(out, dict(zip(chain(epilogue).extras, extras, strict=True)))


@pytest.mark.parametrize("queries", [1, 3, 37])
def test_work_behind_attention_is_done_in_registers(queries: int) -> None:
    q, k, v = heads(2, queries, 4, 16).transpose(1, 2), heads(2, 2, 20, 16), heads(2, 2, 20, 24)
    extras = [heads(2, queries, 4, 24).transpose(1, 2), heads(4, 1, 24)]
    args = (q, k, v, None, torch.tensor([20, 7]), extras, WORK, "f32 f32", "causal", 5, 0, 0.3, 4.0, "16x16,w4,s2")
    operator_checks(attention_epilogue, args, formula=worked)
    assert all(made.transpose(1, 2).is_contiguous() for made in attention_epilogue(*args))


def test_work_behind_no_keys_is_done_on_zeros() -> None:
    q, none, extras = heads(1, 2, 3, 16), heads(1, 2, 0, 16), [heads(1, 2, 3, 16), heads(16)]
    args = (q, none, none, None, None, extras, WORK, "f32 f16", "none", 0, 0, 0.25, 0.0, TILE)
    first, second = attention_epilogue(*args)
    assert torch.equal(first, torch.zeros(1, 2, 3, 16))
    torch.testing.assert_close(second, (0.1 + extras[1]).expand(1, 2, 3, 16).half())
    assert attention_epilogue(q[:, :, :0], *args[1:5], [extras[0][:, :, :0], extras[1]], *args[6:])[0].numel() == 0
