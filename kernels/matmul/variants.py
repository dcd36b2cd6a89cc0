"""The products to look at: every type, the chains people have, pointers and descriptors."""

from __future__ import annotations

from functools import partial

from ...lowering.tile import Variant
from .program import MatmulTile, matmul

_POINTERS = MatmulTile(128, 128, 64, 8, 8, 3)
_SMALL = MatmulTile(64, 64, 64, 8, 4, 4)
_NARROW = MatmulTile(64, 64, 32, 8, 4, 3)
_DESCRIPTORS = MatmulTile(128, 128, 64, 8, 8, 3, persistent=True, descriptors=True)
_HOPPER = ("sm_90", "sm_100")
_GELU = "gelu(x + row0)"
_BRANCH = "s = x + full0; s, silu(s) * full1"

VARIANTS = (
    Variant("matmul.bf16", partial(matmul, _SMALL, "bf16", ("bf16",))),
    Variant("matmul.bf16.linear-bias-gelu", partial(matmul, _SMALL, "bf16", ("bf16",), weight=True, epilogue=_GELU,
                                                    extras=("bf16",))),
    Variant("matmul.bf16.residual-gate", partial(matmul, _SMALL, "bf16", ("bf16", "bf16"), weight=True,
                                                 epilogue=_BRANCH, extras=("bf16", "bf16"))),
    Variant("matmul.bf16.gated-prologue", partial(matmul, _SMALL, "bf16", ("bf16",), weight=True,
                                                  prologue="silu(x) * full0", extras=("bf16",))),
    Variant("matmul.bf16.large", partial(matmul, _POINTERS, "bf16", ("bf16",), weight=True),
            arches=("sm_80", *_HOPPER)),
    Variant("matmul.bf16.descriptors", partial(matmul, _DESCRIPTORS, "bf16", ("bf16",), weight=True, epilogue=_GELU,
                                               extras=("bf16",)), arches=_HOPPER),
    Variant("matmul.f16", partial(matmul, _SMALL, "f16", ("f16",))),
    Variant("matmul.f32", partial(matmul, _NARROW, "f32", ("f32",), weight=True)),
    Variant("matmul.tf32", partial(matmul, _NARROW, "f32", ("f32",), weight=True, precision="tf32"), tf32=True),
)  # fmt: skip
