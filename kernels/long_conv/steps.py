"""The programs of :mod:`.four_step` run one after the other, over tensors as the operator has them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...compiler.ops.spectrum_blocks import SpectrumBlocks
from ...lowering.tile.ir import DTYPE_NAMES
from ..support import execute
from .four_step import BLOCK, OuterTile, inner, inner_gradient, outer_forward, outer_inverse
from .fourier import ConvTile
from .tables import inner_blocks, steps, tile_side, tile_sides


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
        program = outer_forward(self._outer(u), pre_gate=gate is not None, many=rows > BLOCK)
        execute(program, {"u": u, "roots": roots, "twiddle": twiddle, "z": z, **_given(pre_gate=gate)})
        return z

    def convolve(self, z: Tensor, *, conjugate: bool = False) -> Tensor:
        """z convolved with the filter, or correlated, in its own memory."""
        (_, outer), (roots, twiddle) = steps(self.blocks, self.roots, self.twiddle)
        tensors = {"z": z, "spectrum": self.spectrum, "roots": roots, "twiddle": twiddle, "outer_twiddle": outer}
        execute(inner(self._inner(z), z.shape[2], conjugate=conjugate), {**tensors, "out": z})
        return z

    def inverse(
        self, z: Tensor, y: Tensor, u: Tensor, skip: Tensor | None, pre_gate: Tensor | None, post_gate: Tensor | None
    ) -> None:
        """y [B, H, T] = post_gate (z transformed back + skip pre_gate u)."""
        (roots, _), _ = steps(self.blocks, self.roots, self.twiddle)
        skipped = {} if skip is None else {"u": u, **_given(skip=skip, pre_gate=pre_gate)}
        program = outer_inverse(self._outer(y), pre_gate="pre_gate" in skipped, post_gate=post_gate is not None,
                                skip=skip is not None)  # fmt: skip
        execute(program, {"z": z, "roots": roots, "y": y, **skipped, **_given(post_gate=post_gate)})

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

    def _outer(self, samples: Tensor) -> OuterTile:
        rows = min(BLOCK, tile_side(-(-samples.shape[-1] // self._width)))
        n0, k0 = self.blocks.factors[0], tile_sides(self.blocks)[0]
        warps = 4 if n0 <= BLOCK else 8
        return OuterTile(n0, k0, self._width, rows, DTYPE_NAMES[samples.dtype], self.paired, self.turns, warps)

    def _inner(self, z: Tensor) -> ConvTile:
        blocks = inner_blocks(self.blocks)
        (n1, n2), (k1, k2) = blocks.factors, tile_sides(blocks)
        return ConvTile(n1, n2, n1, k1, k2, DTYPE_NAMES[z.dtype], turns=self.turns, warps=self.warps)


def convolution(
    steps: Steps, y: Tensor, u: Tensor, skip: Tensor | None, pre_gate: Tensor | None, post_gate: Tensor | None
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
            steps.inverse(steps.convolve(x), dpost_gate, u, skip, pre_gate, dy)
    steps.convolve(g, conjugate=True)
    steps.inverse(g, du, dy, skip, post_gate, pre_gate)
    if dpre_gate.numel():
        steps.inverse(g, dpre_gate, dy, skip, post_gate, u)
    if dskip.numel():
        both = min(u.shape[-1], dy.shape[-1])
        dskip.copy_((_product(dy, post_gate, both) * _product(u, pre_gate, both)).sum((0, 2)))


def _product(x: Tensor, gate: Tensor | None, length: int) -> Tensor:
    """The first samples of x, times those of a gate, in fp32."""
    made = x[..., :length].float()
    return made if gate is None else made * gate[..., :length].float()


def _given(**tensors: Tensor | None) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}
