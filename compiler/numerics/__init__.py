"""Checking rewrites by numbers: a program before and after, each against the first one computed in fp64.

A pass that calls itself exact may be no further from fp64 than twice the program before it, with a floor of four units
in the last place of the value's scale; that holds for the largest, the mean and a high quantile of the absolute error
and for the relative l2 error, of every output, every mutated input, every gradient and every rewritten site.

- :func:`compare` holds one value against another; :class:`Comparison` is the outcome.
- :func:`check_program` compares two programs on real inputs; :class:`NumericsRecord` is the outcome.
- :class:`NumericsInstrument` does that round the passes of a pipeline; :class:`NumericsReport` is the outcome.
- :func:`fp64_copy` is the reference itself.
"""

from .check import check_program
from .compare import Comparison, Measures, compare
from .instrument import NumericsInstrument
from .report import NumericsRecord, NumericsReport
from .widen import exactly, fp64_copy, widened

__all__ = [
    "Comparison",
    "Measures",
    "NumericsInstrument",
    "NumericsRecord",
    "NumericsReport",
    "check_program",
    "compare",
    "exactly",
    "fp64_copy",
    "widened",
]
