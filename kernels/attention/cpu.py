"""The kernel operator ``regraft_cpu::attention_lse``: PyTorch's flash attention for CPUs, with its log-sum-exp.

q [B, Hq, Tq, D], k [B or 1, Hkv, Tk, D], v [B or 1, Hkv, Tk, D], of any strides, in fp64, fp32, fp16 or bf16; out
[B, Hq, Tq, D] in q's dtype and lse [B, Hq, Tq] in fp32 (fp64 for fp64), both contiguous, as
:mod:`regraft.compiler.ops.attention` defines them. What lies past the length of the keys may be NaN, unless the batch
shares them.

It is made of ``aten._scaled_dot_product_flash_attention_for_cpu``, which (torch 2.13) gives a log-sum-exp of 0 and not
-inf for a row that sees no key, gives it in transposed strides, ends the process on empty keys, reads past the end of
k and v of a smaller batch, and takes any last dimension for contiguous. All of this is dealt with here.

Backward is exact and takes gradients of both results. That of the log-sum-exp enters as one more feature: with
delta_i = <dout_i, out_i>, flash attention's dlogits_ij = p_ij (dp_ij - delta_i) become p_ij (dp_ij - delta_i + dlse_i)
when out has -dlse, dout has 1, and q, k and v have 0 there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .rows import Stack, additive_mask, without_padding

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default


@torch.library.custom_op("regraft_cpu::attention_lse", mutates_args=())
def attention_lse(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    mask: str,
    offset: int,
    window: int,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Attention and its natural log-sum-exp; arguments as for ``regraft::attention_lse``, without a soft cap."""
    out, lse = _results(q)
    plan = _planned(q, k, v, bias, key_lengths, mask, offset, window, causal=True)
    if 0 in (out.numel(), plan.length):
        return out.zero_(), lse.fill_(-torch.inf)
    rows, sums = _forward(plan.rows(q), plan.k, plan.v, is_causal=plan.causal, attn_mask=plan.mask, scale=scale)
    if plan.mask is not None:
        empty = (plan.mask == -torch.inf).all(-1)
        rows, sums = rows.masked_fill(empty.unsqueeze(-1), 0), sums.masked_fill(empty, -torch.inf)
    return plan.stack.unstack(rows).contiguous(), plan.stack.unstack(sums).contiguous()


@attention_lse.register_fake
def _(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    mask: str,
    offset: int,
    window: int,
    scale: float,
) -> tuple[Tensor, Tensor]:
    return _results(q)


@torch.library.custom_op("regraft_cpu::attention_lse_backward", mutates_args=())
def attention_lse_backward(
    dout: Tensor,
    dlse: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    mask: str,
    offset: int,
    window: int,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v, contiguous."""
    grads = _gradients(q, k, v)
    plan = _planned(q, k, v, bias, key_lengths, mask, offset, window, causal=q.shape[1] == k.shape[1])
    if 0 in (out.numel(), plan.length):
        for grad in grads:
            grad.zero_()
        return grads
    # Probabilities are exp(logits - lse): on an empty row 0 for any finite lse.
    sums = plan.stack.stack(lse.masked_fill(lse == -torch.inf, 0.0))
    rows = [plan.rows(dout), plan.rows(q), plan.k, plan.v, plan.rows(out)]
    if dlse is not None:
        extra = plan.stack.stack(dlse.masked_fill(lse == -torch.inf, 0.0)).unsqueeze(-1)
        rows = [F.pad(each, (0, 1), value=float(at == 0)) for at, each in enumerate(rows)]
        rows[4][..., -1:] = -extra
    made = _backward(*rows, sums, 0.0, plan.causal, attn_mask=plan.mask, scale=scale)
    dq, *of_keys = (each[..., : q.shape[-1]] for each in made)
    grads[0].copy_(plan.stack.unstack(dq))
    for grad, found in zip(grads[1:], of_keys, strict=True):
        found = found if found.shape[0] == grad.shape[0] else found.sum(0, keepdim=True)
        grad[:, :, : plan.length].copy_(found)
        grad[:, :, plan.length :].zero_()
    return grads


@attention_lse_backward.register_fake
def _(
    dout: Tensor,
    dlse: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    mask: str,
    offset: int,
    window: int,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    return _gradients(q, k, v)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, bias, key_lengths, *ctx.options = inputs
    ctx.save_for_backward(q, k, v, *output, bias, key_lengths)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, dout: Tensor | None, dlse: Tensor | None) -> tuple[Any, ...]:
    if ctx.needs_input_grad[3]:
        raise RuntimeError(
            "regraft_cpu::attention_lse has no gradient of its bias; use regraft::attention_lse, or detach the bias"
        )
    q, k, v, out, lse, bias, key_lengths = ctx.saved_tensors
    dout = torch.zeros_like(out) if dout is None else dout
    grads = attention_lse_backward(dout, dlse, q, k, v, out, lse, bias, key_lengths, *ctx.options)
    return *grads, *([None] * 6)


attention_lse.register_autograd(_differentiate, setup_context=_save)


@dataclass(frozen=True)
class _Plan:
    """What PyTorch's operator is given."""

    stack: Stack
    k: Tensor
    v: Tensor
    mask: Tensor | None
    """Added to the logits of the rows."""
    causal: bool
    length: int
    """Of the keys, without those that are hidden from every row."""

    def rows(self, tensor: Tensor) -> Tensor:
        """[B, Hq, Tq, D] as rows, in memory as PyTorch's operator has to have them."""
        return _dense(self.stack.stack(tensor))


def _planned(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    mask: str,
    offset: int,
    window: int,
    *,
    causal: bool,
) -> _Plan:
    """``causal``: use the operator's own causality, which is upper-left, where that is all that masks."""
    if k.shape != v.shape:
        raise ValueError(f"regraft_cpu::attention_lse: k is {tuple(k.shape)}, but v is {tuple(v.shape)}")
    length = k.shape[2]
    if key_lengths is not None and key_lengths.numel():
        shortest, longest = (max(0, min(int(end), length)) for end in key_lengths.aminmax())
        k, v = k[:, :, :longest], v[:, :, :longest]
        if bias is not None and bias.shape[-1] == length:
            bias = bias[..., :longest]
        length = longest
        if shortest == longest:
            key_lengths = None
        else:
            k, v = without_padding(k, v, key_lengths)
    causal = causal and mask == "causal" and offset == 0 and bias is None and key_lengths is None
    if causal:
        stack = Stack(q.shape[0], q.shape[1], 1, q.shape[2], whole_batch=False)
        hidden = None
    else:
        hidden = additive_mask(q, k, bias, key_lengths, mask, offset, window) if length else None
        stack = Stack.of(q, k, masked=hidden is not None)
        hidden = None if hidden is None else stack.mask(hidden)
    k, v = (_dense(each if stack.whole_batch else each.expand(q.shape[0], -1, -1, -1)) for each in (k, v))
    return _Plan(stack, k, v, hidden, causal, length)


def _dense(tensor: Tensor) -> Tensor:
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def _results(q: Tensor) -> tuple[Tensor, Tensor]:
    lse = torch.promote_types(q.dtype, torch.float32)
    return q.new_empty(q.shape), q.new_empty(q.shape[:-1], dtype=lse)


def _gradients(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)
