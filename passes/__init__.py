"""The rewrites, one per file, named as on the command line; a lazy table of them.

``registry`` knows these and whatever other packages register under the entry-point group ``regraft.passes``.
"""

from ..compiler.passes import Pass
from ..compiler.registry import Registry

_PACKAGE = __name__

BUILTIN = {
    name: f"{_PACKAGE}.{name.replace('-', '_')}:{class_name}"
    for name, class_name in {
        "canonicalise": "Canonicalise",
        "distill-ssm": "DistillSsm",
        "fold-constants": "FoldConstants",
        "fold-filters": "FoldFilters",
        "fold-grouped-queries": "FoldGroupedQueries",
        "lower-short-conv": "LowerShortConv",
        "raise-attention": "RaiseAttention",
        "raise-gated-mlp": "RaiseGatedMlp",
        "raise-long-conv": "RaiseLongConv",
        "raise-norm": "RaiseNorm",
        "raise-rotary": "RaiseRotary",
        "raise-short-conv": "RaiseShortConv",
        "select-kernels": "SelectKernels",
        "share-prefix": "SharePrefix",
        "sink-expand": "SinkExpand",
        "sparsify-spectrum": "SparsifySpectrum",
        "truncate-filters": "TruncateFilters",
    }.items()
}

# Filters are raised before constants are folded, which would hide them; masks are folded before attention is raised.
DEFAULT = ",".join(
    (
        "canonicalise",
        "raise-norm",
        "raise-rotary",
        "raise-long-conv",
        "raise-short-conv",
        "fold-filters",
        "fold-constants",
        "raise-attention",
        "raise-gated-mlp",
        "sink-expand",
        "share-prefix",
        "fold-grouped-queries",
        "lower-short-conv",
        "select-kernels",
    )
)
"""The default pipeline: every pass in it is exact."""

registry = Registry(BUILTIN, "regraft.passes", Pass, "pass")
