"""The kernel operator ``regraft_tile::matmul``: products with pointwise work absorbed, and their gradients.

Backward recomputes the product without its epilogue, differentiates the chains as torch functions, and leaves the two
matrix products of a linear layer's backward to ATen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...lowering.tile.chain import chain
from ...lowering.tile.ir import DTYPE_NAMES, DTYPES
from ..support import execute
from .program import MatmulTile, matmul


@torch.library.custom_op("regraft_tile::matmul", mutates_args=())
def tile_matmul(
    a: Tensor,
    b: Tensor,
    extras: Sequence[Tensor],
    weight: bool,
    prologue: str,
    epilogue: str,
    outputs: str,
    tile: str,
    precision: str,
) -> list[Tensor]:
    """``epilogue(prologue(a) @ b)`` for a [M, K] and b [K, N], or [N, K] with ``weight``; contiguous [M, N] results.

    ``extras`` are the operands of the chains, the prologue's first, each in the order of :attr:`Chain.extras`: [M, K]
    or [M, N] for ``full``, a vector for ``row`` and ``column``. ``outputs`` names the results' types (``"bf16 f32"``),
    ``tile`` is a :class:`.program.MatmulTile` as text, ``precision`` "" or what f32 operands are rounded to.

    Raises :class:`regraft.lowering.tile.TileError` for a chain that cannot be read and for shapes that do not fit.
    """
    shape = (a.shape[0], b.shape[0] if weight else b.shape[1])
    results = [a.new_empty(shape, dtype=DTYPES[name]) for name in outputs.split()]
    if 0 in shape:
        return results
    program = matmul(
        MatmulTile.parse(tile),
        DTYPE_NAMES[a.dtype],
        tuple(outputs.split()),
        weight=weight,
        prologue=prologue,
        epilogue=epilogue,
        extras=tuple(DTYPE_NAMES[extra.dtype] for extra in extras),
        precision=precision,
    )
    before, after = chain(prologue), chain(epilogue)
    names = [f"before_{name}" for name in before.extras] + [f"after_{name}" for name in after.extras]
    tensors = {"a": a, "b": b, **dict(zip(names, extras, strict=True))}
    execute(program, tensors | {f"out{at}": result for at, result in enumerate(results)})
    return results


@tile_matmul.register_fake
def _(
    a: Tensor,
    b: Tensor,
    extras: Sequence[Tensor],
    weight: bool,
    prologue: str,
    epilogue: str,
    outputs: str,
    tile: str,
    precision: str,
) -> list[Tensor]:
    torch._check(a.shape[1] == b.shape[1 if weight else 0])
    shape = (a.shape[0], b.shape[0] if weight else b.shape[1])
    return [a.new_empty(shape, dtype=DTYPES[name]) for name in outputs.split()]


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    a, b, extras, *options = inputs
    ctx.save_for_backward(a, b, *extras)
    ctx.options = options


def _backward(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    a, b, *extras = ctx.saved_tensors
    weight, prologue, epilogue, _, tile, precision = ctx.options
    before, after = chain(prologue), chain(epilogue)
    count = len(before.extras)
    (left,) = before.evaluate(a, dict(zip(before.extras, extras[:count], strict=True)))
    operand = left.to(a.dtype)
    (product,) = tile_matmul(operand, b, [], weight, "x", "x", "f32", tile, precision)
    d_product, *d_after = after.gradients(product, extras[count:], grads)
    d_product = d_product.to(a.dtype)
    d_left = d_product @ (b if weight else b.mT)
    d_b = d_product.mT @ operand if weight else operand.mT @ d_product
    d_a, *d_before = before.gradients(a, extras[:count], [d_left])
    cast = [grad.to(extra.dtype) for grad, extra in zip((*d_before, *d_after), extras, strict=True)]
    return d_a.to(a.dtype), d_b, cast, *([None] * 6)


tile_matmul.register_autograd(_backward, setup_context=_save)
