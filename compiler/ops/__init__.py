"""The dialect: operators that say what is computed, in the torch library namespace ``regraft``.

Importing this package registers them, once. Each has its own file with its definition; :data:`OPS` is the table of all.

>>> torch.ops.regraft.rms_norm(x, weight, eps=1e-5)
>>> is_semantic(node.target) and op_name(node.target) == "rms_norm"
"""

from typing import cast

from torch._ops import OpOverload, OpOverloadPacket

from .attention import ATTENTION, ATTENTION_LSE
from .gated_mlp import GATED_MLP
from .linear_attention import LINEAR_ATTENTION
from .long_conv import LONG_CONV, LONG_CONV_SPECTRUM
from .merge_lse import MERGE_LSE
from .norm import LAYER_NORM, RMS_NORM
from .registry import NAMESPACE, SemanticOp
from .rotary import ROTARY
from .shared_prefix import SHARED_PREFIX_CAT
from .short_conv import SHORT_CONV
from .ssm_scan import SSM_SCAN
from .ssm_scan_companion import SSM_SCAN_COMPANION

__all__ = ["NAMESPACE", "OPS", "SemanticOp", "is_semantic", "op_name"]

OPS: dict[str, SemanticOp] = {
    op.name: op
    for op in (
        ATTENTION,
        ATTENTION_LSE,
        MERGE_LSE,
        RMS_NORM,
        LAYER_NORM,
        ROTARY,
        GATED_MLP,
        LONG_CONV,
        LONG_CONV_SPECTRUM,
        SHORT_CONV,
        LINEAR_ATTENTION,
        SSM_SCAN,
        SSM_SCAN_COMPANION,
        SHARED_PREFIX_CAT,
    )
}


def is_semantic(target: object) -> bool:
    """Whether a node's target (an overload or its packet) is an operator of the dialect."""
    return _find(target) is not None


def op_name(target: object) -> str:
    """The short name of a target, such as ``"attention"``; ``KeyError`` if it is no operator of the dialect."""
    name = _find(target)
    if name is None:
        raise KeyError(f"{target} is not an operator of the dialect; those are {', '.join(OPS)}")
    return name


def _find(target: object) -> str | None:
    if not isinstance(target, OpOverload | OpOverloadPacket):
        return None
    namespace, name = str(cast(object, target)).split(".")[:2]
    return name if namespace == NAMESPACE and name in OPS else None
