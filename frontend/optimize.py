"""``regraft.optimize``: rewrite a model with a pipeline of checked passes, and give back the same class of module."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..compiler.errors import UsageError, nearest
from ..compiler.passes import Pass
from ..compiler.pipeline import Selection
from ..compiler.program import InputKind, Program
from .capture import Inputs, arguments, capture, named_weights
from .dispatch import Dispatch, call_by_name, original_forward, variant_of
from .report import Gain, measure
from .rewrite import Check, parse_pipeline, rewrite


def optimize(
    model: nn.Module,
    example_inputs: Inputs,
    passes: str | Sequence[str | Pass] = "default",
    *,
    dynamic_shapes: Any = None,
    check: Check = "end",
    compile: bool | Mapping[str, Any] = False,
    inplace: bool = False,
    skip: Sequence[str] = (),
    timing_runs: int = 3,
) -> Any:
    """Rewrite ``model`` and return a module of the same class that runs the rewritten graph.

    The result shares its parameters and buffers with ``model``, which stays as it was (``inplace=True`` changes it
    itself). ``state_dict`` keys, ``train()``, ``.to()``, hooks, ``deepcopy``, pickling and ``generate()`` keep working:
    a call that is unlike the traced one (another structure, dtype, mode, or a shape outside the traced range) runs the
    original forward, is counted in ``result.forward.misses`` and is spoken of once.

    Args:
        model: any ``nn.Module`` that ``torch.export`` takes, in the mode (train or eval) it is to run in.
        example_inputs: a tuple of positional arguments or a mapping of keyword arguments.
        passes: pipeline text such as ``"default,raise-norm"``, or a list of texts and :class:`Pass` objects. A pass
            that is not exact runs only when named here.
        dynamic_shapes: as for ``torch.export.export``; by default the shapes of the example are fixed.
        check: compare with the program before and with fp64 after ``"each"`` pass, at the ``"end"``, or ``"off"``.
        compile: also compile the rewritten graph with TorchInductor; a mapping is passed on to ``torch.compile``.
        inplace: rewrite ``model`` itself instead of a copy that shares its tensors.
        skip: names of passes of the pipeline to leave out.
        timing_runs: timed calls for ``report.measured_gain``; 0 measures nothing, and so does a model in training mode.

    Returns:
        The module, with a :class:`~regraft.frontend.report.Report` as ``.report``.

    Raises:
        UsageError: an unknown pass or option, or inputs the model's ``forward`` does not take.
        UnsupportedModelError: the model cannot be exported.
        NumericsError: a pass is outside the tolerance its class demands. The model is not changed then.
    """
    _require(check, model)
    pipeline = parse_pipeline(passes)
    with original_forward(model):
        program = capture(model, example_inputs, dynamic_shapes=dynamic_shapes)
    args, kwargs = arguments(example_inputs)
    inputs = tree_leaves((args, kwargs))
    selection = Selection(skip=frozenset(skip))
    options = dict(compile) if isinstance(compile, Mapping) else {} if compile else None
    report = rewrite(
        program,
        pipeline,
        inputs,
        check=check,
        selection=selection,
        device=device_of(model),
        compiled=options is not None,
    )

    target = model if inplace else _twin(model)
    dispatch = target.__dict__.setdefault("forward", Dispatch(target))
    positional, keywords = _names(dispatch.__signature__, args, kwargs)
    if options is not None:
        options.setdefault("dynamic", dynamic_shapes is not None)
    dispatch.add(variant_of(program, positional, keywords, _constants(program, model), options))
    if timing_runs and not model.training:
        report.measured_gain = _gain(dispatch.original, target, args, kwargs, timing_runs)
    target.__dict__["report"] = report
    return target


def device_of(model: nn.Module) -> torch.device:
    """Where the model's weights are; the CPU for a model without any."""
    return next((tensor.device for tensor in named_weights(model).values()), torch.device("cpu"))


def _require(check: str, model: Any) -> None:
    """Refuse a request that cannot be meant."""
    if check not in get_args(Check):
        raise UsageError(f"check={check!r}", hint=nearest(check, get_args(Check)))
    if not isinstance(model, nn.Module):
        raise UsageError(f"optimize() takes an nn.Module, not {type(model).__name__}")
    if isinstance(model, torch._dynamo.eval_frame.OptimizedModule):
        raise UsageError(
            "the model is already wrapped by torch.compile",
            hint="give optimize() the model itself, and compile=True to compile the result",
        )


def _twin(model: nn.Module) -> nn.Module:
    """A copy of the module tree that shares every tensor with the original."""
    tensors = [*named_weights(model).values()]
    tensors += [v for owner in model.modules() for v in owner.__dict__.values() if isinstance(v, Tensor)]
    try:
        return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
    except Exception as error:
        raise UsageError(
            f"{type(model).__name__} cannot be copied: {type(error).__name__}: {error}",
            hint="pass inplace=True to rewrite the model itself",
        ) from error


def _constants(program: Program, model: nn.Module) -> dict[str, Tensor]:
    """Tensors the trace made itself: constants of the program that the model does not hold by that name."""
    weights = program.weights or {}
    lifted = {record.fqn for record in program.inputs if record.kind is InputKind.CONSTANT and record.fqn}
    return {name: weights[name] for name in lifted if not _holds(model, name)}


def _holds(model: nn.Module, fqn: str) -> bool:
    value: Any = model
    for part in fqn.split("."):
        value = getattr(value, part, None)
    return isinstance(value, Tensor)


def _names(signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Parameter names of the positional and of the keyword arguments of the traced call."""
    positional = list(call_by_name(signature, args, {}, partial=True))
    return positional, list(kwargs)


def _gain(original: Any, rewritten: Any, args: tuple[Any, ...], kwargs: dict[str, Any], runs: int) -> Gain:
    """Time both on copies of the inputs, so that a cache among them stays as it was."""
    first, second = (copy.deepcopy((args, kwargs)) for _ in range(2))
    with torch.no_grad():
        return measure(lambda: original(*first[0], **first[1]), lambda: rewritten(*second[0], **second[1]), runs)
