"""What every kernel is held to: three executions that agree with fp64, and memory around every tensor left alone.

``from regraft.tests.kernels.harness import prove, operator_checks``

Every tensor lies in a larger piece of memory filled with NaN (a poison value for integers), with guard bands before
and after it and, unless the program asks for contiguous memory, a gap after each row. A value read from outside shows
as NaN in the result, a value written outside as a changed guard.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from regraft.lowering.tile import Program, ir, launch, reference
from torch import Tensor
from torch.utils import _pytree as pytree

GATES = {"f64": 1e-12, "f32": 1e-6, "f16": 1e-3, "bf16": 8e-3}
"""Largest relative l2 error, by the narrowest float of a program; rounding of the inputs is part of it."""

POISON = {torch.uint8: 0xA5, torch.bool: True}
"""Of types without NaN; -3 for signed integers, an index that leads into the guard."""

GUARD, GAP = 64, 3
"""Elements before and after a tensor, and after each of its rows."""


def prove(
    program: Program,
    tensors: Mapping[str, Tensor],
    scalars: Mapping[str, float] | None = None,
    sizes: Mapping[str, int] | None = None,
    *,
    expected: Mapping[str, Tensor],
) -> None:
    """Run ``program`` in every way there is here, and compare each output with ``expected``, in relative l2.

    ``tensors`` are the inputs by buffer name, in any floating type: the fp64 run takes them as they are, the others
    round them to the type of the buffer. Outputs take their shape from ``expected``, those not compared
    from ``tensors``. ``expected`` may hold infinities; they have to be met exactly.

    The runs: the reference interpreter in fp64 (the algorithm alone: 1e-12) and in the program's own types, and Triton:
    its interpreter (fp32 and fp16; it computes bf16 wrongly), or the GPU where there is one.
    """
    given = (scalars or {}, sizes or {})
    _run("reference in fp64", reference.run, widened(program), tensors, given, expected, compute=torch.float64)
    _run("reference", reference.run, program, tensors, given, expected)
    if torch.cuda.is_available() and not launch.interpreting():
        _run("Triton on the GPU", launch.launch, program, tensors, given, expected, device="cuda")
    elif "bf16" not in floats(program):
        assert launch.interpreting(), "Triton's interpreter is off: set TRITON_INTERPRET=1 before triton is imported"
        _run("Triton's interpreter", launch.launch, program, tensors, given, expected)


def widened(program: Program) -> Program:
    """The program over fp64 tensors; for the reference interpreter with ``compute=torch.float64``."""
    buffers = tuple(dataclasses.replace(b, dtype="f64") if b.dtype in ir.FLOATS else b for b in program.buffers)
    return dataclasses.replace(program, buffers=buffers)


def floats(program: Program) -> set[str]:
    """The floating types a program computes with."""
    made = {value.dtype for statement in ir.walk(program.body) for value in ir.results(statement)}
    return (made | {buffer.dtype for buffer in program.buffers}) & ir.FLOATS


def gate(program: Program) -> float:
    """What the error of a program's results may be."""
    return max(GATES[dtype] for dtype in floats(program))


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Of the finite part, in l2, absolute where the expectation is 0; infinite for NaN and infinities out of place."""
    found, expected = found.detach().cpu().double(), expected.detach().cpu().double()
    assert found.shape == expected.shape, f"the result is {list(found.shape)}, expected {list(expected.shape)}"
    infinite = expected.isinf()
    if found.isnan().any() or not torch.equal(found[infinite], expected[infinite]):
        return float("inf")
    scale = expected[~infinite].norm().item()
    return (found - expected)[~infinite].norm().item() / (scale or 1.0)


@dataclass(frozen=True)
class Guarded:
    """A tensor within poisoned memory."""

    tensor: Tensor
    memory: Tensor
    outside: Tensor
    """Which elements of the memory are not the tensor's."""

    @classmethod
    def like(cls, given: Tensor, dtype: torch.dtype, *, dense: bool, multiple: int = 1, device: str = "cpu") -> Guarded:
        """A copy of ``given``, laid out in the order of its strides; rows begin ``multiple`` elements apart."""
        repeated = {axis for axis in range(given.dim()) if given.stride(axis) == 0 and given.shape[axis] > 1}
        strides, step, row = [0] * given.dim(), 1, 0
        for axis in sorted(set(range(given.dim())) - repeated, key=lambda axis: (given.stride(axis), -axis)):
            strides[axis] = step
            step *= max(given.shape[axis], 1)
            if not row:
                step = step if dense else -(-(step + GAP) // multiple) * multiple
                row = step
        guard = -(-(GUARD + 4 * row) // 16) * 16
        memory = torch.full((step + 2 * guard,), poison(dtype), dtype=dtype, device=device)
        outside = torch.ones_like(memory, dtype=torch.bool)
        made = memory.as_strided(given.shape, strides, guard)
        outside.as_strided(given.shape, strides, guard).fill_(False)
        once = tuple(slice(0, 1) if axis in repeated else slice(None) for axis in range(given.dim()))
        made[once] = given[once].to(dtype)
        return cls(made, memory, outside)

    @property
    def untouched(self) -> bool:
        """Whether all memory outside of the tensor is as it was."""
        guard = self.memory[self.outside]
        return bool((guard.isnan() if guard.is_floating_point() else guard == poison(guard.dtype)).all())


def poison(dtype: torch.dtype) -> float | int | bool:
    """What memory outside of a tensor holds."""
    return float("nan") if dtype.is_floating_point else POISON.get(dtype, -3)


def _run(
    label: str,
    execute: Callable[..., None],
    program: Program,
    tensors: Mapping[str, Tensor],
    given: tuple[Mapping[str, float], Mapping[str, int]],
    expected: Mapping[str, Tensor],
    device: str = "cpu",
    **options: Any,
) -> None:
    placed = {buffer.name: _place(program, buffer, tensors, expected, device) for buffer in program.buffers}
    execute(program, {name: guarded.tensor for name, guarded in placed.items()}, *given, **options)
    allowed = GATES["f64"] if options.get("compute") is torch.float64 else gate(program)
    faults = [f"memory around {name} was written to" for name, guarded in placed.items() if not guarded.untouched]
    for name, wanted in expected.items():
        error = relative_error(placed[name].tensor, wanted)
        if not error <= allowed:
            found = placed[name].tensor
            nans = f", {int(found.isnan().sum())} of {found.numel()} are NaN" if found.is_floating_point() else ""
            faults.append(f"{name} has a relative l2 error of {error:.2e}, allowed are {allowed:.0e}{nans}")
    assert not faults, f"{program.name}, {label}: " + "; ".join(faults)


def _place(
    program: Program, buffer: ir.Buffer, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], device: str
) -> Guarded:
    dtype = ir.DTYPES[buffer.dtype]
    if buffer.name in tensors:
        given = tensors[buffer.name]
    else:
        assert buffer.role == "out", f"{program.name}: tensor {buffer.name} is missing"
        # What is never written shows as NaN.
        given = torch.full(expected[buffer.name].shape, poison(dtype), dtype=dtype)
    # Descriptors need rows that begin at multiples of 16 bytes.
    described = any(isinstance(s, ir.Load) and s.descriptor and s.buffer == buffer.name for s in ir.walk(program.body))
    multiple = 16 // dtype.itemsize if described else 1
    return Guarded.like(given, dtype, dense=buffer.contiguous, multiple=multiple, device=device)


def operator_checks(
    operator: Any,
    args: Sequence[Any],
    *,
    formula: Callable[..., Any] | None = None,
    allowed: float | None = None,
) -> None:
    """Hold a kernel operator to what torch asks of one, and its gradients to those of a formula in fp64.

    ``operator`` is the ``OpOverload`` or custom operator. ``formula`` is a plain torch function of the same arguments;
    without one gradients are not looked at. ``allowed`` defaults to the gate of the narrowest float among ``args``.
    The fake strides must be the real ones, also of inputs that are not contiguous.
    """
    torch.library.opcheck(operator, tuple(args))
    same_strides(operator, args)
    if formula is not None:
        same_gradients(operator, formula, args, allowed)


def same_strides(operator: Any, args: Sequence[Any]) -> None:
    """The fake implementation promises the shapes, strides and types that the operator delivers."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        promised = operator(*pytree.tree_map_only(Tensor, mode.from_tensor, tuple(args)))
    with torch.no_grad():
        made = operator(*args)
    described = [
        [(list(t.shape), list(t.stride()), t.dtype) for t in pytree.tree_leaves(result) if isinstance(t, Tensor)]
        for result in (promised, made)
    ]
    assert described[0] == described[1], f"promised {described[0]}, made {described[1]}"


def same_gradients(
    operator: Callable[..., Any], formula: Callable[..., Any], args: Sequence[Any], allowed: float | None = None
) -> None:
    """Outputs and gradients agree with those of ``formula`` in fp64, for random cotangents, in relative l2."""
    leaves = [leaf for leaf in pytree.tree_leaves(list(args)) if isinstance(leaf, Tensor)]
    narrow = [GATES[ir.DTYPE_NAMES[leaf.dtype]] for leaf in leaves if leaf.is_floating_point()]
    allowed = max(narrow) if allowed is None else allowed
    mine = _differentiable(args, None)
    exact = _differentiable(args, torch.float64)
    made, wanted = (
        [t for t in pytree.tree_leaves(function(*given)) if isinstance(t, Tensor)]
        for function, given in ((operator, mine), (formula, exact))
    )
    assert len(made) == len(wanted), f"{len(made)} results, the formula has {len(wanted)}"
    pairs = [(x, y) for x, y in zip(made, wanted, strict=True) if x.requires_grad]
    weights = [torch.randn(y.shape, dtype=torch.float64) for _, y in pairs]
    outputs = [(x, y.where(y.isfinite(), y.new_zeros(())), w) for (x, y), w in zip(pairs, weights, strict=True)]
    torch.autograd.backward([x for x, _, _ in outputs], [w.to(x.dtype) for x, _, w in outputs])
    torch.autograd.backward([y for _, y, _ in outputs], [w.to(x.dtype).double() for x, _, w in outputs])
    for at, (x, y) in enumerate(zip(made, wanted, strict=True)):
        error = relative_error(x, y)
        assert error <= allowed, f"result {at} has a relative l2 error of {error:.2e}, allowed are {allowed:.0e}"
    for at, (x, y) in enumerate(zip(*map(pytree.tree_leaves, (mine, exact)), strict=True)):
        if isinstance(x, Tensor) and x.requires_grad and y.grad is not None:
            assert x.grad is not None, f"argument {at} has no gradient"
            error = relative_error(x.grad, y.grad)
            told = f"the gradient of argument {at} has a relative l2 error of {error:.2e}, allowed are {allowed:.0e}"
            assert error <= allowed, told


def _differentiable(args: Sequence[Any], dtype: torch.dtype | None) -> list[Any]:
    def fresh(tensor: Tensor) -> Tensor:
        return tensor.detach().to(dtype or tensor.dtype).requires_grad_() if tensor.is_floating_point() else tensor

    return pytree.tree_map_only(Tensor, fresh, list(args))
