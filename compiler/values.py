"""Fake values of nodes: computing them for new nodes, and comparing them.

Metadata is computed by running the operator on the fake values of its arguments, in the mode (grad, autocast) the node
stands in; no guard is added and no kernel runs.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Generator, Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from torch import fx
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils import _pytree as pytree

from .program import is_operator, value_of

# Layers repeat: the value of a call is a function of the types of its arguments, kept for as long as their mode.
_known: WeakKeyDictionary[FakeTensorMode, dict[Any, Any]] = WeakKeyDictionary()
_DATA_DEPENDENT = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


def evaluate(node: fx.Node, mode: FakeTensorMode | None) -> Any:
    """The fake value of a call, from its arguments' fake values; gradients are remembered only as a flag."""
    args, kwargs = fx.node.map_aggregate((node.args, dict(node.kwargs)), _fake_argument)  # type: ignore[misc]
    if mode is None or not is_operator(node.target) or not _DATA_DEPENDENT.isdisjoint(node.target.tags):
        return _run(node, mode, args, kwargs)
    if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        return _run(node, mode, args, kwargs)
    key = (node.target, torch.is_grad_enabled(), _type_key(args), _type_key(kwargs))
    memo = _known.setdefault(mode, {})
    if key not in memo:
        memo[key] = _run(node, mode, args, kwargs)
    return memo[key]


def _run(node: fx.Node, mode: FakeTensorMode | None, args: Any, kwargs: Any) -> Any:
    # A flag without a history makes a leaf, which autograd would not let an operator write in place.
    history = torch.no_grad() if writes(node.target) else contextlib.nullcontext()
    call = functools.partial(cast(Any, node.target), *args, **kwargs)
    with mode or contextlib.nullcontext(), _quiet(mode), history:
        value = _symbolically(call, node.target) if _is_symbolic((args, kwargs)) else call()
    return pytree.tree_map_only(torch.Tensor, _forget_history, value)


def _symbolically(call: Callable[[], Any], target: Any) -> Any:
    """Call an operator on symbolic sizes: some are written in C++ for concrete ones, and have a Python form, too.

    What the definitions of the dialect call must take the Python form at once: ``pad`` in C++ would fix the sizes.
    """
    if is_operator(target) and target.namespace == "regraft":
        with enable_python_dispatcher():
            return call()
    log = logging.getLogger("torch._subclasses.fake_tensor")
    heard, log.disabled = log.disabled, True
    try:
        return call()
    except RuntimeError as error:
        if not any(sign in str(error) for sign in ("SymIntArrayRef", "with symbolic sizes")):
            raise
        with enable_python_dispatcher():
            return call()
    finally:
        log.disabled = heard


def _is_symbolic(values: Any) -> bool:
    leaves = pytree.tree_leaves(values)
    sizes = (size for leaf in leaves for size in (leaf.shape if isinstance(leaf, torch.Tensor) else (leaf,)))
    return any(isinstance(size, torch.SymInt) for size in sizes)


def writes(target: Any) -> bool:
    """Whether an operator writes to one of its arguments."""
    return is_operator(target) and target._schema.is_mutable


def same_type(left: Any, right: Any) -> bool:
    """Whether two fake values agree in structure, dtype, device and shape (symbolic sizes by expression)."""
    left_leaves, left_spec = pytree.tree_flatten(left)
    right_leaves, right_spec = pytree.tree_flatten(right)
    if len(left_leaves) != len(right_leaves) or left_spec.num_leaves != right_spec.num_leaves:
        return False
    return all(map(_same_leaf, left_leaves, right_leaves))


def same_layout(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether strides agree on every dimension that has more than one element."""
    triples = zip(left.shape, left.stride(), right.stride(), strict=True)
    return all(str(a) == str(b) for size, a, b in triples if str(size) != "1")


def type_text(value: Any) -> str:
    """``f32[2, s0]`` of a tensor value; a tuple's parts in parentheses; ``int``, ``float``, ``bool`` for numbers."""
    if isinstance(value, torch.Tensor):
        return f"{dtype_text(value.dtype)}[{', '.join(map(str, value.shape))}]"
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[Any]", value)
        return "(" + ", ".join(map(type_text, items)) + ("," if len(items) == 1 else "") + ")"
    for kind, name in ((torch.SymBool, "bool"), (bool, "bool"), (torch.SymInt, "int"), (int, "int")):
        if isinstance(value, kind):
            return name
    return "float" if isinstance(value, (float, torch.SymFloat)) else "any"


DTYPE_NAMES: dict[torch.dtype, str] = {
    torch.float64: "f64",
    torch.float32: "f32",
    torch.float16: "f16",
    torch.bfloat16: "bf16",
    torch.complex64: "c64",
    torch.complex128: "c128",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.int16: "i16",
    torch.int8: "i8",
    torch.uint8: "u8",
    torch.bool: "b1",
}


def dtype_text(dtype: torch.dtype) -> str:
    """Short name of a dtype: ``f32``, ``bf16``, ``i64``, ``b1``."""
    return DTYPE_NAMES.get(dtype, str(dtype).removeprefix("torch."))


def _type_key(value: Any) -> Any:
    """What the value of a call can depend on in one argument, hashable."""
    if isinstance(value, torch.Tensor):
        layout = (*map(str, value.shape), "/", *map(str, value.stride()), str(value.storage_offset()))
        flags = (value.requires_grad, value.is_conj(), value.is_neg(), value.layout)
        return (value.dtype, value.device, layout, flags)
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[Any]", value)
        return (type(items).__name__, *map(_type_key, items))
    if isinstance(value, dict):
        return tuple((name, _type_key(item)) for name, item in cast("dict[str, Any]", value).items())
    # 1, 1.0 and True are equal, but not alike.
    return (type(value).__name__, str(value))


def _fake_argument(argument: Any) -> Any:
    if not isinstance(argument, fx.Node):
        return argument
    value = value_of(argument)
    if value is None and argument.op == "get_attr" and argument.graph.owning_module is not None:
        value = argument.graph.owning_module
        for part in str(argument.target).split("."):
            value = getattr(value, part)
    return value


def _forget_history(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.grad_fn is None:
        return tensor
    return tensor.detach().requires_grad_(tensor.requires_grad)


def _same_leaf(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        same_kind = left.dtype == right.dtype and left.device == right.device and left.dim() == right.dim()
        return same_kind and all(str(a) == str(b) for a, b in zip(left.shape, right.shape, strict=True))
    if isinstance(left, torch.Tensor) or isinstance(right, torch.Tensor):
        return False
    return str(left) == str(right)


@contextlib.contextmanager
def _quiet(mode: FakeTensorMode | None) -> Generator[None]:
    """Evaluate without leaving guards behind in the shape environment."""
    shape_env = getattr(mode, "shape_env", None)
    if shape_env is None:
        yield
        return
    with shape_env.suppress_guards():
        yield


def is_fake(value: Any) -> bool:
    """Whether a value is a fake tensor."""
    return isinstance(value, FakeTensor)
