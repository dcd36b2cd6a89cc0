"""Raise convolutions written through the Fourier transform, and depthwise ones with many taps, to ``long_conv``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...compiler.passes import Numerics, PassContext
from ...compiler.program import Program
from ...compiler.rules import RulePass, apply_rules
from .depthwise import LongDepthwise
from .fft import BareFftConv, FftConv

__all__ = ["RaiseLongConv"]


@dataclass(frozen=True)
class RaiseLongConv(RulePass):
    """Raise FFT convolutions in every spelling, with skip and gates, and long depthwise convolutions."""

    name: ClassVar[str] = "raise-long-conv"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    rules = (FftConv(), BareFftConv(), LongDepthwise())
    min_taps: int = 256
    """Depthwise filters of fewer taps stay direct convolutions, which are faster up to about 150 taps on a CPU."""

    def run(self, program: Program, ctx: PassContext) -> None:
        """Apply the rules with this limit."""
        apply_rules((*self.rules[:2], LongDepthwise(self.min_taps)), program, ctx)
