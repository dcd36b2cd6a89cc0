"""Linear attention worth looking at: every dtype and decay, shared heads, and each kernel of the backward."""

from functools import partial

from ...lowering.tile.variant import Variant
from .program import LinearAttention, gradients_qk, gradients_v, outputs, states

_PLAIN = LinearAttention("bf16", warps=8, stages=1)
_RETNET = LinearAttention("bf16", "head", block_k=128, warps=8, stages=1)
_MAMBA = LinearAttention("bf16", "step", True, (64, 64, 1), warps=8, stages=1)
_HALF = LinearAttention("f16", "step", True, warps=8, stages=1)
_SINGLE = LinearAttention("f32", "step", True, chunk=16, stages=1)

VARIANTS = (
    Variant("linear_attention.states.bf16.step", partial(states, _MAMBA)),
    Variant("linear_attention.states.f32.step.adjoint", partial(states, _SINGLE, adjoint=True)),
    Variant("linear_attention.outputs.bf16.none", partial(outputs, _PLAIN)),
    Variant("linear_attention.outputs.bf16.head.128", partial(outputs, _RETNET)),
    Variant("linear_attention.outputs.bf16.step", partial(outputs, _MAMBA)),
    Variant("linear_attention.outputs.f16.step", partial(outputs, _HALF), tf32=True),
    Variant("linear_attention.outputs.f32.step", partial(outputs, _SINGLE)),
    Variant("linear_attention.gradients_qk.bf16.step", partial(gradients_qk, _MAMBA)),
    Variant("linear_attention.gradients_qk.f32.step", partial(gradients_qk, _SINGLE)),
    Variant("linear_attention.gradients_v.bf16.step", partial(gradients_v, _MAMBA)),
)
