"""Names of call targets in text, both ways.

An operator is written as torch writes it, ``aten.linear.default`` or ``regraft.attention.default``; a higher-order
operator as ``hop.cond``; the plain functions a graph may call are in a closed table, so that reading a text file can
never call anything else.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch

from .. import ops as _dialect  # noqa: F401  # pyright: ignore[reportUnusedImport]
from ..analysis.effects import ENTER_AUTOCAST, EXIT_AUTOCAST, GRAD_SWITCH
from ..errors import UnsupportedModelError, nearest
from ..program import is_operator

_OPERATORS = "getitem add sub mul floordiv truediv mod neg pow eq ne lt le gt ge and_ or_ not_ pos abs xor"
_MATH = "ceil floor trunc sqrt"
_SYMBOLIC = "sym_max sym_min sym_float sym_int sym_not sym_ite sym_sum sym_fresh_size"

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f"operator.{name}": getattr(operator, name) for name in _OPERATORS.split()},
    **{f"math.{name}": getattr(math, name) for name in _MATH.split()},
    **{f"torch.{name}": getattr(torch, name) for name in _SYMBOLIC.split() if hasattr(torch, name)},
    "torch.set_grad_enabled": GRAD_SWITCH,
    "torch.enter_autocast": ENTER_AUTOCAST,
    "torch.exit_autocast": EXIT_AUTOCAST,
}
_NAMES = {function: name for name, function in _FUNCTIONS.items()}


def target_text(target: Any) -> str:
    """The name of a call target; raises :class:`UnsupportedModelError` for a function outside the table."""
    if is_operator(target):
        return str(target)
    if isinstance(target, torch._ops.HigherOrderOperator):
        return f"hop.{target.name()}"
    name = _NAMES.get(target)
    if name is None:
        raise UnsupportedModelError(
            f"{target} cannot be written as text: it is neither an operator nor one of the plain functions of a graph",
            hint="bring the graph to its normal form first",
        )
    return name


def find_target(name: str) -> Any:
    """The call target of a name; raises ``LookupError`` with a hint when there is none."""
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]
    parts = name.split(".")
    if parts[0] == "hop":
        found = getattr(torch.ops.higher_order, parts[1], None) if len(parts) == 2 else None
        if isinstance(found, torch._ops.HigherOrderOperator):
            return found
    elif len(parts) == 3:
        found: Any = torch.ops
        for part in parts:
            found = getattr(found, part, None)
        if is_operator(found):
            return found
    raise LookupError(nearest(name, _known(parts[0])))


def _known(namespace: str) -> list[str]:
    """Every target of a namespace, or all namespaces' when there is no such namespace."""
    if namespace == "hop":
        return [f"hop.{name}" for name in vars(torch.ops.higher_order) if not name.startswith("_")]
    names = [_dotted(name) for name in torch._C._dispatch_get_all_op_names()]
    inside = [name for name in [*names, *_FUNCTIONS] if name.startswith(f"{namespace}.")]
    return inside or [*names, *_FUNCTIONS]


def _dotted(name: str) -> str:
    namespace, _, rest = name.partition("::")
    return f"{namespace}.{rest}" if "." in rest else f"{namespace}.{rest}.default"
