"""Recognise RMSNorm and LayerNorm over the last dimension, written out or as ATen operators.

The largest reading at a place wins: a weight and a cast that belong to the norm are taken with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...compiler.passes import Numerics
from ...compiler.rules import Rule, RulePass
from .layer_norm import RaiseLayer
from .rms_norm import RaiseAtenRms, RaiseRms


@dataclass(frozen=True)
class RaiseNorm(RulePass):
    """Name RMSNorm and LayerNorm, however they are written, as ``rms_norm`` and ``layer_norm``."""

    name: ClassVar[str] = "raise-norm"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    rules: ClassVar[tuple[Rule, ...]] = (RaiseLayer(), RaiseRms(), RaiseAtenRms())
