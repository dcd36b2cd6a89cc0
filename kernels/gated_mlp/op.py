"""The kernel operator ``regraft_tile::gated_activation``, act(gate) * up, with its gradients.

gate and up [..., F] of one shape and any strides, in fp32, fp16 or bf16; the activations are those of
:mod:`regraft.compiler.ops.activation`. Results are contiguous, computed in fp32 and rounded once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...lowering.tile.ir import DTYPE_NAMES
from ..support import execute
from .program import SLOPES, Gated, backward, forward


@torch.library.custom_op("regraft_tile::gated_activation", mutates_args=())
def gated_activation(gate: Tensor, up: Tensor, activation: str, rows: int) -> Tensor:
    """The product, in the dtype that gate and up promote to; ``rows`` of one tile, 0 lets the width decide."""
    kind = _kind(gate, up, activation, rows)
    y = _fake(gate, up, activation, rows)
    if y.numel():
        execute(forward(kind), {"gate": _rows(gate), "up": _rows(up), "y": _rows(y)})
    return y


@gated_activation.register_fake
def _fake(gate: Tensor, up: Tensor, activation: str, rows: int) -> Tensor:
    return gate.new_empty(gate.shape, dtype=torch.promote_types(gate.dtype, up.dtype))


@torch.library.custom_op("regraft_tile::gated_activation_backward", mutates_args=())
def gated_activation_backward(
    dy: Tensor, gate: Tensor, up: Tensor, activation: str, rows: int
) -> tuple[Tensor, Tensor]:
    """The gradients of gate and up, each in its dtype."""
    kind = _kind(gate, up, activation, rows)
    dgate, dup = _backward_fake(dy, gate, up, activation, rows)
    if dy.numel():
        given = {"dy": dy, "gate": gate, "up": up, "dgate": dgate, "dup": dup}
        execute(backward(kind), {name: _rows(tensor) for name, tensor in given.items()})
    return dgate, dup


@gated_activation_backward.register_fake
def _backward_fake(dy: Tensor, gate: Tensor, up: Tensor, activation: str, rows: int) -> tuple[Tensor, Tensor]:
    return gate.new_empty(gate.shape), up.new_empty(up.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    gate, up, *ctx.options = inputs
    ctx.save_for_backward(gate, up)


def _backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    return *gated_activation_backward(dy, *ctx.saved_tensors, *ctx.options), None, None


gated_activation.register_autograd(_backward, setup_context=_save)


def _kind(gate: Tensor, up: Tensor, activation: str, rows: int) -> Gated:
    if gate.shape != up.shape:
        raise ValueError(f"regraft_tile::gated_activation: gate is {list(gate.shape)}, up is {list(up.shape)}")
    if activation not in SLOPES:
        raise ValueError(f"regraft_tile::gated_activation: {activation!r} is none of {', '.join(SLOPES)}")
    dtypes = gate.dtype, up.dtype, torch.promote_types(gate.dtype, up.dtype)
    names = [DTYPE_NAMES[dtype] for dtype in dtypes]
    return Gated(activation, gate.shape[-1], names[0], names[1], names[2], rows)


def _rows(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])
