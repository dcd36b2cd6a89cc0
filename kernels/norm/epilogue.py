"""The kernel operator ``regraft_tile::norm_epilogue``: a norm, the sum before it, and pointwise work behind it.

Backward computes the norm again and goes through the work as torch functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...lowering.tile.chain import chain
from ...lowering.tile.ir import DTYPE_NAMES, DTYPES
from ..support import execute
from .op import kind_of, norm, norm_backward
from .program import forward


@torch.library.custom_op("regraft_tile::norm_epilogue", mutates_args=())
def norm_epilogue(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    extras: Sequence[Tensor],
    epilogue: str,
    outputs: str,
    eps: float,
    centred: bool,
    late: bool,
    offset: float,
    rows: int,
) -> list[Tensor]:
    """The results of a chain on what :func:`.op.norm` gives, then x + residual where there is one.

    ``extras`` are in the order of the chain's: of the shape of x for ``full``, one row for ``row``, of the shape of x
    with one column for ``column``. ``outputs`` names the types of the results.
    """
    results = _fake(x, residual, weight, bias, extras, epilogue, outputs)
    if not x.numel():
        return results
    kind = kind_of(x, weight, bias, centred, late, offset, rows, residual=residual is not None)
    named = [f"out{at}" for at in range(len(outputs.split()))] + ["total"] * (residual is not None)
    wide = {"x": x, "residual": residual, **dict(zip(named, results, strict=True))}
    given = {name: _rows(tensor) for name, tensor in wide.items() if tensor is not None}
    given |= {name: tensor for name, tensor in (("weight", weight), ("bias", bias)) if tensor is not None}
    given |= dict(zip(chain(epilogue).extras, _flat(epilogue, extras), strict=True))
    types = tuple(DTYPE_NAMES[extra.dtype] for extra in extras)
    execute(forward(kind, epilogue, tuple(outputs.split()), types), given, {"eps": eps})
    return results


@norm_epilogue.register_fake
def _fake(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    extras: Sequence[Tensor],
    epilogue: str,
    outputs: str,
    *rest: Any,
) -> list[Tensor]:
    results = [x.new_empty(x.shape, dtype=DTYPES[name]) for name in outputs.split()]
    return results if residual is None else [*results, x.new_empty(x.shape)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    x, residual, weight, bias, extras, *ctx.options = inputs
    ctx.summed = residual is not None
    ctx.save_for_backward(output[-1] if ctx.summed else x, weight, bias, *extras)


def _backward(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    x, weight, bias, *extras = ctx.saved_tensors
    epilogue, _, eps, *options = ctx.options
    *along, d_total = grads if ctx.summed else (*grads, None)
    y, statistics = norm(x, weight, bias, eps, *options)
    shaped = [_rows(grad) if grad is not None else None for grad in along]
    dy, *beside = chain(epilogue).gradients(_rows(y), _flat(epilogue, extras), shaped)
    dy = dy.to(y.dtype).reshape(y.shape)
    dx, partials = norm_backward(dy, d_total, x, weight, bias, statistics, *options)
    sums = iter(partials.sum(1).unbind(0))
    learned = [None if given is None else next(sums).to(given.dtype) for given in (weight, bias)]
    found = [grad.to(extra.dtype).reshape(extra.shape) for grad, extra in zip(beside, extras, strict=True)]
    return dx, dx if ctx.summed else None, *learned, found, *[None] * 7


norm_epilogue.register_autograd(_backward, setup_context=_save)


def _flat(epilogue: str, extras: Sequence[Tensor]) -> list[Tensor]:
    """[M, N], [N] or [M] each."""
    names = chain(epilogue).extras
    return [_rows(extra) if name.startswith("full") else extra.reshape(-1)
            for name, extra in zip(names, extras, strict=True)]  # fmt: skip


def _rows(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])
