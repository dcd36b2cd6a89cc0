"""Whether two programs are the same: node by node, with the place of the first difference."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import torch
from torch import fx

from ..program import Program, module_path, value_of
from .literals import literal
from .printer import declared_value, structure_text
from .symbols import Naming
from .targets import target_text
from .types import value_text


def equal(left: Program, right: Program) -> str | None:
    """The first difference between two programs, or ``None`` when they are equal.

    Compared are inputs, dimensions, operators, operands, types, module paths, and the structures and small constants
    that text keeps; not the values of weights, and not what the tracer called its symbols.
    """
    return next(_differences(left, right), None)


def _differences(left: Program, right: Program) -> Iterator[str]:
    for what in ("door", "training"):
        if getattr(left, what) != getattr(right, what):
            yield f"{what}: {getattr(left, what)!r} and {getattr(right, what)!r}"
    for at, (one, other) in enumerate(zip_longest(left.inputs, right.inputs)):
        if one != other:
            yield f"input {at}: {one} and {other}"
    namings = (Naming(), Naming())
    for what in ("in_spec", "out_spec"):
        texts = [structure_text(getattr(program, what)) for program in (left, right)]
        if texts[0] != texts[1]:
            yield f"{what}: {texts[0]} and {texts[1]}"
    pairs = zip(left.inputs, left.placeholders(), right.placeholders(), strict=True)
    for record, one, other in pairs:
        values = declared_value(left, record, one), declared_value(right, record, other)
        if not _same_tensor(*values):
            yield f"value of {record.name}: {values[0]} and {values[1]}"
    yield from _modules("graph", left.module, right.module, namings)
    if (left.prelude is None) != (right.prelude is None):
        yield "only one has a prelude"
    elif left.prelude is not None and right.prelude is not None:
        yield from _modules("prelude", left.prelude, right.prelude, namings)
    dimensions = [naming.declarations(program) for naming, program in zip(namings, (left, right), strict=True)]
    if dimensions[0] != dimensions[1]:
        yield f"dimensions: {dimensions[0]} and {dimensions[1]}"


def _modules(path: str, left: fx.GraphModule, right: fx.GraphModule, namings: tuple[Naming, Naming]) -> Iterator[str]:
    for one, other in zip_longest(left.graph.nodes, right.graph.nodes):
        if one is None or other is None:
            yield f"{path}: only one has node {next(n.name for n in (one, other) if n is not None)}"
            return
        facts = _facts(one, namings[0]), _facts(other, namings[1])
        for what in facts[0]:
            if facts[0][what] != facts[1][what]:
                yield f"{path}: node {one.name}: {what} {facts[0][what]!r} and {facts[1][what]!r}"
        if one.op == "get_attr":
            yield from _attributes(f"{path}.{one.target}", _owned(left, one), _owned(right, other), namings)


def _facts(node: fx.Node, naming: Naming) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": node.op, "name": node.name, "arguments": literal([node.args, dict(node.kwargs)])}
    if node.op != "output":
        facts["type"] = value_text(value_of(node), naming, layout=node.op == "placeholder")
        facts["module path"] = module_path(node) if node.op != "placeholder" else ""
    if node.op in ("call_function", "get_attr"):
        facts["target"] = target_text(node.target) if node.op == "call_function" else node.target
    return facts


def _attributes(path: str, left: Any, right: Any, namings: tuple[Naming, Naming]) -> Iterator[str]:
    if isinstance(left, fx.GraphModule) and isinstance(right, fx.GraphModule):
        yield from _modules(path, left, right, namings)
    elif isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        if value_text(left, namings[0], layout=True) != value_text(right, namings[1], layout=True):
            yield f"{path}: tensors of different types"
    else:
        yield f"{path}: {type(left).__name__} and {type(right).__name__}"


def _same_tensor(left: torch.Tensor | None, right: torch.Tensor | None) -> bool:
    if left is None or right is None:
        return left is right
    return torch.allclose(left, right, rtol=0, atol=0, equal_nan=left.is_floating_point() or left.is_complex())


def _owned(module: Any, node: fx.Node) -> Any:
    for part in str(node.target).split("."):
        module = getattr(module, part)
    return module
