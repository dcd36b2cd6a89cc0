"""The kernel operator ``regraft_tile::long_conv``: a long convolution whose FFT is matrix products, and its gradients.

``long_conv(u, spectrum, roots, twiddle, skip, pre_gate, post_gate, length, blocks, paired, turns, warps)`` gives
post_gate * (k conv x + skip * x), x = pre_gate * u, contiguous [B, H, length] in u's type, with

- u and pre_gate [B, H, L] of any strides, post_gate [B, H, length], all fp16, bf16 or fp32; skip [H] in fp32;
- spectrum [H, 2, k1, k2] in fp32 and of any strides, by :func:`.tables.spectrum_tiles` of ``blocks`` ("n1 n2 r1 r2":
  factors and kept digits); roots and twiddle by :func:`.tables.roots` for u's type;
- for long sequences three factors, "n0 n1 n2 r0 r1 r2" and spectrum [H, k0, 2, k1, k2]: n0 is a stage of its own
  through device memory (:mod:`.four_step`), three programs instead of one;
- ``paired``, ``turns`` and ``warps`` as in :class:`.fourier.ConvTile`.

Backward keeps the inputs and nothing else. It sums over the batch in fp32 in a fixed order: two runs give the same
bits. FlashFFTConv (arXiv 2311.05908), section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...compiler.ops.spectrum_blocks import SpectrumBlocks
from ...lowering.tile.ir import DTYPE_NAMES
from ..support import execute
from . import program, steps
from .fourier import ConvTile
from .tables import tile_side, tile_sides


@torch.library.custom_op("regraft_tile::long_conv", mutates_args=())
def tile_long_conv(
    u: Tensor,
    spectrum: Tensor,
    roots: Tensor,
    twiddle: Tensor,
    skip: Tensor | None,
    pre_gate: Tensor | None,
    post_gate: Tensor | None,
    length: int,
    blocks: str,
    paired: bool,
    turns: int,
    warps: int,
) -> Tensor:
    """The convolution; raises :class:`regraft.lowering.tile.TileError` for tensors that do not fit."""
    y = u.new_empty((*u.shape[:2], length))
    if y.numel():
        given = _given(skip=skip, pre_gate=pre_gate, post_gate=post_gate)
        convolve(steps.Results.of(y), u, spectrum, roots, twiddle, given, blocks, paired, turns, warps)
    return y


def convolve(
    y: steps.Results,
    u: Tensor,
    spectrum: Tensor,
    roots: Tensor,
    twiddle: Tensor,
    given: Mapping[str, Tensor],
    blocks: str,
    paired: bool,
    turns: int,
    warps: int,
) -> None:
    """Run the programs of a convolution; ``given`` are those of skip, pre_gate and post_gate that there are."""
    factored = _blocks(blocks, max(u.shape[-1], y.length))
    if len(factored.factors) == 3:
        stages = steps.Steps(factored, spectrum, roots, twiddle, paired, turns, warps)
        steps.convolution(stages, y, u, given.get("skip"), given.get("pre_gate"), given.get("post_gate"))
        return
    tile = _tile(u, y.length, factored, paired, turns, warps)
    tensors = {"u": u, "spectrum": spectrum, "roots": roots, "twiddle": twiddle, **given, **y.tensors}
    execute(program.forward(tile, replace(_options(given), **y.work)), tensors)


@tile_long_conv.register_fake
def _(
    u: Tensor,
    spectrum: Tensor,
    roots: Tensor,
    twiddle: Tensor,
    skip: Tensor | None,
    pre_gate: Tensor | None,
    post_gate: Tensor | None,
    length: int,
    blocks: str,
    paired: bool,
    turns: int,
    warps: int,
) -> Tensor:
    return u.new_empty((*u.shape[:2], length))


@torch.library.custom_op("regraft_tile::long_conv_backward", mutates_args=())
def tile_long_conv_backward(
    dy: Tensor,
    u: Tensor,
    spectrum: Tensor,
    roots: Tensor,
    twiddle: Tensor,
    skip: Tensor | None,
    pre_gate: Tensor | None,
    post_gate: Tensor | None,
    filter_gradient: bool,
    blocks: str,
    paired: bool,
    turns: int,
    warps: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of u, spectrum, skip, pre_gate and post_gate; empty where there is none to have."""
    found = _gradients(dy, u, spectrum, skip, pre_gate, post_gate, filter_gradient)
    if not dy.numel():
        for gradient in found:
            gradient.zero_()
        return found
    factored = _blocks(blocks, max(u.shape[-1], dy.shape[-1]))
    if len(factored.factors) == 3:
        stages = steps.Steps(factored, spectrum, roots, twiddle, paired, turns, warps)
        steps.gradients(stages, found, dy, u, skip, pre_gate, post_gate)
        return found
    tile = _tile(u, dy.shape[-1], factored, paired, turns, warps)
    given = _given(skip=skip, pre_gate=pre_gate, post_gate=post_gate)
    tensors = {"dy": dy, "u": u, "spectrum": spectrum, "roots": roots, "twiddle": twiddle, **given}
    names = ("du", "dspectrum", "dskip", "dpre_gate", "dpost_gate")
    outputs = {name: tensor for name, tensor in zip(names, found, strict=True) if tensor.numel()}
    pairs = (u.shape[0] + 1) // 2 if paired else u.shape[0]
    groups = (pairs + turns - 1) // turns
    partial = {name: outputs[name].new_empty((groups, *outputs[name].shape))
               for name in ("dspectrum", "dskip") if name in outputs}  # fmt: skip
    backward = program.backward(tile, _options(given), filter_gradient=filter_gradient)
    execute(backward, {**tensors, **outputs, **partial})
    for name, sums in partial.items():
        torch.sum(sums, 0, out=outputs[name])
    return found


@tile_long_conv_backward.register_fake
def _(
    dy: Tensor,
    u: Tensor,
    spectrum: Tensor,
    roots: Tensor,
    twiddle: Tensor,
    skip: Tensor | None,
    pre_gate: Tensor | None,
    post_gate: Tensor | None,
    filter_gradient: bool,
    blocks: str,
    paired: bool,
    turns: int,
    warps: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return _gradients(dy, u, spectrum, skip, pre_gate, post_gate, filter_gradient)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:7])
    ctx.options = inputs[8:]


def _backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    u, spectrum, roots, twiddle, skip, pre_gate, post_gate = ctx.saved_tensors
    blocks, paired, turns, warps = ctx.options
    found = tile_long_conv_backward(
        dy, u, spectrum, roots, twiddle, skip, pre_gate, post_gate, ctx.needs_input_grad[1],
        blocks, paired, turns, warps,
    )  # fmt: skip
    du, dspectrum, dskip, dpre_gate, dpost_gate = (
        gradient if wanted else None
        for gradient, wanted in zip(found, [ctx.needs_input_grad[at] for at in (0, 1, 4, 5, 6)], strict=True)
    )
    return du, dspectrum, None, None, dskip, dpre_gate, dpost_gate, *[None] * 5


tile_long_conv.register_autograd(_backward, setup_context=_save)


def blocks_text(blocks: SpectrumBlocks) -> str:
    """How the operator takes blocks: "32 32 32 16" for factors (32, 32) of which (32, 16) are kept."""
    return " ".join(map(str, (*blocks.factors, *blocks.kept)))


def _blocks(text: str, length: int) -> SpectrumBlocks:
    numbers = tuple(map(int, text.split()))
    stages = len(numbers) // 2
    blocks = SpectrumBlocks(numbers[:stages], numbers[stages:])
    if length > blocks.size:
        factors = " x ".join(map(str, blocks.factors))
        raise ValueError(f"regraft_tile::long_conv: u has {length} samples, more than the {blocks.size} of {factors}")
    return blocks


def _tile(u: Tensor, length: int, blocks: SpectrumBlocks, paired: bool, turns: int, warps: int) -> ConvTile:
    (n1, n2), (k1, k2) = blocks.factors, tile_sides(blocks)
    rows = tile_side(-(-max(u.shape[-1], length) // n2))
    return ConvTile(n1, n2, rows, k1, k2, DTYPE_NAMES[u.dtype], paired, turns, warps)


def _options(given: Mapping[str, Tensor]) -> program.Options:
    return program.Options("pre_gate" in given, "post_gate" in given, "skip" in given)


def _given(**tensors: Tensor | None) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def _gradients(
    dy: Tensor,
    u: Tensor,
    spectrum: Tensor,
    skip: Tensor | None,
    pre_gate: Tensor | None,
    post_gate: Tensor | None,
    filter_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return (
        u.new_empty(u.shape),
        spectrum.new_empty(spectrum.shape if filter_gradient else (0,)),
        spectrum.new_empty((0,) if skip is None else skip.shape),
        u.new_empty((0,) if pre_gate is None else u.shape),
        u.new_empty((0,) if post_gate is None else dy.shape),
    )
