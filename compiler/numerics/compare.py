"""One value computed three ways: in fp64, by the program before, by the program after.

With e the absolute errors against fp64 and r the absolute values of the reference, over the elements that are finite
in all three:

============  ===========================  ==============================
measure       of a program                 floor, in units of 4 eps
============  ===========================  ==============================
``max``       max e                        max r
``mean``      mean e                       mean r
``quantile``  0.999 quantile of e          0.999 quantile of r
``l2``        norm(e) / norm(r)            1
============  ===========================  ==============================

eps is that of the value's dtype. An exact rewrite may have at most ``2 * before + floor`` in each measure; the measures
look at different things: ``max`` at one wrong element, ``mean`` at many small errors beside one large value. The cosine
with the reference is reported only, since it is blind to scale and quadratic in the error.

Elements that are NaN or infinite must be so before and after, unless the program after agrees with fp64 there. Values
that are not floating-point must be equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from .widen import widened

Kind = Literal["output", "mutated", "gradient", "site"]

QUANTILE = 0.999
FACTOR = 2.0
FLOOR_ULPS = 4.0
SAMPLE = 2**20
"""Elements a quantile is taken over at most; of a larger value, ones drawn at random (always the same)."""

_JUDGED = ("max", "mean", "quantile", "l2")


@dataclass(frozen=True)
class Measures:
    """Sizes of the error of one value against fp64; see the table at the top of this module."""

    max: float = 0.0
    mean: float = 0.0
    quantile: float = 0.0
    l2: float = 0.0
    cosine: float = 1.0
    """Cosine of the angle to the reference."""
    nans: int = 0
    infs: int = 0

    def worse(self, other: Measures) -> Measures:
        """The larger of the two in every measure, the smaller cosine."""
        larger = {name: max(getattr(self, name), getattr(other, name)) for name in (*_JUDGED, "nans", "infs")}
        return Measures(**larger, cosine=min(self.cosine, other.cosine))


@dataclass(frozen=True)
class Comparison:
    """How one value of a program fared under a rewrite."""

    name: str
    """``output 0``, ``gradient of layers.0.weight``, ``input x after the call``, or a site's handle."""
    kind: Kind
    dtype: str
    shape: tuple[int, ...]
    before: Measures
    after: Measures
    floor: Measures
    """What rounding alone explains, by measure."""
    differs: float = 0.0
    """Largest absolute difference between before and after, where both are finite."""
    rtol: float = 0.0
    """The relative tolerance that would pass against fp64, element by element, with no absolute one."""
    problems: tuple[str, ...] = ()
    """What no tolerance excuses: another dtype or shape, NaN in other places, unequal integers."""
    sampled: int = 0
    """How many elements the quantile was taken over when not all."""

    @property
    def allowed(self) -> Measures:
        """The tolerance demanded of an exact rewrite, by measure."""
        values = {name: FACTOR * getattr(self.before, name) + getattr(self.floor, name) for name in _JUDGED}
        return Measures(**values)

    @property
    def exceeded(self) -> tuple[str, ...]:
        """The measures in which the rewrite is further from fp64 than an exact one may be."""
        allowed = self.allowed
        # Written so that a NaN measure exceeds.
        return tuple(name for name in _JUDGED if not getattr(self.after, name) <= getattr(allowed, name))

    @property
    def ok(self) -> bool:
        """Whether an exact rewrite may have this outcome."""
        return not self.problems and not self.exceeded

    def within(self, bound: float) -> bool:
        """Whether the relative l2 error stays within a stated bound, on top of what an exact rewrite may have."""
        return not self.problems and self.after.l2 <= bound + self.allowed.l2

    def excess(self) -> float:
        """The largest ratio of a measure to what is allowed; infinite for a problem no tolerance excuses."""
        if self.problems:
            return math.inf
        allowed = self.allowed
        return max(_ratio(getattr(self.after, name), getattr(allowed, name)) for name in _JUDGED)

    def with_before(self, before: Measures) -> Comparison:
        """The same comparison against another estimate of the error before."""
        return replace(self, before=before)

    def __str__(self) -> str:
        """One line: name, the measures before and after, the tolerance that would pass and the one demanded."""
        if self.problems:
            return f"{self.name}: {'; '.join(self.problems)}"
        allowed = self.allowed
        verdict = "ok" if self.ok else "exceeds " + ", ".join(self.exceeded)
        return (
            f"{self.name} {self.dtype}{list(self.shape)}: {verdict}; "
            f"max {self.before.max:.3g} -> {self.after.max:.3g}, "
            f"mean {self.before.mean:.3g} -> {self.after.mean:.3g}, l2 {self.before.l2:.3g} -> {self.after.l2:.3g}, "
            f"cosine {self.after.cosine:.9f}; passes with atol={self.after.max:.3g} or rtol={self.rtol:.3g}, "
            f"demanded atol={allowed.max:.3g}"
        )


def compare(
    reference: Any,
    before: Any,
    after: Any,
    *,
    name: str = "value",
    kind: Kind = "output",
) -> Comparison:
    """Compare the value after a rewrite with the one before it, both against the fp64 reference.

    The three are tensors of one shape, or numbers; ``before`` and ``after`` of one dtype. Differences in dtype or shape
    are problems of the comparison, not errors.
    """
    reference, before, after = (_tensor(value) for value in (reference, before, after))
    dtype, shape = str(before.dtype).removeprefix("torch."), tuple(before.shape)
    problems: list[str] = []
    if before.dtype != after.dtype:
        problems.append(f"{dtype} became {str(after.dtype).removeprefix('torch.')}")
    if before.shape != after.shape:
        problems.append(f"shape {list(shape)} became {list(after.shape)}")
    elif not _is_float(before.dtype) and (unequal := int((before != after).sum())):
        problems.append(f"{unequal} of {before.numel()} elements differ")
    comparison = Comparison(name, kind, dtype, shape, Measures(), Measures(), Measures(), problems=tuple(problems))
    if problems or not _is_float(before.dtype):
        return comparison
    exact, was, now = wide = [_flat(value) for value in (reference, before, after)]
    all_finite = all(bool(value.isfinite().all()) for value in wide)
    if not all_finite:
        kinds = [_classes(value) for value in wide]
        moved = int(((kinds[2] != kinds[1]) & (kinds[2] != kinds[0])).sum())
        if moved:
            problems.append(f"{moved} of {before.numel()} elements became NaN, infinite or finite")
        finite = (kinds[0] == 0) & (kinds[1] == 0) & (kinds[2] == 0)
        exact, was, now = (value[finite] for value in wide)
    old = _counted(_measures(exact, was), wide[1], all_finite)
    # Most values of a small rewrite have the same bits as before.
    new = old if torch.equal(wide[1], wide[2]) else _counted(_measures(exact, now), wide[2], all_finite)
    sizes, difference = exact.abs(), (now - exact).abs()
    info = torch.finfo(before.dtype)
    unit = FLOOR_ULPS * info.eps
    floors = _sizes(sizes)
    floor = Measures(*(max(unit * size, FLOOR_ULPS * info.smallest_normal * info.eps) for size in floors[:3]), l2=unit)
    nonzero = sizes > 0
    ratios = difference[nonzero] / sizes[nonzero]
    return replace(
        comparison,
        before=old,
        after=new,
        floor=floor,
        differs=float((now - was).abs().max()) if now.numel() else 0.0,
        rtol=math.inf if bool((difference[~nonzero] > 0).any()) else float(ratios.max()) if ratios.numel() else 0.0,
        problems=tuple(problems),
        sampled=SAMPLE if exact.numel() > SAMPLE else 0,
    )


def measure(reference: Any, value: Any) -> Measures:
    """The error of one floating-point value of the reference's shape, over the elements that are finite in both."""
    exact, found = _flat(_tensor(reference)), _flat(_tensor(value))
    finite = exact.isfinite() & found.isfinite()
    return _counted(_measures(exact[finite], found[finite]), found, bool(finite.all()))


def _counted(measures: Measures, value: torch.Tensor, all_finite: bool) -> Measures:
    if all_finite:
        return measures
    return replace(measures, nans=int(value.isnan().sum()), infs=int(value.isinf().sum()))


def _norm(tensor: torch.Tensor) -> float:
    linalg: Any = torch.linalg
    return float(linalg.vector_norm(tensor))


def _measures(exact: torch.Tensor, value: torch.Tensor) -> Measures:
    if not exact.numel():
        return Measures()
    error = (value - exact).abs()
    norm, norm_exact, norm_error = map(_norm, (value, exact, error))
    relative = norm_error / norm_exact if norm_exact else (math.inf if norm_error else 0.0)
    # Scaled before the product, so that large norms do not overflow.
    cosine = float(torch.vdot(value / norm, exact / norm_exact)) if norm and norm_exact else float(norm == norm_exact)
    return Measures(*_sizes(error), l2=relative, cosine=cosine)


def _sizes(values: torch.Tensor) -> tuple[float, float, float]:
    """Largest, mean, and high quantile."""
    count = values.numel()
    if not count:
        return 0.0, 0.0, 0.0
    few = values if count <= SAMPLE else values[_sample(count).to(values.device)]
    rank = max(1, math.ceil(QUANTILE * few.numel()))
    return float(values.max()), float(values.mean()), float(few.kthvalue(rank).values)


def _sample(count: int) -> torch.Tensor:
    return torch.randint(count, (SAMPLE,), generator=torch.Generator().manual_seed(0))


def _ratio(value: float, limit: float) -> float:
    if limit:
        return value / limit
    return math.inf if value else 0.0


def _classes(value: torch.Tensor) -> torch.Tensor:
    """0 finite, 1 infinity, 2 minus infinity, 3 NaN."""
    return value.isposinf().to(torch.int8) + 2 * value.isneginf().to(torch.int8) + 3 * value.isnan().to(torch.int8)


def _flat(value: torch.Tensor) -> torch.Tensor:
    """All elements in fp64, complex ones as pairs."""
    wide = widened(value.detach()).resolve_conj()
    return (torch.view_as_real(wide) if wide.is_complex() else wide).double().reshape(-1)


def _tensor(value: Any) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, (float, torch.SymFloat)):
        # A number in a graph was read from a tensor of the default dtype.
        return torch.tensor(float(value), dtype=torch.float32)
    return torch.tensor(value if isinstance(value, bool) else int(value))


def _is_float(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point or dtype.is_complex
