"""Capture a model with ``torch.export`` as a :class:`~regraft.compiler.program.Program`.

The training IR of ``torch.export`` is the normal form itself: pre-dispatch ATen, in-place operators as written,
autocast and no-grad regions as higher-order operators, weights lifted to placeholders.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx, nn
from torch.export.graph_signature import InputKind as ExportKind

from ..compiler.errors import UnsupportedModelError
from ..compiler.program import Input, InputKind, Program, copy_module

Inputs = Mapping[str, Any] | tuple[Any, ...]
"""Example inputs of a model: a tuple of positional arguments, or a mapping of keyword arguments."""

_ASSERT_METADATA = torch.ops.aten._assert_tensor_metadata.default

_KINDS = {
    ExportKind.PARAMETER: InputKind.PARAMETER,
    ExportKind.BUFFER: InputKind.BUFFER,
    ExportKind.CONSTANT_TENSOR: InputKind.CONSTANT,
    ExportKind.USER_INPUT: InputKind.USER,
}


def capture(model: nn.Module, example_inputs: Inputs, *, dynamic_shapes: Any = None) -> Program:
    """Trace ``model`` on ``example_inputs`` in the mode (train or eval) it is in.

    ``dynamic_shapes`` is what ``torch.export.export`` takes. Raises
    :class:`~regraft.compiler.errors.UnsupportedModelError` with every reason found when the model cannot be exported,
    and :class:`~regraft.compiler.errors.UsageError` when it does not run on these inputs at all.
    """
    args, kwargs = arguments(example_inputs)
    _know_caches()
    try:
        with torch.enable_grad(), _custom_backwards() as found:
            exported = torch.export.export(model, args, kwargs, dynamic_shapes=dynamic_shapes, strict=False)
    except Exception as error:
        from .export_failure import diagnose

        raise diagnose(model, args, kwargs, dynamic_shapes, error) from error
    if found:
        raise UnsupportedModelError(
            f"{type(model).__name__} cannot be exported: the backward of {', '.join(sorted(found))} would be lost",
            hint="torch.compile(model, backend='regraft') keeps it; for inference, model.requires_grad_(False) first",
        )
    return from_exported(exported, model)


def from_exported(exported: torch.export.ExportedProgram, model: nn.Module | None = None) -> Program:
    """A program from what ``torch.export`` gave; with ``model``, over its own parameters rather than copies."""
    owned: dict[str, Any] = {**exported.state_dict, **exported.constants}
    if model is not None:
        owned |= named_weights(model)
    first = _first_names(owned)
    inputs: list[Input] = []
    for spec in exported.graph_signature.input_specs:
        kind = _KINDS.get(spec.kind)
        if kind is None:
            raise UnsupportedModelError(
                f"input {spec.arg.name!r} is a {spec.kind.name.lower()}, which is not supported"
            )
        fqn = spec.target
        tied = first.get(fqn) if fqn is not None else None
        inputs.append(Input(spec.arg.name, kind, fqn, tied if tied != fqn else None))
    return Program(
        # Export's own module remembers its tracer, which cannot be pickled.
        _without_assertions(copy_module(exported.graph_module)),
        inputs,
        door="export",
        in_spec=exported.call_spec.in_spec,
        out_spec=exported.call_spec.out_spec,
        weights={record.fqn: owned[record.fqn] for record in inputs if record.fqn is not None},
        ranges={str(symbol): _bounds(limits) for symbol, limits in exported.range_constraints.items()},
        training=model.training if model is not None else False,
    )


def _without_assertions(module: fx.GraphModule) -> fx.GraphModule:
    """Drop the assertions export makes about every cast's input: the recorded types already say as much."""
    for child in module.modules():
        if isinstance(child, fx.GraphModule):
            for node in child.graph.find_nodes(op="call_function", target=_ASSERT_METADATA):
                child.graph.erase_node(node)
            child.recompile()
    return module


def _know_caches() -> None:
    """Let ``torch.export`` see into the ``DynamicCache`` of transformers, when that is loaded."""
    if "transformers.cache_utils" in sys.modules:
        from transformers.integrations.executorch import register_dynamic_cache_export_support

        register_dynamic_cache_export_support()


@contextmanager
def _custom_backwards() -> Iterator[set[str]]:
    """Names of the ``autograd.Function`` classes that are applied to something that wants a gradient meanwhile.

    ``torch.export`` records the forward of such a class as plain operators, and with it the wrong gradient.
    """
    apply = torch.autograd.Function.__dict__["apply"]
    found: set[str] = set()

    def noting(cls: type, *args: Any, **kwargs: Any) -> Any:
        wanted = any(isinstance(arg, torch.Tensor) and arg.requires_grad for arg in (*args, *kwargs.values()))
        # Torch's own (torch.cond, checkpointing) are known to the export.
        if wanted and not cls.__module__.startswith("torch."):
            found.add(cls.__name__)
        return apply.__get__(None, cls)(*args, **kwargs)

    torch.autograd.Function.apply = classmethod(noting)  # type: ignore[method-assign]
    try:
        yield found
    finally:
        torch.autograd.Function.apply = apply  # type: ignore[method-assign]


def arguments(example_inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """``(args, kwargs)`` of example inputs; a single tensor counts as one positional argument."""
    if isinstance(example_inputs, Mapping):
        return (), dict(example_inputs)
    if isinstance(example_inputs, torch.Tensor):
        return (example_inputs,), {}
    return tuple(example_inputs), {}


def named_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers by FQN, tied ones under every name they have."""
    named: dict[str, torch.Tensor] = dict(model.named_buffers(remove_duplicate=False))
    named |= dict(model.named_parameters(remove_duplicate=False))
    return named


def _first_names(owned: Mapping[str, Any]) -> dict[str, str]:
    """For each weight, the first name under which the very same tensor is owned."""
    seen: dict[int, str] = {}
    return {name: seen.setdefault(id(tensor), name) for name, tensor in owned.items()}


def _bounds(limits: Any) -> tuple[int, int | None]:
    upper = limits.upper
    return int(limits.lower), int(upper) if upper.is_finite and upper < 2**62 else None
