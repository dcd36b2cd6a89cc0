"""Rotations worth looking at: both layouts, tables in fp32, and a part of the features."""

from functools import partial

from ...lowering.tile.variant import Variant
from .program import Rotary, rotation

_LLAMA = Rotary(128, 128, "bf16", "bf16", "bf16", "bf16")
_ADJOINT = Rotary(128, 128, "bf16", "bf16", "bf16", "bf16", adjoint=True)
_GPT_J = Rotary(256, 64, "f16", "f32", "f32", "f32", interleaved=True)
_PHI = Rotary(80, 32, "f32", "f32", "f32", "f32")

VARIANTS = (
    Variant("rotary.half_split.bf16.128", partial(rotation, _LLAMA)),
    Variant("rotary.half_split.bf16.128.adjoint", partial(rotation, _ADJOINT)),
    Variant("rotary.interleaved.f16.64_of_256", partial(rotation, _GPT_J)),
    Variant("rotary.half_split.f32.32_of_80", partial(rotation, _PHI)),
)
