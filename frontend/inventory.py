"""What a program holds, counted: inputs, weights, operators, sites."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ..compiler.analysis.cost import cost
from ..compiler.pipeline import size
from ..compiler.program import InputKind, Program, value_of
from ..compiler.sites import Site, select, sites
from ..compiler.values import type_text


@dataclass(frozen=True)
class Inventory:
    """Counts of one program."""

    door: str
    nodes: int
    graphs: int
    inputs: dict[str, str]
    """Types of the values of a call, by name."""
    ranges: dict[str, tuple[int, int | None]]
    operators: dict[str, int]
    """Calls by operator, the most frequent first."""
    semantic: dict[str, int]
    """Those of the dialect."""
    parameters: int
    """Elements, tied ones once."""
    parameter_tensors: int
    tied: int
    buffers: int
    weight_bytes: int
    sizes: dict[str, int]
    """The sizes of dynamic dimensions that the cost is for."""
    cost: dict[str, float]
    """FLOPs, those in matrix multiplications, and bytes read and written with nothing fused, of one call."""
    uncounted: dict[str, int]
    """Operators whose FLOPs are not known."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def take_inventory(program: Program) -> Inventory:
    """Count what is in a program."""
    calls = Counter(
        str(node.target) for _, module in program.graphs() for node in module.graph.nodes if node.op == "call_function"
    )
    pairs = list(zip(program.inputs, program.placeholders(), strict=True))
    own = [(record, value_of(node)) for record, node in pairs if record.is_weight and record.tied_to is None]
    parameters = [value for record, value in own if record.kind is InputKind.PARAMETER]
    sizes = example_sizes(program)
    costs = cost(program)
    totals = costs.total.at(sizes)
    return Inventory(
        program.door,
        size(program),
        len(list(program.graphs())),
        {node.name: type_text(value_of(node)) for record, node in pairs if not record.is_weight},
        program.ranges,
        dict(calls.most_common()),
        {name.split(".")[1]: count for name, count in calls.most_common() if name.startswith("regraft.")},
        sum(value.numel() for value in parameters),
        len(parameters),
        sum(record.tied_to is not None for record in program.inputs),
        sum(record.kind is InputKind.BUFFER for record in program.inputs),
        sum(value.numel() * value.element_size() for _, value in own if isinstance(value, torch.Tensor)),
        sizes,
        {name: totals[name] for name in ("flops", "matmul_flops", "bytes")},
        costs.unknown,
    )


def example_sizes(program: Program) -> dict[str, int]:
    """The size of each dynamic dimension in the call that was traced."""
    sizes: dict[str, int] = {}
    for node in program.user_inputs():
        value = value_of(node)
        for extent in value.shape if isinstance(value, torch.Tensor) else (value,):
            if isinstance(extent, torch.SymInt) and extent.node.has_hint():
                sizes[str(extent.node.expr)] = int(extent.node.hint)
    return sizes


def find_sites(program: Program, pattern: str) -> list[tuple[Site, str]]:
    """The sites a glob names, with the type of each one's value; raises ``UsageError`` when it names none."""
    chosen = select(sites(program, lambda node: True), pattern)
    return [(site, type_text(value_of(site.node))) for site in chosen]
