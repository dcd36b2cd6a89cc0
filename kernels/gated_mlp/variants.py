"""Gated activations worth looking at: the widths of common models and the longest formulas."""

from functools import partial

from ...lowering.tile.variant import Variant
from .program import Gated, backward, forward

_LLAMA = Gated("silu", 14336, "bf16", "bf16", "bf16")
_GEMMA = Gated("gelu_tanh", 9216, "f16", "f16", "f16")
_T5 = Gated("gelu", 2816, "f32", "f32", "f32")

VARIANTS = (
    Variant("gated_mlp.silu.bf16.14336", partial(forward, _LLAMA)),
    Variant("gated_mlp.silu.bf16.14336.backward", partial(backward, _LLAMA)),
    Variant("gated_mlp.gelu_tanh.f16.9216.backward", partial(backward, _GEMMA)),
    Variant("gated_mlp.gelu.f32.2816.backward", partial(backward, _T5)),
)
