"""Kernel operators of RMSNorm and LayerNorm, with their gradients; formulas and rounding are those of :mod:`.program`.

x [..., N] of any strides in fp32, fp16 or bf16, weight and bias [N] of any of these; leading dimensions may be empty.
Results are contiguous. ``statistics`` are fp32, for the backward, and have no gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...lowering.tile.ir import DTYPE_NAMES
from ..support import execute
from .program import Norm, backward, forward, learned

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@torch.library.custom_op("regraft_tile::norm", mutates_args=())
def norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    centred: bool,
    late: bool,
    offset: float,
    rows: int,
) -> tuple[Tensor, Tensor]:
    """y and statistics: ``layer_norm`` where ``centred``, else ``rms_norm``, cast ``late`` or early."""
    y, statistics = _norm_fake(x, weight, bias, eps, centred, late, offset, rows)
    kind = kind_of(x, weight, bias, centred, late, offset, rows)
    _forward(kind, eps, x=x, weight=weight, bias=bias, y=y, statistics=statistics)
    return y, statistics


@torch.library.custom_op("regraft_tile::add_norm", mutates_args=())
def add_norm(
    x: Tensor,
    residual: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    centred: bool,
    late: bool,
    offset: float,
    rows: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """y, total = x + residual in their dtype, and statistics: :func:`norm` of the total."""
    y, total, statistics = _add_norm_fake(x, residual, weight, bias, eps, centred, late, offset, rows)
    kind = kind_of(x, weight, bias, centred, late, offset, rows, residual=True)
    _forward(kind, eps, x=x, residual=residual, weight=weight, bias=bias, y=y, total=total, statistics=statistics)
    return y, total, statistics


@torch.library.custom_op("regraft_tile::norm_backward", mutates_args=())
def norm_backward(
    dy: Tensor,
    d_total: Tensor | None,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    statistics: Tensor,
    centred: bool,
    late: bool,
    offset: float,
    rows: int,
) -> tuple[Tensor, Tensor]:
    """dx, which ``d_total`` is added to, and the partial sums [weight and bias, workers, N] of their gradients."""
    dx, partials = _norm_backward_fake(dy, d_total, x, weight, bias, statistics, centred, late, offset, rows)
    kind = kind_of(x, weight, bias, centred, late, offset, rows, residual=d_total is not None)
    given = {"dy": _rows(dy), "x": _rows(x), "statistics": statistics, "dx": _rows(dx), "partials": partials}
    given |= {} if weight is None else {"weight": weight}
    given |= {} if d_total is None else {"d_total": _rows(d_total)}
    made = backward(kind)
    execute(made, {buffer.name: given[buffer.name] for buffer in made.buffers})
    if kind.learned and "partials" not in {buffer.name for buffer in made.buffers}:
        apart = learned(kind)
        execute(apart, {buffer.name: given[buffer.name] for buffer in apart.buffers})
    return dx, partials


def out_dtype(x: torch.dtype, weight: torch.dtype | None, late: bool) -> torch.dtype:
    """Dtype of y: that of x, but a late weight promotes."""
    return torch.promote_types(x, weight) if late and weight is not None else x


@norm.register_fake
def _norm_fake(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, centred: bool, late: bool, *rest: Any
) -> tuple[Tensor, Tensor]:
    dtype = out_dtype(x.dtype, None if weight is None else weight.dtype, late)
    count = x.numel() // x.shape[-1] if x.shape[-1] else 0
    return x.new_empty(x.shape, dtype=dtype), x.new_empty((3 if centred else 1, count), dtype=torch.float32)


@add_norm.register_fake
def _add_norm_fake(x: Tensor, residual: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    y, statistics = _norm_fake(x, *rest)
    return y, x.new_empty(x.shape), statistics


@norm_backward.register_fake
def _norm_backward_fake(
    dy: Tensor, d_total: Tensor | None, x: Tensor, weight: Tensor | None, bias: Tensor | None, *rest: Any
) -> tuple[Tensor, Tensor]:
    learned_count = (weight is not None) + (bias is not None)
    partials = x.new_empty((learned_count, Norm.workers, x.shape[-1]), dtype=torch.float32)
    return x.new_empty(x.shape), partials


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, bias, _, *options = inputs
    ctx.save_for_backward(x, weight, bias, output[-1])
    ctx.options = options
    ctx.mark_non_differentiable(output[-1])


def _setup_add(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, total, _ = output
    _setup(ctx, (total, *inputs[2:]), output)


def _backward(ctx: Any, dy: Tensor, _: Any) -> tuple[Any, ...]:
    return *_gradients(ctx, dy, None), *[None] * 5


def _backward_add(ctx: Any, dy: Tensor, d_total: Tensor, _: Any) -> tuple[Any, ...]:
    dx, *others = _gradients(ctx, dy, d_total)
    return dx, dx, *others, *[None] * 5


def _gradients(ctx: Any, dy: Tensor, d_total: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
    x, weight, bias, statistics = ctx.saved_tensors
    dx, partials = norm_backward(dy, d_total, x, weight, bias, statistics, *ctx.options)
    sums = iter(partials.sum(1).unbind(0))
    d_weight, d_bias = (None if given is None else next(sums).to(given.dtype) for given in (weight, bias))
    return dx, d_weight, d_bias


norm.register_autograd(_backward, setup_context=_setup)
add_norm.register_autograd(_backward_add, setup_context=_setup_add)


def kind_of(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    centred: bool,
    late: bool,
    offset: float,
    rows: int,
    *,
    residual: bool = False,
) -> Norm:
    """What a program is made for."""
    out = out_dtype(x.dtype, None if weight is None else weight.dtype, late)
    scale, shift = ("" if given is None else DTYPE_NAMES[given.dtype] for given in (weight, bias))
    width, dtype = int(x.shape[-1]), DTYPE_NAMES[x.dtype]
    return Norm(width, dtype, DTYPE_NAMES[out], scale, shift, centred, residual, late, offset, rows)


def _forward(kind: Norm, eps: float, **given: Tensor | None) -> None:
    tensors = {name: tensor if name in _FLAT else _rows(tensor) for name, tensor in given.items() if tensor is not None}
    execute(forward(kind), tensors, {"eps": eps})


_FLAT = ("weight", "bias", "statistics")


def _rows(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])
