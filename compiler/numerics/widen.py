"""The fp64 reference of a program: the same graph, with every float widened.

Casts and factories ask for fp64 (complex64 for complex128), autocast regions are switched off, and weights and
constants are widened. Run the copy inside :func:`exactly`, which makes fp64 the default dtype too, so that what is
computed from integers is exact as well. Fake values of the copy's nodes are those of the original.

Three kinds of calls mean something else in another dtype. They keep theirs, between casts: draws of random numbers
(``randn`` in fp64 gives other numbers under one seed; dropout does not), reinterpretations of bits, and operators of
other libraries, which may have no fp64 kernel.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import fx
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from ..analysis.effects import ENTER_AUTOCAST, mutated
from ..program import Program, is_operator, value_of

aten = torch.ops.aten

_WIDER = {torch.complex64: torch.complex128, torch.complex32: torch.complex128}
_OWN_NAMESPACES = ("aten", "prims", "regraft", "higher_order")
_BIT_CASTS = (aten.view.dtype,)
# These draw one number per element whatever the dtype, so the widened call makes the same choices.
_DRAWS = "bernoulli bernoulli_ randint randint_like randperm multinomial rrelu scaled_dot_product_attention"
_DROPOUTS = "dropout dropout_ feature_dropout alpha_dropout feature_alpha_dropout native_dropout"
_DTYPE_FREE_DRAWS = frozenset(f"{_DRAWS} {_DROPOUTS}".split())


def fp64_copy(program: Program) -> Program:
    """An independent program that computes in fp64; its :attr:`~.Program.weights` are widened, tied ones still tied."""
    copy = program.copy()
    preludes = [] if copy.prelude is None else [copy.prelude]
    for module in [*(module for _, module in copy.graphs()), *preludes]:
        _widen_constants(module)
        for node in list(module.graph.nodes):
            _widen_node(node)
        module.recompile()
    return replace(copy, weights=None if copy.weights is None else widen_all(copy.weights))


@contextlib.contextmanager
def exactly() -> Generator[None]:
    """Make fp64 the default dtype, for what ``torch`` computes from integers and Python numbers."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def widened(value: Any) -> Any:
    """A floating tensor in fp64, a complex one in complex128, anything else as it is."""
    return value.to(wider(value.dtype)) if isinstance(value, torch.Tensor) else value


def wider(dtype: torch.dtype) -> torch.dtype:
    """fp64 for every floating dtype, complex128 for complex ones, integers as they are."""
    return torch.float64 if dtype.is_floating_point else _WIDER.get(dtype, dtype)


def widen_all(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Widen each distinct tensor once, so that tied weights stay tied."""
    distinct = {id(tensor): tensor for tensor in tensors.values()}
    wide = {key: widened(tensor.detach()) for key, tensor in distinct.items()}
    return {name: wide[id(tensor)] for name, tensor in tensors.items()}


def _widen_node(node: fx.Node) -> None:
    if node.op != "call_function":
        return
    target = node.target
    if target is ENTER_AUTOCAST:
        # (device, dtype, enabled, cache_enabled): an fp64 value is not eligible, but its fp32 neighbours are.
        node.args = (*node.args[:2], False, *node.args[3:])
    elif getattr(target, "__name__", "") == "wrap_with_autocast":
        node.args = (*node.args[:2], False, *node.args[3:])
    elif _keeps_its_dtype(node):
        _insulate(node)
    else:
        node.args, node.kwargs = fx.node.map_aggregate((node.args, node.kwargs), _wider_argument)  # type: ignore


def _wider_argument(argument: Any) -> Any:
    return wider(argument) if isinstance(argument, torch.dtype) else argument


def _keeps_its_dtype(node: fx.Node) -> bool:
    target = node.target
    if not is_operator(target):
        return False
    if target in _BIT_CASTS or target.namespace not in _OWN_NAMESPACES:
        return True
    draws = torch.Tag.nondeterministic_seeded in target.tags
    return draws and target.overloadpacket.__name__ not in _DTYPE_FREE_DRAWS


def _insulate(node: fx.Node) -> None:
    """Run a call in its own dtypes: cast its tensors back, widen its results.

    A call that writes its first argument in place (``uniform_``) writes a narrow copy, which is copied over.
    """
    graph, target = node.graph, node.target
    own = {source: _dtype(source) for source in node.all_input_nodes}
    assert is_operator(target)
    if _dtype_is_open(node):
        node.kwargs = {**node.kwargs, "dtype": _dtype(node)}

    def narrow(source: fx.Node) -> fx.Node:
        dtype = own[source]
        return source if dtype is None or wider(dtype) == dtype else graph.call_function(aten.to.dtype, (source, dtype))

    users, written = list(node.users), mutated(node)
    with graph.inserting_before(node):
        narrowed = {source: narrow(source) for source in own}
        node.args = map_arg(node.args, narrowed.__getitem__)
        node.kwargs = map_arg(node.kwargs, narrowed.__getitem__)
    if not pytree.tree_any(lambda leaf: isinstance(leaf, torch.Tensor), value_of(node)):
        return
    with graph.inserting_after(node):
        if written:
            result = graph.call_function(aten.copy_.default, (written[0], node))
        else:
            result = graph.call_function(_widen_result, (node,))
    for user in users:
        user.replace_input_with(node, result)


def _dtype_is_open(node: fx.Node) -> bool:
    """Whether a call takes the default dtype (or its argument's) because it names none."""
    assert is_operator(node.target)
    names = [argument.name for argument in node.target._schema.arguments]
    return "dtype" in names[len(node.args) :] and node.kwargs.get("dtype") is None and _dtype(node) is not None


def _widen_result(value: Any) -> Any:
    return pytree.tree_map(widened, value)


def _dtype(node: fx.Node) -> torch.dtype | None:
    value = value_of(node)
    return value.dtype if isinstance(value, torch.Tensor) else None


def _widen_constants(module: fx.GraphModule) -> None:
    for name in {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}:
        *parents, leaf = name.split(".")
        owner: Any = module
        for part in parents:
            owner = getattr(owner, part)
        value = getattr(owner, leaf)
        if isinstance(value, torch.Tensor) and wider(value.dtype) != value.dtype:
            delattr(owner, leaf)
            owner.register_buffer(leaf, widened(value.detach()), persistent=False)
