"""The kernel operator ``regraft_tile::attention_epilogue``: attention and pointwise work on its result.

Backward computes attention again and goes through the work as torch functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...lowering.tile import TileError
from ...lowering.tile.chain import chain
from ...lowering.tile.ir import DTYPE_NAMES, DTYPES
from .op import attend, attention_backward, attention_forward, empty_out, form_of, operands
from .program import forward


@torch.library.custom_op("regraft_tile::attention_epilogue", mutates_args=())
def attention_epilogue(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    extras: Sequence[Tensor],
    epilogue: str,
    outputs: str,
    mask: str,
    offset: int,
    window: int,
    scale: float,
    softcap: float,
    tile: str,
) -> list[Tensor]:
    """The results of a chain on what :func:`.op.attention_forward` gives, in the order of q's dimensions in memory.

    ``extras``, in the order of the chain's, all of them ``full``, broadcast to [B, Hq, Tq, Dv]. ``outputs`` names the
    types of the results.
    """
    results = _fake(q, k, v, bias, key_lengths, extras, epilogue, outputs)
    if not results[0].numel():
        return results
    shape, after = results[0].shape, chain(epilogue)
    beside = {name: extra.expand(shape) for name, extra in zip(after.extras, extras, strict=True)}
    if k.shape[2] == 0:
        made = after.evaluate(q.new_zeros(shape), beside)
        return [result.copy_(value) for result, value in zip(results, made, strict=True)]
    form = form_of(q, k, v, bias, key_lengths, [], mask, softcap)
    types = tuple(DTYPE_NAMES[extra.dtype] for extra in extras)
    program = partial(forward, epilogue=epilogue, outputs=tuple(outputs.split()), extras=types)
    given = {"q": q, "k": k, "v": v, **operands(q, k, bias, key_lengths)}
    outs = {f"out{at}": result for at, result in enumerate(results)}
    attend(form, given, outs, None, beside, program, (offset, window, scale, softcap), tile)
    return results


@attention_epilogue.register_fake
def _fake(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    extras: Sequence[Tensor],
    epilogue: str,
    outputs: str,
    *rest: Any,
) -> list[Tensor]:
    return [empty_out(q, v, DTYPES[name]) for name in outputs.split()]


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    *tensors, extras, ctx.epilogue, _ = inputs[:8]
    ctx.options = inputs[8:]
    ctx.save_for_backward(*tensors, *extras)


def _backward(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    q, k, v, bias, key_lengths, *extras = ctx.saved_tensors
    if ctx.needs_input_grad[3]:
        raise TileError("attention_epilogue has no gradient of its bias; use regraft::attention, or detach the bias")
    out, lse = attention_forward(q, k, v, bias, key_lengths, [], *ctx.options)
    dout, *beside = chain(ctx.epilogue).gradients(out, extras, grads)
    # Tiles are those of the forward pass.
    options = (*ctx.options[:-1], "")
    along = attention_backward(dout.to(q.dtype), None, q, k, v, out, lse, bias, key_lengths, [], *options)
    found = [grad.to(extra.dtype) for grad, extra in zip(beside, extras, strict=True)]
    return *along, None, None, found, *[None] * 8


attention_epilogue.register_autograd(_backward, setup_context=_save)
