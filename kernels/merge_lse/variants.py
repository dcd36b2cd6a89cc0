"""Merges worth looking at: a prefix and a suffix, and many parts."""

from functools import partial

from ...lowering.tile.variant import Variant
from .program import Parts, backward, forward

_TWO = Parts(("bf16",) * 2, ("f32",) * 2, 128)
_EIGHT = Parts(("f32",) * 8, ("f32",) * 8, 80)

VARIANTS = (
    Variant("merge_lse.two.bf16.128", partial(forward, _TWO)),
    Variant("merge_lse.two.bf16.128.backward", partial(backward, _TWO, True)),
    Variant("merge_lse.eight.f32.80", partial(forward, _EIGHT)),
)
