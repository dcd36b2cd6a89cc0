"""One folder per operator, and the table of all kernels that :mod:`regraft.lowering.select` chooses from.

``candidates`` knows these and whatever other packages register under the entry-point group ``regraft.kernels``. A name
is ``"<operator>.<own name>"``; nothing is imported until a program has the operator. :func:`families` are the folders
with tile programs to look at.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..lowering.candidates import Candidates
    from ..lowering.tile import Variant

    candidates: Candidates

_PACKAGE = __name__

BUILTIN = {
    name: f"{_PACKAGE}.{path}"
    for name, path in {
        "aten.linear.inductor": "matmul.candidates:LinearReference",
        "aten.linear.tile": "matmul.candidates:LinearTile",
        "aten.mm.inductor": "matmul.candidates:MmReference",
        "aten.mm.tile": "matmul.candidates:MmTile",
        "attention.inductor": "attention.candidates:AttentionReference",
        "attention.tile": "attention.candidates:AttentionTiles",
        "attention_lse.flash": "attention.libraries:AttentionLseFlash",
        "attention_lse.flex": "attention.flex:AttentionLseFlex",
        "attention_lse.inductor": "attention.candidates:AttentionLseReference",
        "attention_lse.sdpa": "attention.sdpa:AttentionLseSdpa",
        "attention_lse.tile": "attention.candidates:AttentionLseTiles",
        "gated_mlp.tile": "gated_mlp.candidates:GatedMlpTile",
        "layer_norm.tile": "norm.candidates:LayerNormTile",
        "linear_attention.tile": "linear_attention.candidates:LinearAttentionTile",
        "long_conv.direct": "long_conv.candidates:Direct",
        "long_conv.inductor": "long_conv.candidates:LongConvReference",
        "long_conv.monarch": "long_conv.candidates:Monarch",
        "long_conv.tile": "long_conv.tile:LongConvTile",
        "long_conv_spectrum.inductor": "long_conv.candidates:FoldedReference",
        "long_conv_spectrum.tile": "long_conv.tile:LongConvSpectrumTile",
        "merge_lse.tile": "merge_lse.candidates:MergeLseTiles",
        "rms_norm.tile": "norm.candidates:RmsNormTile",
        "rotary.tile": "rotary.candidates:RotaryTile",
        "short_conv.inductor": "short_conv.candidates:ShortConvReference",
        "short_conv.tile": "short_conv.candidates:ShortConvTile",
        "ssm_scan.inductor": "ssm_scan.candidates:SsmScanReference",
        "ssm_scan.tile": "ssm_scan.candidates:SsmScanTile",
    }.items()
}


def families() -> dict[str, tuple[Variant, ...]]:
    """The variants of every kernel family, by the name of its folder: those with a ``variants.py``."""
    folders = sorted(file.parent.name for file in Path(__file__).parent.glob("*/variants.py"))
    return {name: tuple(import_module(f".{name}.variants", _PACKAGE).VARIANTS) for name in folders}


def __getattr__(name: str) -> Any:
    # Made when asked for: transformers imports whatever is called "kernels", and in a checkout that is this folder.
    if name != "candidates":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ..lowering.candidates import Candidates, candidate_registry

    globals()["candidates"] = made = Candidates(candidate_registry(BUILTIN))
    return made
