"""The kernel operator ``regraft_tile::long_conv_epilogue``: a long convolution and pointwise work on its result.

Backward computes the convolution again and goes through the work as torch functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...lowering.tile.chain import chain
from ...lowering.tile.ir import DTYPE_NAMES, DTYPES
from .op import convolve, tile_long_conv, tile_long_conv_backward
from .steps import Results


@torch.library.custom_op("regraft_tile::long_conv_epilogue", mutates_args=())
def long_conv_epilogue(
    u: Tensor,
    spectrum: Tensor,
    roots: Tensor,
    twiddle: Tensor,
    skip: Tensor | None,
    pre_gate: Tensor | None,
    post_gate: Tensor | None,
    extras: Sequence[Tensor],
    epilogue: str,
    outputs: str,
    length: int,
    blocks: str,
    paired: bool,
    turns: int,
    warps: int,
) -> list[Tensor]:
    """The results of a chain on what :func:`.op.tile_long_conv` gives, contiguous [B, H, length].

    ``extras``, in the order of the chain's, all of them ``full``, broadcast to the result. ``outputs`` names the types
    of the results.
    """
    shape = (*u.shape[:2], length)
    results = [u.new_empty(shape, dtype=DTYPES[name]) for name in outputs.split()]
    if 0 in shape:
        return results
    gates = {"skip": skip, "pre_gate": pre_gate, "post_gate": post_gate}
    given = {name: tensor for name, tensor in gates.items() if tensor is not None}
    tensors = {name: extra.expand(shape) for name, extra in zip(chain(epilogue).extras, extras, strict=True)}
    tensors |= {f"out{at}": result for at, result in enumerate(results)}
    types = tuple(DTYPE_NAMES[extra.dtype] for extra in extras)
    work = {"epilogue": epilogue, "outputs": tuple(outputs.split()), "extras": types}
    convolve(Results(tensors, length, work), u, spectrum, roots, twiddle, given, blocks, paired, turns, warps)
    return results


@long_conv_epilogue.register_fake
def _(
    u: Tensor,
    spectrum: Tensor,
    roots: Tensor,
    twiddle: Tensor,
    skip: Tensor | None,
    pre_gate: Tensor | None,
    post_gate: Tensor | None,
    extras: Sequence[Tensor],
    epilogue: str,
    outputs: str,
    length: int,
    *rest: Any,
) -> list[Tensor]:
    return [u.new_empty((*u.shape[:2], length), dtype=DTYPES[name]) for name in outputs.split()]


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    *tensors, extras, ctx.epilogue, _, ctx.length = inputs[:11]
    ctx.options = inputs[11:]
    ctx.save_for_backward(*tensors, *extras)


def _backward(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    *tensors, skip, pre_gate, post_gate = ctx.saved_tensors[:7]
    extras, gates = ctx.saved_tensors[7:], (skip, pre_gate, post_gate)
    y = tile_long_conv(*tensors, *gates, ctx.length, *ctx.options)
    dy, *beside = chain(ctx.epilogue).gradients(y, extras, grads)
    wanted = ctx.needs_input_grad
    found = tile_long_conv_backward(dy.to(y.dtype), *tensors, *gates, wanted[1], *ctx.options)
    du, dspectrum, *along = (grad if wanted[at] else None for grad, at in zip(found, (0, 1, 4, 5, 6), strict=True))
    cast = [grad.to(extra.dtype) for grad, extra in zip(beside, extras, strict=True)]
    return du, dspectrum, None, None, *along, cast, *[None] * 7


long_conv_epilogue.register_autograd(_backward, setup_context=_save)
