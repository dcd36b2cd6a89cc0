"""Linear attention worth looking at: every dtype and decay, shared heads, and each kernel of the backward."""

from dataclasses import replace
from functools import partial

from ...lowering.tile.variant import Variant
from .program import LinearAttention, gradients_qk, gradients_v, outputs, states

_RETNET = LinearAttention("bf16", "head", block_k=128, warps=8, stages=1)
_MAMBA = LinearAttention("bf16", "step", True, (64, 64, 1), warps=8, stages=1)
_AMPERE = replace(_MAMBA, chunk=32)
_HALF = LinearAttention("f16", "step", True, warps=8, stages=1)
_SINGLE = LinearAttention("f32", "step", True, chunk=16, block_v=32, stages=1)

VARIANTS = (
    Variant("linear_attention.states.bf16.step", partial(states, _MAMBA)),
    Variant("linear_attention.outputs.bf16.head.128", partial(outputs, _RETNET), ("sm_90", "sm_100")),
    Variant("linear_attention.outputs.f16.step", partial(outputs, _HALF), tf32=True),
    Variant("linear_attention.gradients_qk.bf16.step.64", partial(gradients_qk, _MAMBA), ("sm_90", "sm_100", "gfx942")),
    Variant("linear_attention.gradients_qk.bf16.step.32", partial(gradients_qk, _AMPERE), ("sm_80", "sm_86")),
    Variant("linear_attention.gradients_qk.f32.step", partial(gradients_qk, _SINGLE)),
    Variant("linear_attention.gradients_v.bf16.step", partial(gradients_v, _MAMBA)),
)
