"""One folder per operator, and the table of all kernels that :mod:`regraft.lowering.select` chooses from.

``candidates`` knows these and whatever other packages register under the entry-point group ``regraft.kernels``. A name
is ``"<operator>.<own name>"``; nothing is imported until a program has the operator.
"""

from ..lowering.candidates import Candidates, candidate_registry

_PACKAGE = __name__

BUILTIN = {
    name: f"{_PACKAGE}.{path}"
    for name, path in {
        "long_conv.direct": "long_conv.candidates:Direct",
        "long_conv.inductor": "long_conv.candidates:LongConvReference",
        "long_conv.monarch": "long_conv.candidates:Monarch",
        "long_conv_spectrum.inductor": "long_conv.candidates:FoldedReference",
    }.items()
}

candidates = Candidates(candidate_registry(BUILTIN))
