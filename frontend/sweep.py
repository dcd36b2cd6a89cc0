"""Error against saving: run one approximate pass at several settings, and measure what each does to the output."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..compiler.errors import UsageError
from ..compiler.execute import flat_arguments
from ..compiler.passes import Pass
from ..compiler.pipeline import split_pipeline
from ..compiler.program import InputKind, Program
from ..lowering.dissolve import dissolve
from .bench import distance
from .capture import Inputs, arguments, capture
from .dispatch import original_forward
from .rewrite import parse_pipeline, rewrite

Items = list[tuple[str, dict[str, str]]]


@dataclass(frozen=True)
class Row:
    """What the pass did at one setting."""

    setting: dict[str, str]
    pipeline: str
    """The whole pipeline that was run, as text."""
    sites: int
    rewritten: int
    bound: float | None
    """Largest of the relative bounds the pass states for its sites, if it rewrote any."""
    error: float
    """Largest relative l2 distance of an output from that without the pass, in the model's dtype."""
    saved: float | None
    """The part of the FLOPs of the rewritten operators that the pass saves, on average, where it says so."""
    peak_bytes: int
    """Most bytes alive at once in a call, beside weights and inputs; what was folded before the call counts."""
    declined: dict[str, int]
    """How many sites were declined, by reason code."""


@dataclass(frozen=True)
class Sweep:
    """The rows, and what they are compared with."""

    pass_name: str
    baseline: str
    """The pipeline without the pass, as text."""
    peak_bytes: int
    """Of the baseline."""
    rows: tuple[Row, ...]


def sweep(
    model: nn.Module,
    example_inputs: Inputs,
    passes: str,
    settings: Sequence[Mapping[str, Any]],
    *,
    dynamic_shapes: Any = None,
) -> Sweep:
    """Run a pipeline over ``model`` with each of the ``settings`` of one of its passes, which is found by its options.

    A pass named alone, ``"truncate-filters"``, is put into the default pipeline, right after what it builds on.

    Raises :class:`UsageError` when no pass, or more than one, has the options.
    """
    with original_forward(model):
        program = capture(model, example_inputs, dynamic_shapes=dynamic_shapes)
    return sweep_program(program, tree_leaves(arguments(example_inputs)), passes, settings)


def sweep_program(program: Program, inputs: Sequence[Any], passes: str, settings: Sequence[Mapping[str, Any]]) -> Sweep:
    """As :func:`sweep`, over a captured program, which stays as it is, and the leaves of its call."""
    if not settings:
        raise UsageError("a sweep needs at least one setting", hint="e.g. taps=64,128,256")
    at, items = _place(split_pipeline(passes), set().union(*settings))
    name = items[at][0]
    without = _text(items[:at] + items[at + 1 :])
    pipelines = [_text([*items[:at], (name, items[at][1] | _texts(s)), *items[at + 1 :]]) for s in settings]
    for text in pipelines:
        parse_pipeline(text)  # every setting is refused before the first one is run
    plain = program.copy()
    rewrite(plain, parse_pipeline(without), device=_device(plain))
    expected, peak = run(plain, inputs)
    rows = [
        _row(program.copy(), inputs, name, _texts(setting), text, expected)
        for setting, text in zip(settings, pipelines, strict=True)
    ]
    return Sweep(name, without, peak, tuple(rows))


def run(program: Program, inputs: Sequence[Any]) -> tuple[Any, int]:
    """The outputs of one call, and the most bytes alive at once beside weights and inputs."""
    module = dissolve(program)
    with torch.no_grad():
        values = flat_arguments(program, inputs)
        folded = [v for v, record in zip(values, program.inputs, strict=True) if record.kind is InputKind.DERIVED]
        with _Allocations() as allocations:
            outputs = module(*values)
    return outputs, allocations.peak + sum(value.untyped_storage().nbytes() for value in folded)


def _row(
    program: Program, inputs: Sequence[Any], name: str, setting: dict[str, str], pipeline: str, expected: Any
) -> Row:
    report = rewrite(program, parse_pipeline(pipeline), device=_device(program))
    verdicts = [remark for remark in report.remarks if remark.pass_name == name and remark.site]
    made = [remark.numbers for remark in verdicts if remark.kind == "passed"]
    outputs, peak = run(program, inputs)
    bounds, saved = ([numbers[key] for numbers in made if key in numbers] for key in ("bound", "saved"))
    return Row(
        setting,
        pipeline,
        len(verdicts),
        len(made),
        max(bounds, default=None),
        distance(outputs, expected),
        sum(saved) / len(saved) if saved else None,
        peak,
        dict(Counter(remark.code for remark in verdicts if remark.kind != "passed")),
    )


def _device(program: Program) -> torch.device | None:
    return next((value.device for value in (program.weights or {}).values()), None)


def _place(items: Items, options: set[str]) -> tuple[int, Items]:
    """Where in the pipeline the pass with these options is, and the pipeline with ``default`` spelled out."""
    from ..passes import DEFAULT, registry

    if len(items) == 1 and items[0][0] != "default":
        found = split_pipeline(DEFAULT)
        builds_on = registry.get(items[0][0]).builds_on
        at = max((place for place, (name, _) in enumerate(found, 1) if name in builds_on), default=len(found))
        return at, [*found[:at], *items, *found[at:]]
    spelled = [item for each in items for item in (split_pipeline(DEFAULT) if each[0] == "default" else [each])]
    having = [at for at, (name, _) in enumerate(spelled) if _has(registry.get(name), options)]
    if len(having) != 1:
        wanted, names = ", ".join(sorted(options)), [name for name, _ in spelled]
        which = f"passes {' and '.join(names[at] for at in having)} have" if having else "no pass of the pipeline has"
        raise UsageError(f"{which} the options {wanted}", hint="name the pass alone, e.g. -p truncate-filters")
    return having[0], spelled


def _has(cls: type[Pass], options: set[str]) -> bool:
    return options <= {name.replace("_", "-") for name in cls.__dataclass_fields__}


def _texts(setting: Mapping[str, Any]) -> dict[str, str]:
    return {name.replace("_", "-"): str(value) for name, value in setting.items()}


def _text(items: Items) -> str:
    def one(name: str, options: dict[str, str]) -> str:
        return name + (f"{{{','.join(f'{key}={value}' for key, value in options.items())}}}" if options else "")

    return ",".join(one(name, options) for name, options in items)


class _Allocations(TorchDispatchMode):
    """Counts the bytes of the storages that operators make, and the most that were alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata not in given:
                self._add(leaf.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._remove, size)

    def _remove(self, size: int) -> None:
        self.alive -= size
