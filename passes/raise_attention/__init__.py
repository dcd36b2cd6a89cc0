"""Raise attention, however spelled, to ``regraft::attention``.

==================  ==================================================================================
``sdpa``            ``aten.scaled_dot_product_attention`` in every spelling of its arguments
``written-out``     softmax(scale * q @ k^T + mask) @ v with ``matmul``, ``bmm``, ``baddbmm`` or ``einsum``,
                    the mask added, filled in or chosen, the logits soft-capped, the softmax in fp32 or not
==================  ==================================================================================

In both, keys and values whose heads were repeated for grouped queries are taken before the repetition, and a mask
that does not depend on the inputs is proved to be causal, sliding, and so on, element by element; in a conjunction
with a padding mask the part that does not depend on the inputs is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...compiler.passes import Numerics
from ...compiler.rules import Rule, RulePass
from .sdpa import RaiseSdpa
from .written_out import RaiseWrittenOut


@dataclass(frozen=True)
class RaiseAttention(RulePass):
    """Say attention in one word, with its mask and its groups of heads spelled out."""

    name: ClassVar[str] = "raise-attention"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    rules: ClassVar[tuple[Rule, ...]] = (RaiseSdpa(), RaiseWrittenOut())
