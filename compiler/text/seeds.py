"""Seeded random weights and inputs for a program that came without any.

Values are drawn so that activations stay finite through deep graphs: matrices and filters have variance one over their
fan-in, vectors (norm weights, variances) lie between 0.5 and 1.5, inputs are standard normal. Integers that select rows
of a table stay inside it; other integers and masks are ones, with a few zeros towards the end of the last dimension, as
in a padding mask. Equal seeds and names give equal values, whatever else the program holds.
"""

from __future__ import annotations

import zlib
from typing import Any, cast

import torch
from torch import fx

from ..calls import bind, op_base_name
from ..program import InputKind, Program, tensor_of, value_of

aten = torch.ops.aten

# For each operator that reads rows by number: the argument with the numbers, and the table with its dimension.
_LOOKUPS: dict[Any, tuple[str, str, str | int]] = {
    aten.embedding.default: ("indices", "weight", 0),
    aten.index_select.default: ("index", "self", "dim"),
    aten.gather.default: ("index", "self", "dim"),
    aten.scatter.src: ("index", "self", "dim"),
    aten.scatter.value: ("index", "self", "dim"),
}
_PASSED_ON = {
    "view", "reshape", "slice", "select", "expand", "unsqueeze", "squeeze", "to", "_to_copy", "clone", "alias",
    "contiguous", "flatten", "permute", "transpose", "t", "detach", "detach_", "lift_fresh_copy", "repeat", "cat",
    "where", "masked_fill", "flip", "roll", "expand_as", "view_as",
}  # fmt: skip


def seeded_weights(program: Program, seed: int = 0) -> dict[str, torch.Tensor]:
    """A value for every weight by FQN; tied weights are one tensor, declared constants have their declared values."""
    weights: dict[str, torch.Tensor] = {}
    for record, node in zip(program.inputs, program.placeholders(), strict=True):
        if record.fqn is None or not record.is_weight or record.kind is InputKind.DERIVED:
            continue
        if record.tied_to in weights:
            weights[record.fqn] = weights[record.tied_to]
            continue
        declared = node.meta.get("declared")
        weights[record.fqn] = declared if declared is not None else _draw(node, record.fqn, seed)
    for node in program.prelude.graph.nodes if program.prelude is not None else ():
        if node.op == "placeholder" and node.meta["fqn"] not in weights:
            weights[node.meta["fqn"]] = _draw(node, node.meta["fqn"], seed)
    return weights


def seeded_inputs(program: Program, seed: int = 0) -> list[Any]:
    """A value for every USER and SYMBOL input in order; symbolic sizes take their hints."""
    return [
        _normal(node, seed) if tensor_of(node) is not None else concrete(value_of(node))
        for node in program.user_inputs()
    ]


def seeded_tensor(like: torch.Tensor, name: str, seed: int = 0, bound: int | None = None) -> torch.Tensor:
    """A weight of the type of ``like``; ``bound`` is the number of rows its integers may select from."""
    shape, generator = [concrete(size) for size in like.shape], _generator(name, seed)
    if not (like.dtype.is_floating_point or like.dtype.is_complex):
        return _laid_out(_integers(shape, like.dtype, generator, bound), like)
    if len(shape) < 2 and not like.dtype.is_complex:
        return _laid_out(torch.rand(shape, generator=generator).add(0.5).to(like.dtype), like)
    fan_in = max(1, torch.Size(shape[1:]).numel())
    dtype = torch.complex64 if like.dtype.is_complex else torch.float32
    return _laid_out((torch.randn(shape, generator=generator, dtype=dtype) / fan_in**0.5).to(like.dtype), like)


def concrete(value: Any) -> Any:
    """A number for a symbolic one: its hint, or its lowest allowed value when it has none."""
    if not isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return value
    symbolic = cast(Any, value).node
    if symbolic.has_hint():
        return symbolic.hint
    return int(symbolic.shape_env.bound_sympy(symbolic.expr).lower)


def _draw(node: fx.Node, name: str, seed: int) -> torch.Tensor:
    like = tensor_of(node)
    assert like is not None
    return seeded_tensor(like, name, seed, _rows(node))


def _normal(node: fx.Node, seed: int) -> torch.Tensor:
    like = cast(torch.Tensor, tensor_of(node))
    if not (like.dtype.is_floating_point or like.dtype.is_complex):
        return seeded_tensor(like, node.name, seed, _rows(node))
    dtype = torch.complex64 if like.dtype.is_complex else torch.float32
    shape = [concrete(size) for size in like.shape]
    return _laid_out(torch.randn(shape, generator=_generator(node.name, seed), dtype=dtype).to(like.dtype), like)


def _integers(shape: list[int], dtype: torch.dtype, generator: torch.Generator, bound: int | None) -> torch.Tensor:
    if bound is not None:
        return torch.randint(0, bound, shape, generator=generator).to(dtype)
    values = torch.ones(shape)
    if shape and shape[-1] > 1:
        tail = values[..., shape[-1] - shape[-1] // 4 :]
        tail.copy_(torch.rand(tail.shape, generator=generator) < 0.5)
    return values.to(dtype)


def _rows(node: fx.Node) -> int | None:
    """How many rows the integers of a node may select from, by all the tables they reach; ``None`` for no table."""
    bounds: list[int] = []
    worklist, seen = [node], {node}
    while worklist:
        source = worklist.pop()
        for user in source.users:
            bounds += _bound(user, source)
            if user not in seen and op_base_name(user) in _PASSED_ON:
                seen.add(user)
                worklist.append(user)
    return max(1, min(bounds)) if bounds else None


def _bound(user: fx.Node, source: fx.Node) -> list[int]:
    if user.target in _LOOKUPS:
        bound = bind(user)
        index, table, dim = _LOOKUPS[user.target]
        values = tensor_of(bound[table])
        if bound[index] is source and values is not None:
            return [concrete(values.shape[bound[dim] if isinstance(dim, str) else dim])]
    if user.target is aten.index.Tensor:
        values, indices = tensor_of(user.args[0]), cast("list[Any]", user.args[1])
        return [] if values is None else [concrete(values.shape[at]) for at, i in enumerate(indices) if i is source]
    return []


def _generator(name: str, seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(name.encode()) + seed)


def _laid_out(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The values with the strides and on the device of ``like``."""
    strides = [concrete(stride) for stride in like.stride()]
    if list(values.stride()) != strides:
        values = torch.empty_strided(values.shape, strides, dtype=values.dtype).copy_(values)
    return values.to(like.device)
