"""The programs of :mod:`.four_step` run one after the other, over tensors as the operator has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...compiler.ops.spectrum_blocks import SpectrumBlocks
from ...lowering.tile.ir import DTYPE_NAMES
from ..support import execute
from .four_step import BLOCK, OuterTile, inner, inner_gradient, outer_forward, outer_inverse
from .fourier import ConvTile
from .tables import inner_blocks, steps, tile_side, tile_sides


@dataclass(frozen=True)
class Results:
    """Where a convolution goes: y [B, H, T], or what work behind it makes of that."""

    tensors: Mapping[str, Tensor]
    """Results, and operands of the work, as programs name them."""
    length: int
    work: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """``epilogue``, ``outputs`` and ``extras`` of a program."""

    @classmethod
    def of(cls, y: Tensor) -> Results:
        """Without work."""
        return cls({"y": y}, y.shape[-1])


@dataclass(frozen=True)
class Steps:
    """A transform of three stages and its tables."""

    blocks: SpectrumBlocks
    spectrum: Tensor
    """[H, k0, 2, k1, k2]"""
    roots: Tensor
    twiddle: Tensor
    paired: bool
    turns: int
    warps: int

    def forward(self, u: Tensor, gate: Tensor | None) -> Tensor:
        """z [pairs, H, k0, 2, M], the outer stage of gate * u."""
        rows, pairs = -(-u.shape[-1] // self._width), (u.shape[0] + 1) // 2 if self.paired else u.shape[0]
        (roots, twiddle), _ = steps(self.blocks, self.roots, self.twiddle)
        z = u.new_empty(pairs, u.shape[1], twiddle.shape[1], 2, self._width)
        program = outer_forward(self._outer(u.dtype, u.shape[-1]), pre_gate=gate is not None, many=rows > BLOCK)
        execute(program, {"u": u, "roots": roots, "twiddle": twiddle, "z": z, **_given(pre_gate=gate)})
        return z

    def convolve(self, z: Tensor, *, conjugate: bool = False) -> Tensor:
        """z convolved with the filter, or correlated, in its own memory."""
        (_, outer), (roots, twiddle) = steps(self.blocks, self.roots, self.twiddle)
        tensors = {"z": z, "spectrum": self.spectrum, "roots": roots, "twiddle": twiddle, "outer_twiddle": outer}
        execute(inner(self._inner(z), z.shape[2], conjugate=conjugate), {**tensors, "out": z})
        return z

    def inverse(
        self, z: Tensor, y: Results, u: Tensor, skip: Tensor | None, pre_gate: Tensor | None, post_gate: Tensor | None
    ) -> None:
        """y [B, H, T] = post_gate (z transformed back + skip pre_gate u)."""
        (roots, _), _ = steps(self.blocks, self.roots, self.twiddle)
        skipped = {} if skip is None else {"u": u, **_given(skip=skip, pre_gate=pre_gate)}
        program = outer_inverse(self._outer(u.dtype, y.length), pre_gate="pre_gate" in skipped,
                                post_gate=post_gate is not None, skip=skip is not None, **y.work)  # fmt: skip
        execute(program, {"z": z, "roots": roots, **y.tensors, **skipped, **_given(post_gate=post_gate)})

    def spectrum_gradient(self, z: Tensor, zg: Tensor) -> Tensor:
        """Of the filter's spectrum, from z of x and zg of g, as :meth:`forward` gives them."""
        _, (roots, twiddle) = steps(self.blocks, self.roots, self.twiddle)
        partial = self.spectrum.new_empty(-(-z.shape[0] // self.turns), *self.spectrum.shape)
        tensors = {"z": z, "zg": zg, "roots": roots, "twiddle": twiddle, "dspectrum": partial}
        execute(inner_gradient(self._inner(z), z.shape[2]), tensors)
        return partial.sum(0)

    @property
    def _width(self) -> int:
        return self.blocks.size // self.blocks.factors[0]

    def _outer(self, dtype: torch.dtype, length: int) -> OuterTile:
        rows = min(BLOCK, tile_side(-(-length // self._width)))
        n0, k0 = self.blocks.factors[0], tile_sides(self.blocks)[0]
        warps = 4 if n0 <= BLOCK else 8
        return OuterTile(n0, k0, self._width, rows, DTYPE_NAMES[dtype], self.paired, self.turns, warps)

    def _inner(self, z: Tensor) -> ConvTile:
        blocks = inner_blocks(self.blocks)
        (n1, n2), (k1, k2) = blocks.factors, tile_sides(blocks)
        return ConvTile(n1, n2, n1, k1, k2, DTYPE_NAMES[z.dtype], turns=self.turns, warps=self.warps)


def convolution(
    steps: Steps, y: Results, u: Tensor, skip: Tensor | None, pre_gate: Tensor | None, post_gate: Tensor | None
) -> None:
    """y = post_gate (k conv x + skip x), x = pre_gate u."""
    steps.inverse(steps.convolve(steps.forward(u, pre_gate)), y, u, skip, pre_gate, post_gate)


def gradients(
    steps: Steps,
    found: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    dy: Tensor,
    u: Tensor,
    skip: Tensor | None,
    pre_gate: Tensor | None,
    post_gate: Tensor | None,
) -> None:
    """Of u, spectrum, skip, pre_gate and post_gate, into those of ``found`` that are not empty."""
    du, dspectrum, dskip, dpre_gate, dpost_gate = found
    g = steps.forward(dy, post_gate)
    if dspectrum.numel() or dpost_gate.numel():
        x = steps.forward(u, pre_gate)
        if dspectrum.numel():
            dspectrum.copy_(steps.spectrum_gradient(x, g))
        if dpost_gate.numel():
            # y without its gate, times dy.
            steps.inverse(steps.convolve(x), Results.of(dpost_gate), u, skip, pre_gate, dy)
    steps.convolve(g, conjugate=True)
    steps.inverse(g, Results.of(du), dy, skip, post_gate, pre_gate)
    if dpre_gate.numel():
        steps.inverse(g, Results.of(dpre_gate), dy, skip, post_gate, u)
    if dskip.numel():
        both = min(u.shape[-1], dy.shape[-1])
        dskip.copy_((_product(dy, post_gate, both) * _product(u, pre_gate, both)).sum((0, 2)))


def _product(x: Tensor, gate: Tensor | None, length: int) -> Tensor:
    """The first samples of x, times those of a gate, in fp32."""
    made = x[..., :length].float()
    return made if gate is None else made * gate[..., :length].float()


def _given(**tensors: Tensor | None) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}
