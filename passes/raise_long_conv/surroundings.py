"""What stands around a convolution and belongs to it: the slice, the skip, the cast back, and the gates.

Each is taken in only where ``long_conv`` computes it at least as precisely, in the same order, and where nothing else
reads what would vanish into it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from ...compiler.calls import bind, cast_of, is_call
from ...compiler.ops.registry import known
from ...compiler.program import fake_of, tensor_of
from .spectra import Signal, Term, Transform, cut_of, same_shape, widens, zeros_around

aten = torch.ops.aten


@dataclass
class Surroundings:
    """The calls after an inverse transform that the convolution takes in; ``root`` is the last of them."""

    samples: fx.Node
    """The real samples the inverse transform gives."""
    root: fx.Node
    start: int = 0
    """First sample kept."""
    skip: fx.Node | None = None
    gate: fx.Node | None = None
    nodes: list[fx.Node] = field(default_factory=list[fx.Node])


def real_part(node: fx.Node) -> fx.Node | None:
    """The real part, when that is all anyone wants of a complex value."""
    user = _only_user(node)
    if is_call(user, aten.real.default):
        return user
    if is_call(user, aten.view_as_real.default):
        pair, user = user, _only_user(user)
        if is_call(user, aten.select.int):
            bound = bind(user)
            if bound["dim"] == fake_of(pair).dim() - 1 and bound["index"] == 0:
                return user
    return None


def surroundings(samples: fx.Node, inverse: Transform, u: Signal, term: Term, *, bare: bool) -> Surroundings:
    """Follow the samples as long as they have one user: a slice, the skip, a cast back to the input's dtype, a gate.

    ``bare`` stops at the slice.
    """
    around = Surroundings(samples, samples, nodes=[samples])
    if _follow_slice(around, inverse, u, bare=bare) or bare:
        return around
    dtype = fake_of(u.node).dtype
    while (user := _only_user(around.root)) is not None:
        if around.skip is None and not term.views and (found := _skip_of(user, around.root, u, inverse.dim)):
            around.skip, product = found
            around.nodes.append(product)
        elif (cast_to := cast_of(user)) is None or cast_to[1] != dtype:
            break
        around.root = user
        around.nodes.append(user)
    gate = _other_factor(user, around.root)
    # The operator multiplies by the gate after its result is back in the input's dtype.
    if (
        user is not None
        and gate is not None
        and fake_of(around.root).dtype == dtype
        and _fills(around.root, u, inverse)
    ):
        around.gate, around.root = gate, user
        around.nodes.append(user)
    return around


def pre_gate_of(u: Signal, term: Term, around: Surroundings) -> fx.Node | None:
    """The product that is convolved, when both its factors have its shape and nothing else reads it."""
    product, result = u.node, fake_of(around.root)
    if not is_call(product, aten.mul.Tensor) or term.views or u.front:
        return None
    if not all(same_shape(factor, product) and fake_of(factor).is_floating_point() for factor in product.args):
        return None
    x = fake_of(product)
    if x.dtype != result.dtype or not known(x.shape[term.dim] == result.shape[term.dim]):
        return None
    inside = {*around.nodes, *u.nodes, *term.nodes}
    return product if all(user in inside for node in (product, *u.nodes) for user in _users(node)) else None


def _follow_slice(around: Surroundings, inverse: Transform, u: Signal, *, bare: bool) -> bool:
    """Take in a slice along time, and a gate that is zero-padded as far as the slice undoes; whether there was one."""
    gate: fx.Node | None = None
    steps: list[fx.Node] = []
    last = around.root
    user = _only_user(last)
    factor = None if bare else _other_factor(user, last)
    padded = None if factor is None else zeros_around(factor, inverse.dim)
    if padded is not None and padded[1] == 0:
        gate, last, steps = padded[0], user, [factor, user]
        user = _only_user(last)
    start = cut_of(user, inverse.dim) if is_call(user, aten.slice.Tensor) else None
    if start is None:
        return False
    if gate is not None and (start or not same_shape(gate, user) or not _fills(user, u, inverse)):
        return False
    around.start, around.gate, around.root = start, gate, user
    around.nodes += [*steps, user]
    return gate is not None


def _skip_of(add: fx.Node, y: fx.Node, u: Signal, dim: int) -> tuple[Any, fx.Node] | None:
    """``(factor, product)`` of ``y + u * factor`` for a factor that is the same at all times."""
    if not is_call(add, aten.add.Tensor) or bind(add)["alpha"] != 1 or not same_shape(add, y):
        return None
    if fake_of(add).dtype != fake_of(y).dtype:
        return None
    operands: Any = add.args
    for product in operands:
        if product is y or not is_call(product, aten.mul.Tensor) or not same_shape(product, add):
            continue
        for x, factor in (product.args, product.args[::-1]):
            skip = tensor_of(factor)
            if skip is None or x is factor or _under_casts(x) is not u.node or not same_shape(x, add):
                continue
            if skip.dim() < -dim or known(skip.shape[dim] == 1):
                return factor, product
    return None


def _fills(result: fx.Node, u: Signal, inverse: Transform) -> bool:
    return known(fake_of(result).shape[inverse.dim] == u.length)


def _other_factor(node: Any, value: fx.Node) -> Any:
    """The other factor of ``value * factor``, when all three have one shape and dtype."""
    if not is_call(node, aten.mul.Tensor):
        return None
    others = [arg for arg in node.args if arg is not value]
    if len(others) != 1 or not same_shape(others[0], node) or not same_shape(value, node):
        return None
    dtypes = {fake_of(each).dtype for each in (others[0], value, node)}
    return others[0] if len(dtypes) == 1 else None


def _under_casts(node: Any) -> Any:
    while (cast_to := cast_of(node)) is not None and widens(cast_to[0], node):
        node = cast_to[0]
    return node


def _users(node: fx.Node) -> list[fx.Node]:
    return [user for user in node.users if not is_call(user, aten._assert_tensor_metadata.default)]


def _only_user(node: fx.Node) -> Any:
    users = _users(node)
    return users[0] if len(users) == 1 and users[0].op == "call_function" else None
