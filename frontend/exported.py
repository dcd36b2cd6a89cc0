"""A program as an ``ExportedProgram``, so that a rewritten model can be saved as ``.pt2`` and loaded elsewhere.

Whoever loads it must ``import regraft`` first when the graph holds operators of the dialect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch._export.verifier import TrainingIRVerifier
from torch.export.exported_program import ExportedProgram, ModuleCallEntry, ModuleCallSignature
from torch.export.graph_signature import (
    ConstantArgument,
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    SymIntArgument,
    TensorArgument,
)
from torch.fx.experimental.symbolic_shapes import free_symbols
from torch.utils import _pytree as pytree

from ..compiler.errors import UnsupportedModelError
from ..compiler.execute import run_prelude
from ..compiler.program import Input, Program, value_of
from ..compiler.program import InputKind as Kind

_KINDS = {
    Kind.PARAMETER: InputKind.PARAMETER,
    Kind.BUFFER: InputKind.BUFFER,
    Kind.CONSTANT: InputKind.CONSTANT_TENSOR,
    Kind.DERIVED: InputKind.CONSTANT_TENSOR,
    Kind.USER: InputKind.USER_INPUT,
}


def to_exported(program: Program, inputs: Sequence[Any]) -> ExportedProgram:
    """The program over its own weights, with ``inputs`` (the leaves of a call) as its example.

    What was derived from weights is computed once and becomes a constant.
    Raises :class:`UnsupportedModelError` for a program from Dynamo, whose sizes are inputs of their own.
    """
    if any(record.kind is Kind.SYMBOL for record in program.inputs):
        raise UnsupportedModelError("a graph from Dynamo cannot be written as .pt2", hint="capture it with optimize()")
    program = program.copy()
    weights = dict(program.weights or {})
    with torch.no_grad():
        derived = iter(run_prelude(program, weights))
    records = [
        Input(record.name, record.kind, _keep(weights, record.name, next(derived)))
        if record.kind is Kind.DERIVED
        else record
        for record in program.inputs
    ]
    records = _lift_constants(program, weights) + records
    in_spec = program.in_spec or pytree.tree_flatten((tuple(inputs), {}))[1]
    flat_outputs = next(node for node in program.graph.nodes if node.op == "output").args[0]
    out_spec = program.out_spec or pytree.tree_flatten(tuple(flat_outputs))[1]
    nodes = dict(zip((node.name for node in program.placeholders()), program.placeholders(), strict=True))
    specs = [InputSpec(_KINDS[r.kind], _argument(nodes[r.name]), r.fqn, _persistent(r)) for r in records]
    results = [OutputSpec(OutputKind.USER_OUTPUT, _argument(output), None) for output in flat_outputs]
    program.recompile()
    return ExportedProgram(
        root=program.module,
        graph=program.graph,
        graph_signature=ExportGraphSignature(specs, results),
        state_dict={r.fqn: weights[r.fqn] for r in records if r.fqn and r.kind in (Kind.PARAMETER, Kind.BUFFER)},
        range_constraints=_ranges(program),
        module_call_graph=[ModuleCallEntry("", ModuleCallSignature([], [], in_spec, out_spec))],
        example_inputs=pytree.tree_unflatten(list(inputs), in_spec),
        constants={r.fqn: weights[r.fqn] for r in records if r.fqn and r.kind in (Kind.CONSTANT, Kind.DERIVED)},
        verifiers=[TrainingIRVerifier],
    )


def _keep(weights: dict[str, Tensor], name: str, value: Tensor) -> str:
    weights[name] = value.detach()
    return name


def _lift_constants(program: Program, weights: dict[str, Tensor]) -> list[Input]:
    """Turn tensors the outermost graph owns into inputs, as an exported program has them."""
    lifted: list[Input] = []
    first = next(iter(program.graph.nodes))
    for node in program.graph.find_nodes(op="get_attr"):
        value = getattr(program.module, str(node.target), None)
        if not isinstance(value, Tensor):
            continue
        with program.graph.inserting_before(first):
            placeholder = program.graph.placeholder(f"c_{node.name}")
        placeholder.meta = dict(node.meta)
        node.replace_all_uses_with(placeholder)
        program.graph.erase_node(node)
        lifted.append(Input(placeholder.name, Kind.CONSTANT, _keep(weights, placeholder.name, value)))
    return lifted


def _argument(value: Any) -> Any:
    if not isinstance(value, fx.Node):
        return ConstantArgument("", value)
    kept = value_of(value)
    if isinstance(kept, Tensor):
        return TensorArgument(value.name)
    return SymIntArgument(value.name) if isinstance(kept, torch.SymInt) else ConstantArgument(value.name, kept)


def _persistent(record: Input) -> bool | None:
    return True if record.kind is Kind.BUFFER else None


def _ranges(program: Program) -> dict[Any, Any]:
    mode = program.fake_mode
    environment = None if mode is None else mode.shape_env
    if environment is None:
        return {}
    symbols = {s for node in program.graph.nodes for leaf in pytree.tree_leaves(value_of(node)) for s in _free(leaf)}
    return {symbol: environment.var_to_range[symbol] for symbol in symbols if symbol in environment.var_to_range}


def _free(value: Any) -> set[Any]:
    return set(free_symbols(value)) if isinstance(value, (Tensor, torch.SymInt)) else set()
