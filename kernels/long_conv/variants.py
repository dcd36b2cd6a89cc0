"""Long convolutions worth looking at: one program of 1024 to 4096 points, gated, every dtype, backward, zero blocks."""

from functools import partial

from ...lowering.tile.ir import Program
from ...lowering.tile.variant import Variant
from .fourier import ConvTile
from .program import Options, backward, forward

_GATED = Options(pre_gate=True, post_gate=True, skip=True)
_4096 = {"sm_90": 576, "gfx942": 3072}


def _forward(n: int, dtype: str, k2: int = 0) -> partial[Program]:
    return partial(forward, ConvTile(n, n, n // 2, n, k2 or n, dtype, turns=8, warps=8), _GATED)


def _backward(n: int, dtype: str) -> partial[Program]:
    return partial(backward, ConvTile(n, n, n // 2, n, n, dtype, turns=8, warps=8), _GATED)


_ALONE = partial(forward, ConvTile(32, 32, 16, 32, 32, "bf16", paired=False), Options())

VARIANTS = (
    Variant("long_conv.gated.bf16.1024", _forward(32, "bf16")),
    Variant("long_conv.gated.f16.1024", _forward(32, "f16")),
    Variant("long_conv.gated.f32.1024", _forward(32, "f32"), spill_bytes={"gfx942": 704}),
    Variant("long_conv.alone.bf16.1024", _ALONE),
    Variant("long_conv.gated.bf16.4096", _forward(64, "bf16"), spill_bytes=_4096),
    Variant("long_conv.gated.f16.4096", _forward(64, "f16"), spill_bytes=_4096),
    Variant("long_conv.sparse.bf16.4096", _forward(64, "bf16", k2=16), spill_bytes={"sm_90": 136, "gfx942": 1792}),
    Variant("long_conv.backward.bf16.1024", _backward(32, "bf16"), spill_bytes={"gfx942": 832}),
)
