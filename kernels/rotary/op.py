"""The kernel operator ``regraft_tile::rotary``, as :mod:`regraft.compiler.ops.rotary` defines it, with its gradients.

x [..., T, D] of at most four dimensions, cos and sin [..., T, R] that broadcast to it, all of any strides in fp32, fp16
or bf16, R even and from 2 to D. The result is contiguous. Everything is computed in fp32 and rounded once.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import Tensor

from ...lowering.tile.ir import DTYPE_NAMES, DTYPES
from ..support import execute
from .program import Rotary, rotation

MOST_DIMS = 4


@torch.library.custom_op("regraft_tile::rotary", mutates_args=())
def rotary(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool, adjoint: bool, out: str, rows: int) -> Tensor:
    """The rotation or its ``adjoint``, in the dtype ``out`` (``""``: what x, cos and sin promote to)."""
    width = cos.shape[-1]
    if width % 2 or not 2 <= width <= x.shape[-1] or x.dim() > MOST_DIMS:
        given = f"x {list(x.shape)} and cos {list(cos.shape)}"
        raise ValueError(
            f"regraft_tile::rotary rotates an even number of x's features in up to 4 dimensions, not {given}"
        )
    y = _fake(x, cos, sin, interleaved, adjoint, out, rows)
    if not y.numel():
        return y
    dtypes = (DTYPE_NAMES[tensor.dtype] for tensor in (x, cos, sin, y))
    kind = Rotary(x.shape[-1], width, *dtypes, interleaved=interleaved, adjoint=adjoint, rows=rows)
    shape = *_four(x).shape[:-1], width
    tables = {"cos": cos.expand(shape), "sin": sin.expand(shape)}
    execute(rotation(kind), {"x": _four(x), **tables, "y": _four(y)})
    return y


@rotary.register_fake
def _fake(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool, adjoint: bool, out: str, rows: int) -> Tensor:
    promoted = reduce(torch.promote_types, (cos.dtype, sin.dtype), x.dtype)
    return x.new_empty(x.shape, dtype=DTYPES[out] if out else promoted)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, cos, sin, ctx.interleaved, ctx.adjoint, _, ctx.rows = inputs
    ctx.dtype = DTYPE_NAMES[x.dtype]
    # Tables are seldom learned, and without them x need not be kept.
    ctx.save_for_backward(cos, sin, x if any(ctx.needs_input_grad[1:3]) else None)


def _backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    cos, sin, x = ctx.saved_tensors
    d_x = d_cos = d_sin = None
    if ctx.needs_input_grad[0]:
        d_x = rotary(dy, cos, sin, ctx.interleaved, not ctx.adjoint, ctx.dtype, ctx.rows)
    if ctx.needs_input_grad[1]:
        d_cos = _onto(x, dy, cos)
    if ctx.needs_input_grad[2]:
        # y depends on sin through (a, b) -> (-b, a), a quarter turn.
        kept, turned = (dy, x) if not ctx.adjoint else (x, dy)
        quarter = torch.zeros_like(cos), torch.ones_like(sin)
        d_sin = _onto(kept, rotary(turned, *quarter, ctx.interleaved, False, "f32", ctx.rows), sin)
    return d_x, d_cos, d_sin, None, None, None, None


rotary.register_autograd(_backward, setup_context=_save)


def _onto(a: Tensor, b: Tensor, table: Tensor) -> Tensor:
    """The sum of products that the gradient of a table is, over what it was broadcast to."""
    products = (a[..., : table.shape[-1]].float() * b[..., : table.shape[-1]].float()).sum_to_size(table.shape)
    return products.to(table.dtype)


def _four(x: Tensor) -> Tensor:
    return x[(None,) * (MOST_DIMS - x.dim())]
