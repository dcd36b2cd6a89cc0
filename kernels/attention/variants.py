"""Attention worth looking at: the usual heads and masks, decoding with grouped queries, every dtype, backward."""

from functools import partial

from ...lowering.tile.ir import Program
from ...lowering.tile.variant import Variant
from .backward import backward_keys, backward_queries
from .program import AttentionTile, Form, forward

_SMALL, _LARGE = ("sm_80", "sm_86", "gfx942"), ("sm_90", "sm_100")


def _backward(build: object, form: Form, tile: str) -> partial[Program]:
    return partial(build, form, AttentionTile.parse(tile))  # type: ignore[arg-type]


def _forward(form: Form, tile: str) -> partial[Program]:
    return partial(forward, form, AttentionTile.parse(tile))


def _gated(form: Form, tile: str) -> partial[Program]:
    gate, types = "x * sigmoid(full0)", (form.dtype,)
    return partial(forward, form, AttentionTile.parse(tile), gate, types, types)


_D64, _D128 = Form("bf16", 64, 64, mask="causal"), Form("bf16", 128, 128, mask="causal")
_SLIDING = Form("bf16", 128, 128, group=4, mask="sliding")
_DECODE = Form("bf16", 128, 128, lengths=True, packed=True)
_GEMMA = Form("bf16", 256, 256, group=2, mask="causal", softcap=True)
_ODD = Form("f16", 80, 80, mask="block_causal", bias="bool")
_PADDED = {"sm_80": 32, "sm_86": 32, "gfx942": 80}
_EXACT = Form("f32", 64, 64, mask="causal")

VARIANTS = (
    Variant("attention.causal.bf16.64", _forward(_D64, "128x64,w4,s2")),
    Variant("attention.causal.bf16.128", _forward(_D128, "128x64,w8,s2")),
    Variant("attention.causal.bf16.128.gate", _gated(_D128, "128x64,w8,s2"), spill_bytes={"sm_80": 96}),
    Variant("attention.sliding.bf16.128", _forward(_SLIDING, "128x64,w8,s2"), spill_bytes={"sm_80": 32, "gfx942": 80}),
    Variant("attention.decode.bf16.128", _forward(_DECODE, "16x64,w4,s2"), spill_bytes={"sm_80": 8}),
    Variant("attention.softcap.bf16.256", _forward(_GEMMA, "64x32,w8,s1")),
    Variant("attention.blocks.f16.80", _forward(_ODD, "64x64,w4,s2"), spill_bytes=_PADDED),
    Variant("attention.causal.f32.64", _forward(_EXACT, "32x32,w8,s2")),
    Variant(
        "attention.keys.bf16.64", _backward(backward_keys, _D64, "64x64,w4,s2"), spill_bytes={"sm_80": 16, "sm_86": 8}
    ),
    Variant("attention.queries.bf16.64", _backward(backward_queries, _D64, "64x64,w4,s2")),
    Variant("attention.keys.bf16.128", _backward(backward_keys, _D128, "64x64,w8,s2"), _LARGE),
    Variant("attention.queries.bf16.128", _backward(backward_queries, _D128, "64x64,w8,s2"), _LARGE),
    Variant("attention.keys.bf16.128.small", _backward(backward_keys, _D128, "32x64,w8,s1"), _SMALL),
)
