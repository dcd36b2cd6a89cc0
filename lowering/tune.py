"""Measure candidates, each only after its result was found right, and keep what was found in the cost table.

:func:`tune` takes a call with real tensors. Every configuration of every candidate that supports it is run once and
compared with the reference computed in fp64, by relative l2 distance (:data:`TOLERANCE`; a NaN fails); whatever raises,
is wrong, or is known to be bad is rejected with the reason and never timed. What remains is timed in turn with the
reference. Tensors that a candidate writes to are given back as they were before each run is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from .candidates import Call, Candidate, Candidates, Config, Reference
from .costs import Key, Measured, key_of, record
from .known_bad import known_bad
from .targets import Target, target_of
from .timing import device_milliseconds, distance, in_turn, milliseconds

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}
"""Largest relative l2 distance from fp64, by dtype of the result."""


@dataclass(frozen=True)
class Trial:
    """One configuration of one candidate, tried."""

    candidate: str
    """Its own name."""
    config: Config
    milliseconds: float | None = None
    """Median over rounds; ``None`` for a rejected one."""
    error: float | None = None
    """Relative l2 distance from fp64, if it ran."""
    rejected: str = ""


def tune(
    call: Call,
    candidates: Candidates,
    *,
    target: Target | None = None,
    seconds: float = 1.0,
    path: Path | None = None,
    key: Callable[[Key], Key] = lambda key: key,
    where: str = "",
) -> list[Trial]:
    """Try everything there is for a call, the reference first; the table gets the best of each candidate.

    ``seconds`` is for timing, all together. ``path``, ``key`` and ``where`` serve a table that travels: its file, what
    becomes of the key, and the machine's name.
    """
    target = target or target_of(call.tensors[0].device)
    reference = candidates.reference(call.op)
    found = key_of(call, reference, target)
    tried: list[Trial] = []
    calls: dict[int, Callable[[], Any]] = {}
    expected = _in_fp64(call, reference)
    for candidate in (reference, *candidates.of(call.op, target.kind)):
        if candidate.supports(call, target) is not None:
            continue
        for config in candidate.configs(call, target):
            trial, ready = _tried(candidate, config, call, target, expected, found)
            if ready is not None:
                calls[len(tried)] = ready
            tried.append(trial)
    measure = milliseconds if target.kind == "cpu" else device_milliseconds
    times = in_turn({str(at): ready for at, ready in calls.items()}, seconds=seconds, measure=measure)
    for at in calls:
        tried[at] = replace(tried[at], milliseconds=median(times[str(at)]))
    record({key(found): _best(tried)}, path, where=where)
    return tried


def _tried(
    candidate: Candidate, config: Config, call: Call, target: Target, expected: Any, key: Key
) -> tuple[Trial, Callable[[], Any] | None]:
    """Validate one configuration; gives what to time, if it may be."""
    trial = Trial(candidate.own_name, config)
    defect = known_bad(candidate, config, target, key.triton)
    if defect is not None:
        return replace(trial, rejected=str(defect)), None
    before = _snapshot(call)
    try:
        constants = candidate.constants(call, config)
        ready = _compiled(candidate, config, call) if key.mode.startswith("compiled") else None
        run = ready or (lambda: candidate.run(call, config, *constants))
        with torch.no_grad():
            error = distance(run(), expected)
    # A compiler or a launch may fail in any way; the others are still worth trying.
    except Exception as failure:
        _restore(call, before)
        return replace(trial, rejected=f"{type(failure).__name__}: {str(failure).splitlines()[:1]}"), None
    changed = _restore(call, before)
    if changed:
        return replace(trial, error=error, rejected=f"it writes to its argument {changed}"), None
    allowed = max(TOLERANCE[tensor.dtype] for tensor in pytree.tree_leaves(call.result) if isinstance(tensor, Tensor))
    if not error <= allowed:
        return replace(trial, error=error, rejected=f"{error:.1e} from fp64, more than {allowed:.0e}"), None
    return replace(trial, error=error), torch.no_grad()(run)


def _compiled(candidate: Candidate, config: Config, call: Call) -> Callable[[], Any]:
    """What Inductor makes of a candidate, as a call on the same tensors."""
    names = [name for name, value in call.arguments.items() if isinstance(value, Tensor)]
    constants = candidate.constants(call, config)

    def compute(tensors: list[Tensor], extra: tuple[Tensor, ...]) -> Any:
        actual = replace(call, arguments={**call.arguments, **dict(zip(names, tensors, strict=True))})
        return candidate.run(actual, config, *extra)

    compiled: Any = torch.compile(compute, dynamic=False)
    return lambda: compiled([call[name] for name in names], constants)


def _in_fp64(call: Call, reference: Reference) -> Any:
    """The reference's result with every floating-point argument in fp64, computed there."""

    def wide(value: Any) -> Any:
        if isinstance(value, torch.dtype) and value.is_floating_point:
            return torch.float64
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()):
            return value.to(torch.complex128 if value.is_complex() else torch.float64)
        return value.clone() if isinstance(value, Tensor) else value

    with torch.no_grad():
        return reference.run(replace(call, arguments=pytree.tree_map(wide, dict(call.arguments))), {})


def _snapshot(call: Call) -> list[Tensor]:
    return [tensor.clone() for tensor in call.tensors]


def _restore(call: Call, before: list[Tensor]) -> str:
    """Give every tensor its old values back; names the first argument that had others, if one had."""
    changed = ""
    for tensor, old in zip(call.tensors, before, strict=True):
        if not torch.equal(tensor, old) and not (tensor.isnan() & old.isnan()).any():
            changed = changed or next(name for name, value in call.arguments.items() if value is tensor)
            tensor.copy_(old)
    return changed


def _best(tried: list[Trial]) -> Mapping[str, Measured]:
    """For each candidate its fastest configuration, or why there is none."""
    best: dict[str, Measured] = {}
    for trial in tried:
        held = best.get(trial.candidate)
        if trial.milliseconds is None:
            best.setdefault(trial.candidate, Measured(0.0, trial.config, trial.rejected))
        elif held is None or held.rejected or trial.milliseconds < held.seconds * 1e3:
            best[trial.candidate] = Measured(trial.milliseconds / 1e3, trial.config)
    return best
