"""Long convolutions worth looking at: one program of 1024 to 4096 points, gated, every dtype, backward, zero blocks.

And the programs of longer ones: an outer stage of 16 points round 512 (8192), of 64 round 1024, of 512 round 4096.
"""

from functools import partial

from ...lowering.tile.ir import Program
from ...lowering.tile.variant import Variant
from .four_step import OuterTile, inner, inner_gradient, outer_forward, outer_inverse
from .fourier import ConvTile
from .program import Options, backward, forward

_GATED = Options(pre_gate=True, post_gate=True, skip=True)
_4096 = {"sm_90": 576, "gfx942": 3072}


def _forward(n: int, dtype: str, k2: int = 0) -> partial[Program]:
    return partial(forward, ConvTile(n, n, n // 2, n, k2 or n, dtype, turns=8, warps=8), _GATED)


def _backward(n: int, dtype: str) -> partial[Program]:
    return partial(backward, ConvTile(n, n, n // 2, n, n, dtype, turns=8, warps=8), _GATED)


def _outer(n0: int, width: int) -> OuterTile:
    return OuterTile(n0, n0, width, min(64, max(16, n0 // 2)), "bf16", turns=8, warps=4 if n0 <= 64 else 8)


def _outer_forward(n0: int, width: int) -> partial[Program]:
    return partial(outer_forward, _outer(n0, width), pre_gate=True, many=n0 > 128)


def _outer_inverse(n0: int, width: int) -> partial[Program]:
    return partial(outer_inverse, _outer(n0, width), pre_gate=True, post_gate=True, skip=True)


def _inner(n1: int, n2: int, dtype: str = "bf16") -> ConvTile:
    return ConvTile(n1, n2, n1, n1, n2, dtype, turns=8, warps=8 if n1 * n2 > 512 else 4)


_ALONE = partial(forward, ConvTile(32, 32, 16, 32, 32, "bf16", paired=False), Options())
_WORK = Options(skip=True, epilogue="gelu(x) + full0", outputs=("bf16",), extras=("bf16",))
_GELU = partial(forward, ConvTile(32, 32, 16, 32, 32, "bf16", turns=8), _WORK)

VARIANTS = (
    Variant("long_conv.gated.bf16.1024", _forward(32, "bf16")),
    Variant("long_conv.gated.f16.1024", _forward(32, "f16")),
    Variant("long_conv.gated.f32.1024", _forward(32, "f32"), spill_bytes={"gfx942": 704}),
    Variant("long_conv.alone.bf16.1024", _ALONE),
    Variant("long_conv.gelu_residual.bf16.1024", _GELU),
    Variant("long_conv.gated.bf16.4096", _forward(64, "bf16"), spill_bytes=_4096),
    Variant("long_conv.gated.f16.4096", _forward(64, "f16"), spill_bytes=_4096),
    Variant("long_conv.sparse.bf16.4096", _forward(64, "bf16", k2=16), spill_bytes={"sm_90": 136, "gfx942": 1792}),
    Variant("long_conv.outer_forward.bf16.8192", _outer_forward(16, 512)),
    Variant("long_conv.outer_forward.bf16.2M", _outer_forward(512, 4096), spill_bytes={"sm_80": 64, "sm_86": 64}),
    Variant("long_conv.outer_inverse.bf16.8192", _outer_inverse(16, 512)),
    Variant("long_conv.inner.bf16.8192", partial(inner, _inner(32, 16), 16)),
    Variant("long_conv.inner.f16.65536", partial(inner, _inner(32, 32, "f16"), 64), spill_bytes={"gfx942": 384}),
    Variant("long_conv.inner_gradient.bf16.8192", partial(inner_gradient, _inner(32, 16), 16)),
    Variant("long_conv.backward.bf16.1024", _backward(32, "bf16"), spill_bytes={"gfx942": 832}),
)
