"""Kernel operators of linear attention, with its gradients; formulas and rounding are those of :mod:`.program`.

q, k, v [B, heads, T, D] of any strides, of one dtype among fp32, fp16 and bf16; decay [H] or [B, H, T] in any floating
dtype, initial_state [B, H, Dk, Dv]. The output is in their dtype, the state in fp32, both contiguous.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...lowering.tile.ir import DTYPE_NAMES
from ..support import execute
from .program import LinearAttention, gradients_qk, gradients_v, outputs, states

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@torch.library.custom_op("regraft_tile::linear_attention", mutates_args=())
def linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    decay: Tensor | None,
    initial_state: Tensor | None,
    scale: float,
    chunk: int,
    block_k: int,
    block_v: int,
    warps: int,
    stages: int,
) -> tuple[Tensor, Tensor]:
    """The outputs and the state after the last step, as ``regraft::linear_attention`` defines them."""
    out, final = _fake(q, k, v, decay, initial_state)
    kind = _kind(q, k, v, decay, initial_state, chunk, block_k, block_v, warps, stages)
    given = _given(q, k, v, decay, initial_state)
    h = _states(kind, given, final)
    _execute(outputs(kind), {**given, "h": h, "out": out}, scale)
    return out, final


@torch.library.custom_op("regraft_tile::linear_attention_backward", mutates_args=())
def linear_attention_backward(
    d_out: Tensor,
    d_final: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    decay: Tensor | None,
    initial_state: Tensor | None,
    scale: float,
    chunk: int,
    block_k: int,
    block_v: int,
    warps: int,
    stages: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """dq, dk, dv, one for each head of the result, in fp32 where they are to be summed over heads.

    Then d_decay in parts [B, H, parts, T], and the gradient of the initial state.
    """
    dq, dk, dv, d_decay, d_initial = _backward_fake(
        d_out, d_final, q, k, v, decay, initial_state, scale, chunk, block_k
    )
    kind = _kind(q, k, v, decay, initial_state, chunk, block_k, block_v, warps, stages)
    given = _given(q, k, v, decay, initial_state) | {"d_out": d_out, "d_final": d_final}
    h = _states(kind, given, torch.empty_like(d_initial))
    dh = torch.empty_like(h)
    _execute(states(kind, adjoint=True), {**given, "dh": dh, "d_initial": d_initial}, scale)
    made = {"h": h, "dh": dh, "dq": dq, "dk": dk, "dv": dv, "d_decay": d_decay}
    _execute(gradients_qk(kind), {**given, **made}, scale)
    _execute(gradients_v(kind), {**given, **made}, scale)
    return dq, dk, dv, d_decay, d_initial


@linear_attention.register_fake
def _fake(q: Tensor, k: Tensor, v: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    heads, width = max(x.shape[1] for x in (q, k, v)), v.shape[-1]
    out = v.new_empty((q.shape[0], heads, q.shape[2], width))
    return out, v.new_empty((q.shape[0], heads, q.shape[-1], width), dtype=torch.float32)


@linear_attention_backward.register_fake
def _backward_fake(
    d_out: Tensor,
    d_final: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    decay: Tensor | None,
    initial_state: Tensor | None,
    scale: float,
    chunk: int,
    block_k: int,
    *rest: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    batch, heads, length, _ = d_out.shape
    width = q.shape[-1]
    dq, dk, dv = (
        x.new_empty((batch, heads, length, x.shape[-1]), dtype=x.dtype if x.shape[1] == heads else torch.float32)
        for x in (q, k, v)
    )
    parts = 0 if decay is None else (width + block_k - 1) // block_k
    d_decay = q.new_empty((batch, heads, parts, length), dtype=torch.float32)
    return dq, dk, dv, d_decay, q.new_empty(d_final.shape, dtype=torch.float32)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:5])
    ctx.options = inputs[5:]


def _backward(ctx: Any, d_out: Tensor, d_final: Tensor) -> tuple[Any, ...]:
    q, k, v, decay, initial = ctx.saved_tensors
    made = linear_attention_backward(d_out, d_final, q, k, v, decay, initial, *ctx.options)
    dq, dk, dv = (_summed(grad, x) for grad, x in zip(made[:3], (q, k, v), strict=True))
    d_decay = None
    if decay is not None:
        steps = made[3].sum(2)
        d_decay = (steps.sum((0, 2)) if decay.dim() == 1 else steps).to(decay.dtype)
    d_initial = None if initial is None else made[4].to(initial.dtype)
    return dq, dk, dv, d_decay, d_initial, *[None] * len(ctx.options)


linear_attention.register_autograd(_backward, setup_context=_setup)


def _summed(gradient: Tensor, x: Tensor) -> Tensor:
    """Over the heads that share one of x's."""
    if gradient.shape[1] == x.shape[1]:
        return gradient
    return gradient.unflatten(1, (x.shape[1], -1)).sum(2).to(x.dtype)


def _kind(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor | None, initial_state: Tensor | None, *tiles: int
) -> LinearAttention:
    heads = max(x.shape[1] for x in (q, k, v))
    shares = (heads // q.shape[1], heads // k.shape[1], heads // v.shape[1])
    kept = "none" if decay is None else "head" if decay.dim() == 1 else "step"
    return LinearAttention(DTYPE_NAMES[q.dtype], kept, initial_state is not None, shares, *tiles)


def _given(q: Tensor, k: Tensor, v: Tensor, decay: Tensor | None, initial_state: Tensor | None) -> dict[str, Tensor]:
    given = {"q": q, "k": k, "v": v}
    given |= {} if decay is None else {"decay": decay.float()}
    return given | ({} if initial_state is None else {"initial": initial_state.float()})


def _states(kind: LinearAttention, given: dict[str, Tensor], final: Tensor) -> Tensor:
    q, chunks = given["q"], -(-given["q"].shape[2] // kind.chunk)
    dtype = torch.bfloat16 if kind.state == "bf16" else torch.float32
    h = q.new_empty((*final.shape[:2], chunks, *final.shape[2:]), dtype=dtype)
    _execute(states(kind), {**given, "h": h, "final": final}, None)
    return h


def _execute(program: Any, tensors: dict[str, Tensor], scale: float | None) -> None:
    """With those of the tensors that it names; a size that no tensor of it tells is told by the others."""
    named = {buffer.name: tensors[buffer.name] for buffer in program.buffers}
    execute(program, named, {} if scale is None else {"scale": scale})
