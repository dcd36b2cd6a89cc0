"""For authors of passes: run a pass on a small function, and hold a rule to its examples.

Inputs are written as types, ``"f32[2, t=5, 8]"``; a named dimension is dynamic. Values are seeded and heavy-tailed
enough for wrong results to show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..compiler.numerics import check_program
from ..compiler.passes import Pass
from ..compiler.pipeline import Pipeline, PipelineResult
from ..compiler.program import Program
from ..compiler.remarks import Remark
from ..compiler.rules import Example, RulePass
from ..compiler.values import DTYPE_NAMES
from .capture import capture

_DTYPES = {name: dtype for dtype, name in DTYPE_NAMES.items()}


@dataclass
class Rewritten:
    """A small program before and after a pipeline, with the inputs it was traced on."""

    before: Program
    result: PipelineResult
    inputs: list[Tensor]

    @property
    def program(self) -> Program:
        """The rewritten program."""
        return self.result.program

    @property
    def remarks(self) -> list[Remark]:
        """All verdicts."""
        return list(self.result.remarks)

    @property
    def remark(self) -> Remark:
        """The only verdict; fails when there is none or more than one."""
        (only,) = self.remarks
        return only

    @property
    def unchanged(self) -> bool:
        """Whether nothing was rewritten."""
        return self.result.rewrites == 0

    def targets(self) -> list[str]:
        """Names of the calls in all graphs, in order: ``["aten.linear.default", "regraft.rms_norm.default"]``."""
        graphs = (module.graph for _, module in self.program.graphs())
        return [str(n.target) for graph in graphs for n in graph.nodes if n.op == "call_function"]

    def count(self, name: str) -> int:
        """How many calls have ``name`` in their target."""
        return sum(name in target for target in self.targets())


def run_pass(
    passes: str | Pass | Sequence[str | Pass],
    function: Callable[..., Any],
    *types: str | Tensor,
    compiled: bool = False,
) -> Rewritten:
    """Trace ``function`` (or a module) on inputs of these types and run a pipeline over it."""
    from ..passes import DEFAULT, registry

    inputs = [item if isinstance(item, Tensor) else example_tensor(item, seed) for seed, item in enumerate(types)]
    model = function if isinstance(function, nn.Module) else _Wrapped(function)
    dynamic = _dynamic_shapes(types)
    # A vararg forward takes its dynamic shapes as one nested tuple.
    shapes = None if dynamic is None else (dynamic if isinstance(function, nn.Module) else (dynamic,))
    program = capture(model, tuple(inputs), dynamic_shapes=shapes)
    before = program.copy()
    pipeline = Pipeline.parse([passes] if isinstance(passes, Pass) else passes, registry, DEFAULT)
    result = pipeline.run(program, compiled=compiled)
    program.recompile()
    return Rewritten(before, result, inputs)


def example_tensor(text: str, seed: int = 0) -> Tensor:
    """A seeded tensor of a type such as ``f32[2, t=5]``, ``i64[3]`` (0 to 7) or ``b1[4, 4]``."""
    matched = re.fullmatch(r"(\w+)\[(.*)\]", text.strip())
    if matched is None or matched[1] not in _DTYPES:
        raise ValueError(f"{text!r} is not a tensor type such as 'f32[2, 3]'")
    dtype = _DTYPES[matched[1]]
    shape = [int(part.split("=")[-1]) for part in matched[2].split(",") if part.strip()]
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.bool:
        return torch.rand(shape, generator=generator) < 0.7
    if not (dtype.is_floating_point or dtype.is_complex):
        return torch.randint(0, 8, shape, generator=generator).to(dtype)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (values * (1 + values.abs())).to(dtype)


def check_example(pass_: RulePass, example: Example) -> None:
    """Hold a pass to one example of one of its rules; raises ``AssertionError`` with the reason.

    A firing example is run in each of its dtypes, with contiguous and with strided inputs: the rewritten program's
    results and gradients may be no further from fp64 than twice the original's, plus four units in the last place.
    """
    if example.declines is not None:
        rewritten = run_pass(pass_, example.function, *example.inputs, compiled=True)
        codes = [remark.code for remark in rewritten.remarks if remark.kind != "passed"]
        assert rewritten.unchanged, f"{example.name}: fired, but must decline with {example.declines!r}"
        assert example.declines in codes, f"{example.name}: declined with {codes}, not {example.declines!r}"
        return
    for dtype in example.dtypes:
        types = [text.replace("f32[", f"{dtype}[") for text in example.inputs]
        rewritten = run_pass(pass_, example.function, *types, compiled=True)
        missed = [str(remark) for remark in rewritten.remarks if remark.kind == "missed"]
        assert rewritten.result.rewrites == example.fires, (
            f"{example.name} ({dtype}): {rewritten.result.rewrites} rewrites, not {example.fires}; {missed}"
        )
        for layout in (torch.clone, _strided):
            assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs, layout)


def assert_no_worse(
    before: Program, after: Program, inputs: Sequence[Tensor], layout: Callable[[Tensor], Tensor] = torch.clone
) -> None:
    """Hold a rewritten program and its gradients to the tolerance of an exact pass; ``layout`` as in the check."""
    record = check_program(before, after, inputs, layout=layout)
    assert record.ok, str(record)


class _Wrapped(nn.Module):
    """A module around a function, so that it can be exported."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


def _dynamic_shapes(types: Sequence[str | Tensor]) -> tuple[Any, ...] | None:
    shapes: list[dict[int, Any] | None] = []
    for text in types:
        parts = [] if isinstance(text, Tensor) else text[text.index("[") + 1 : -1].split(",")
        shapes.append({at: torch.export.Dim.DYNAMIC for at, part in enumerate(parts) if "=" in part} or None)
    return tuple(shapes) if any(shapes) else None


def _strided(tensor: Tensor) -> Tensor:
    """The same values in a non-contiguous tensor."""
    return torch.stack([tensor, tensor], dim=-1)[..., 0]
