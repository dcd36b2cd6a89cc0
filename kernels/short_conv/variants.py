"""Short convolutions worth looking at: Hyena's three taps, Mamba's four in both layouts, most taps backward."""

from functools import partial

from ...lowering.tile.variant import Variant
from .program import ShortConv, backward, forward

_HYENA = ShortConv(3, "f16", bias=True)
_MAMBA = ShortConv(4, "bf16", bias=True, activation="silu", channels=64, times=16)
_MOST = ShortConv(8, "f32", bias=True, activation="gelu")

VARIANTS = (
    Variant("short_conv.f16.3", partial(forward, _HYENA)),
    Variant("short_conv.bf16.4.silu", partial(forward, _MAMBA)),
    Variant("short_conv.bf16.4.silu.backward", partial(backward, _MAMBA)),
    Variant("short_conv.f32.8.gelu.backward", partial(backward, _MOST)),
)
