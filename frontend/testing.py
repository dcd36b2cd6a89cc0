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

from ..compiler.execute import execute
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
    passes: str | Pass | Sequence[str | Pass], function: Callable[..., Any], *types: str | Tensor
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
    result = pipeline.run(program)
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
        rewritten = run_pass(pass_, example.function, *example.inputs)
        codes = [remark.code for remark in rewritten.remarks if remark.kind == "missed"]
        assert rewritten.unchanged, f"{example.name}: fired, but must decline with {example.declines!r}"
        assert example.declines in codes, f"{example.name}: declined with {codes}, not {example.declines!r}"
        return
    for dtype in example.dtypes:
        types = [text.replace("f32[", f"{dtype}[") for text in example.inputs]
        rewritten = run_pass(pass_, example.function, *types)
        missed = [str(remark) for remark in rewritten.remarks if remark.kind == "missed"]
        assert rewritten.result.rewrites == example.fires, (
            f"{example.name} ({dtype}): {rewritten.result.rewrites} rewrites, not {example.fires}; {missed}"
        )
        for layout in (torch.clone, _strided):
            assert_no_worse(rewritten.before, rewritten.program, rewritten.inputs, layout)


def assert_no_worse(
    before: Program, after: Program, inputs: Sequence[Tensor], layout: Callable[[Tensor], Tensor] = torch.clone
) -> None:
    """Compare two programs and their gradients on ``inputs``, each against the first one run in fp64.

    ``layout`` lays out each input for the call; it must be differentiable and keep the values.
    """
    exact = _results(before, [_widened(tensor) for tensor in inputs], layout, widen=True)
    old, new = _results(before, inputs, layout), _results(after, inputs, layout)
    for at, (reference, was, now) in enumerate(zip(exact, old, new, strict=True)):
        assert was.dtype == now.dtype, f"value {at}: {was.dtype} became {now.dtype}"
        assert was.shape == now.shape, f"value {at}: {was.shape} became {now.shape}"
        if not (now.dtype.is_floating_point or now.dtype.is_complex):
            assert torch.equal(was, now), f"value {at} differs"
            continue
        scale = reference.abs().max() if reference.numel() else torch.zeros(())
        floor = 4 * torch.finfo(now.dtype).eps * scale
        was_error, now_error = ((value - reference).abs().nan_to_num(0).max() for value in (was, now))
        assert torch.equal(was.isnan(), now.isnan()), f"value {at}: NaN in other places"
        assert now_error <= 2 * was_error + floor, (
            f"value {at}: error {now_error:.3g} against fp64, was {was_error:.3g} (floor {floor:.3g})"
        )


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


def _results(
    program: Program, inputs: Sequence[Tensor], layout: Callable[[Tensor], Tensor], *, widen: bool = False
) -> list[Tensor]:
    """Outputs, then gradients with respect to every floating-point input, of one run on copies of the inputs."""
    module = program.copy()
    if widen:
        widen_dtypes(module)
    leaves = [tensor.detach().clone().requires_grad_(_differentiable(tensor)) for tensor in inputs]
    torch.manual_seed(0)
    outputs = execute(module, [layout(leaf) for leaf in leaves])
    tensors = [value for value in outputs if isinstance(value, Tensor)]
    total = sum((_weigh(value) for value in tensors if value.requires_grad), torch.zeros(()))
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    gradients: Sequence[Tensor | None] = ()
    if wanted and total.requires_grad:
        gradients = torch.autograd.grad(total, wanted, allow_unused=True)
    return [value.detach() for value in tensors] + [value.detach() for value in gradients if value is not None]


def widen_dtypes(program: Program) -> None:
    """Make every cast and factory in the graph compute in fp64 (complex128) instead of a narrower float."""
    wider = {torch.complex64: torch.complex128}
    wider |= dict.fromkeys((torch.float16, torch.bfloat16, torch.float32), torch.float64)
    for _, module in program.graphs():
        for node in module.graph.nodes:
            node.args = torch.fx.node.map_aggregate(node.args, lambda arg: _wider(arg, wider))
            node.kwargs = torch.fx.node.map_aggregate(node.kwargs, lambda arg: _wider(arg, wider))
    program.recompile()


def _wider(argument: Any, wider: dict[torch.dtype, torch.dtype]) -> Any:
    return wider.get(argument, argument) if isinstance(argument, torch.dtype) else argument


def _weigh(value: Tensor) -> Tensor:
    """A scalar that depends on every element with a different weight."""
    real = torch.view_as_real(value) if value.is_complex() else value
    weights = torch.linspace(-1, 1, real.numel(), dtype=torch.float64).view(real.shape).cos()
    return (real.double() * weights).sum()


def _widened(tensor: Tensor) -> Tensor:
    if tensor.is_complex():
        return tensor.to(torch.complex128)
    return tensor.double() if tensor.is_floating_point() else tensor


def _differentiable(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _strided(tensor: Tensor) -> Tensor:
    """The same values in a non-contiguous tensor."""
    return torch.stack([tensor, tensor], dim=-1)[..., 0]
