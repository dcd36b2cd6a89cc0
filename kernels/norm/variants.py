"""Norms worth looking at: every dtype, both kinds, narrow rows, rows of a tile and rows that take several."""

from functools import partial

from ...lowering.tile.variant import Variant
from .program import Norm, backward, forward, learned

_LLAMA = Norm(4096, "bf16", "bf16", "bf16", residual=True, late=True)
_GEMMA = Norm(2304, "bf16", "bf16", "bf16", offset=1.0)
_GPT2 = Norm(768, "f16", "f16", "f16", "f16", centred=True)
_HEAD = Norm(128, "bf16", "bf16", "bf16")
_WIDEST = Norm(16384, "f32", "f32", "f32", "f32", centred=True)
_WIDER = Norm(20000, "bf16", "bf16", "bf16", centred=True)

VARIANTS = (
    Variant("norm.add_rms.bf16.4096", partial(forward, _LLAMA)),
    Variant("norm.add_rms.bf16.4096.backward", partial(backward, _LLAMA)),
    Variant("norm.add_rms.bf16.4096.gate", partial(forward, _LLAMA, "x * silu(full0)", ("bf16",), ("bf16",))),
    Variant("norm.rms.bf16.2304", partial(forward, _GEMMA)),
    Variant("norm.layer.f16.768", partial(forward, _GPT2)),
    Variant("norm.layer.f16.768.backward", partial(backward, _GPT2)),
    Variant("norm.rms.bf16.128.backward", partial(backward, _HEAD)),
    Variant("norm.layer.f32.16384", partial(forward, _WIDEST)),
    Variant("norm.layer.bf16.20000.backward", partial(backward, _WIDER)),
    Variant("norm.layer.bf16.20000.learned", partial(learned, _WIDER)),
)
