"""The kernel operator ``regraft_tile::merge_lse``, as :mod:`regraft.compiler.ops.merge_lse` defines merging.

outs [B, H, T, Dv] each and lses [B, H, T] each, in fp32, fp16 or bf16 and of any strides; out is contiguous in the type
of the first part, lse contiguous in fp32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...lowering.tile.ir import DTYPE_NAMES
from ..support import execute
from .program import Parts, backward, forward


@torch.library.custom_op("regraft_tile::merge_lse", mutates_args=())
def merge_lse(outs: Sequence[Tensor], lses: Sequence[Tensor], rows: int, warps: int) -> tuple[Tensor, Tensor]:
    """One attention output and log-sum-exp from those of its parts; ``rows`` of one tile, on ``warps`` warps."""
    out, lse = _results(outs)
    if out.numel():
        execute(forward(_parts(outs, lses, rows, warps)), {"out": out, "lse": lse, **_named(outs, lses)})
    elif lse.numel():
        lse.copy_(torch.logsumexp(torch.stack([one.float() for one in lses]), 0))
    return out, lse


@merge_lse.register_fake
def _(outs: Sequence[Tensor], lses: Sequence[Tensor], rows: int, warps: int) -> tuple[Tensor, Tensor]:
    return _results(outs)


@torch.library.custom_op("regraft_tile::merge_lse_backward", mutates_args=())
def merge_lse_backward(
    dout: Tensor, dlse: Tensor | None, outs: Sequence[Tensor], lses: Sequence[Tensor], rows: int, warps: int
) -> list[Tensor]:
    """The gradients of the outs, then those of the lses, all contiguous."""
    made = _gradients(outs, lses)
    if dout.numel():
        tensors = {"dout": dout, **_named(outs, lses), **_named(made[: len(outs)], made[len(outs) :], "d")}
        if dlse is not None:
            tensors["dlse"] = dlse
        execute(backward(_parts(outs, lses, rows, warps), dlse is not None), tensors)
    elif dlse is not None and dlse.numel():
        masses = torch.stack([one.float() for one in lses]).softmax(0).nan_to_num()
        for grad, mass in zip(made[len(outs) :], masses, strict=True):
            grad.copy_(mass * dlse)
    else:
        for grad in made:
            grad.zero_()
    return made


@merge_lse_backward.register_fake
def _(
    dout: Tensor, dlse: Tensor | None, outs: Sequence[Tensor], lses: Sequence[Tensor], rows: int, warps: int
) -> list[Tensor]:
    return _gradients(outs, lses)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    outs, lses, *ctx.options = inputs
    ctx.count = len(outs)
    ctx.save_for_backward(*outs, *lses)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, dout: Tensor | None, dlse: Tensor | None) -> tuple[Any, ...]:
    outs, lses = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
    dout = torch.zeros_like(outs[0]) if dout is None else dout
    made = merge_lse_backward(dout, dlse, outs, lses, *ctx.options)
    return made[: ctx.count], made[ctx.count :], None, None


merge_lse.register_autograd(_backward, setup_context=_save)


def _results(outs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    first = outs[0]
    return first.new_empty(first.shape), first.new_empty(first.shape[:-1], dtype=torch.float32)


def _gradients(outs: Sequence[Tensor], lses: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor in (*outs, *lses)]


def _parts(outs: Sequence[Tensor], lses: Sequence[Tensor], rows: int, warps: int) -> Parts:
    of_outs, of_lses = (tuple(DTYPE_NAMES[tensor.dtype] for tensor in tensors) for tensors in (outs, lses))
    return Parts(of_outs, of_lses, outs[0].shape[-1], rows, warps)


def _named(outs: Sequence[Tensor], lses: Sequence[Tensor], prefix: str = "") -> dict[str, Tensor]:
    named = {f"{prefix}out{at}": tensor for at, tensor in enumerate(outs)}
    return named | {f"{prefix}lse{at}": tensor for at, tensor in enumerate(lses)}
