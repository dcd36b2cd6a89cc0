"""One comparison on a GPU: what is computed, the ways to compute it, and what bounds them all.

Ways are made when their turn comes, so that one that is not installed or that fails becomes a row with the reason and
the others go on. "ours" is every configuration there is: each is run and compared before it is timed, and what is shown
is the quickest of the right ones. Its match, as every other's, is the relative l2 distance from the case's reference in
fp64, at the first and the last samples of the batch where the whole would not fit.

Times are those of the GPU between CUDA events, after 256 MB were written through the L2 cache, the host's overhead
hidden (:func:`regraft.lowering.timing.device_milliseconds`). The floor is the larger of the bytes that have to be moved
and the products that have to be computed, at the rates of :class:`regraft.lowering.targets.Target`, which are shares of
the published peaks; ``GB/s`` and ``TFLOP/s`` are by the same bytes and products.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from statistics import median
from typing import Any

import torch
from regraft.kernels import candidates
from regraft.lowering.candidates import Call, Candidate, Config
from regraft.lowering.known_bad import known_bad
from regraft.lowering.targets import Target, target_of
from regraft.lowering.timing import device_milliseconds, distance, in_turn
from regraft.lowering.tune import TOLERANCE
from torch import Tensor
from torch.utils import _pytree as pytree

from ..results import Row

Run = Callable[[], Any]
"""One call on tensors at hand."""
Make = Callable[[], Run]
"""What prepares a way and gives its call."""

EAGER = "eager"
SECONDS = 500.0
"""For a family on its own."""


@dataclass(frozen=True)
class Case:
    """One comparison."""

    name: str
    ways: Mapping[str, Make]
    """Besides ours; "eager" is the baseline where there is one."""
    ours: Mapping[str, Mapping[str, Run]] = field(default_factory=dict[str, Mapping[str, Run]])
    """Our ways, each by configuration."""
    expected: Run | None = None
    """The result in fp64, of the samples that ``part`` picks."""
    part: Callable[[Any], Any] = lambda result: result
    """The part of a result that is compared."""
    bytes: float = 0.0
    flops: float = 0.0
    """Of products of ``dtype``."""
    dtype: torch.dtype = torch.bfloat16
    baseline: str = EAGER
    unlike: tuple[str, ...] = ()
    """Ways that compute another function, and are not compared."""


@dataclass(frozen=True)
class Budget:
    """Seconds of one case: for trying configurations, the first of which is always tried, and for timing all ways."""

    tuning: float = 8.0
    timing: float = 1.5


def budget(quick: bool) -> Budget:
    """The usual one, or just enough to see that all runs."""
    return Budget(3.0, 0.2) if quick else Budget()


def measure(
    cases: Iterable[tuple[str, Callable[[], Case]]], device: str, quick: bool, seconds: float = SECONDS
) -> list[Row]:
    """The rows of all cases, by name; one that fails, or is not begun within ``seconds``, is a row with the reason."""
    if device == "cpu":
        print("tile kernels need a GPU: nothing is measured on a CPU")
        return []
    rows: list[Row] = []
    end = time.perf_counter() + seconds
    for name, make in cases:
        start = time.perf_counter()
        if start > end:
            rows.append(Row(name, "all", 0.0, 0.0, 0.0, 0, notes={"left out": f"{seconds:.0f} s are over"}))
            continue
        try:
            rows += compare(make(), target_of(device), budget(quick))
        # Whatever one case runs into, the others are still worth having.
        except Exception as failure:
            rows.append(failed(name, "all", failure))
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        torch._dynamo.reset()
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    return rows


def compare(case: Case, target: Target, allowed: Budget) -> list[Row]:
    """Validate, tune, then time all ways of a case in turn."""
    expected = None if case.expected is None else case.expected()
    calls: dict[str, Run] = {}
    matches: dict[str, float | None] = {}
    notes: dict[str, dict[str, float | str]] = {}
    rows: list[Row] = []
    for name, make in case.ways.items():
        try:
            calls[name] = make()
            result = calls[name]()
            matches[name] = None if name in case.unlike else _match(case, result, expected)
            del result
        except Exception as failure:
            calls.pop(name, None)
            rows.append(failed(case.name, name, failure))
    for name, configs in case.ours.items():
        found, told = best(case, configs, expected, allowed)
        if found is None:
            rows.append(Row(case.name, name, 0.0, 0.0, 0.0, 0, notes=told))
        else:
            calls[name], matches[name], notes[name] = found[0], found[1], told
    times = in_turn(calls, seconds=allowed.timing, least=5, most=200, measure=device_milliseconds)
    base = times.get(case.baseline)
    for name, taken in times.items():
        middle = median(taken)
        row = Row(case.name, name, middle, min(taken), max(taken), len(taken), matches[name])
        ratio = None if base is None else median(theirs / mine for theirs, mine in zip(base, taken, strict=True))
        about = {**_bounds(case, target, middle), **notes.get(name, {})}
        rows.append(replace(row, ratio=ratio, baseline=case.baseline if base else "", notes=about))
    return rows


def best(
    case: Case, configs: Mapping[str, Run], expected: Any, allowed: Budget
) -> tuple[tuple[Run, float] | None, dict[str, float | str]]:
    """The quickest configuration whose result is right with its match, and notes about the others."""
    right: dict[str, tuple[Run, float]] = {}
    wrong: dict[str, str] = {}
    end = time.perf_counter() + allowed.tuning
    for label, run in configs.items():
        if (right or wrong) and time.perf_counter() > end:
            break
        try:
            match = _match(case, run(), expected)
        except Exception as failure:
            wrong[label] = _reason(failure)
            continue
        if match <= TOLERANCE[case.dtype]:
            right[label] = (run, match)
        else:
            wrong[label] = f"{match:.1e} from fp64"
    notes: dict[str, float | str] = {"tried": f"{len(right) + len(wrong)} of {len(configs)}"}
    notes |= {f"rejected {label}": reason for label, reason in wrong.items()}
    if not right:
        return None, notes
    times = in_turn({label: run for label, (run, _) in right.items()}, seconds=allowed.timing / 3, least=3,
                    measure=device_milliseconds)  # fmt: skip
    label = min(right, key=lambda each: median(times[each]))
    return right[label], {"config": label, **notes}


def ours(call: Call, pick: Callable[[Any], Any] = lambda result: result) -> dict[str, Run]:
    """Every configuration that takes a call; where there is none, one that raises the reasons when it is run."""
    made = ours_of(lambda: call)
    return {label: lambda run=run: pick(run()) for label, run in made.items()}


def ours_of(call: Callable[..., Call], *example: Tensor) -> dict[str, Callable[..., Any]]:
    """Each configuration as a function of the tensors that ``call`` makes a call of; chosen for those of ``example``.

    Candidates that decline, and configurations that are known to be bad, are left out.
    """
    first = call(*example)
    target = target_of(first.tensors[0].device)
    found: dict[str, Callable[..., Any]] = {}
    reasons: list[str] = []
    for candidate in candidates.of(first.op, target.kind):
        declined = candidate.supports(first, target)
        if declined is not None:
            reasons.append(f"{candidate.name}: {declined.message}")
            continue
        for config in candidate.configs(first, target):
            if known_bad(candidate, config, target, version("triton")) is None:
                label = " ".join(f"{name}={value}" for name, value in config.items())
                found[label] = _configured(candidate, config, first, call)
    return found or {"none": _raising(ValueError("; ".join(reasons) or f"there is no kernel for {first.op}"))}


def once(make: Make) -> Run:
    """A call that is made when it is first run."""
    made: list[Run] = []

    def run() -> Any:
        if not made:
            made.append(make())
        return made[0]()

    return run


def compiled(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Make:
    """``torch.compile`` of a function, made when its turn comes."""
    return lambda: _bound(torch.compile(function, dynamic=False), args, kwargs)


def eager(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Make:
    """The function as it is."""
    return lambda: _bound(function, args, kwargs)


def backward(run: Run, inputs: list[Tensor], cotangent: Tensor) -> Make:
    """Only the backward pass of a call whose first result depends on ``inputs``; the forward is run once."""

    def make() -> Run:
        with torch.enable_grad(), torch._functorch.config.patch(donated_buffer=False):
            out = pytree.tree_leaves(run())[0]

            def gradients() -> Any:
                return torch.autograd.grad(out, inputs, cotangent, retain_graph=True)

            gradients()
        return gradients

    return make


def edges(count: int) -> Callable[[Any], Any]:
    """Picks the first and the last ``count`` samples along the first dimension of every tensor."""

    def cut(tensor: Tensor) -> Tensor:
        return tensor if len(tensor) <= 2 * count else torch.cat([tensor[:count], tensor[-count:]])

    return lambda result: pytree.tree_map_only(Tensor, cut, result)


def in_fp64(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Run:
    """A function of tensors, its floating-point arguments widened."""

    def wide(tensor: Tensor) -> Tensor:
        return tensor.double() if tensor.is_floating_point() else tensor

    def run() -> Any:
        with torch.no_grad():
            return function(*pytree.tree_map_only(Tensor, wide, args), **pytree.tree_map_only(Tensor, wide, kwargs))

    return run


def nbytes(*values: Any) -> float:
    """Bytes of all tensors among values."""
    return float(sum(t.numel() * t.element_size() for t in pytree.tree_leaves(values) if isinstance(t, Tensor)))


def failed(case: str, variant: str, failure: Exception) -> Row:
    """A row that says why there is no time."""
    return Row(case, variant, 0.0, 0.0, 0.0, 0, notes={"error": _reason(failure)})


def _match(case: Case, result: Any, expected: Any) -> float:
    return 0.0 if expected is None else distance(case.part(result), expected)


def _bounds(case: Case, target: Target, taken: float) -> dict[str, float | str]:
    notes: dict[str, float | str] = {}
    if target.known and (case.bytes or case.flops):
        floor = 1e3 * max(case.bytes / target.memory_rate, case.flops / target.matmul_rate(case.dtype))
        notes |= {"floor_ms": floor, "of_floor": floor / taken}
    if case.bytes:
        notes["GB/s"] = case.bytes / taken / 1e6
    if case.flops:
        notes["TFLOP/s"] = case.flops / taken / 1e9
    return notes


def _bound(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run:
    return lambda: function(*args, **kwargs)


def _configured(candidate: Candidate, config: Config, first: Call, call: Callable[..., Call]) -> Callable[..., Any]:
    constants = candidate.constants(first, config)
    return lambda *tensors: candidate.run(call(*tensors), config, *constants)


def _raising(reason: Exception) -> Callable[..., Any]:
    def run(*tensors: Tensor) -> Any:
        raise reason

    return run


def _reason(failure: Exception) -> str:
    return f"{type(failure).__name__}: {(str(failure).strip().splitlines() or [''])[0][:200]}"
