"""The calls that ``regraft kernels tune`` times: for each operator a few sizes that models have.

Every call is in the dtype people run there: bf16 on GPUs, fp32 on CPUs. Measurements are kept by shape bucket, so that
one call speaks for its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..compiler import ops as _ops  # noqa: F401 (registers the operators)
from ..lowering.candidates import Call, call_with


@dataclass(frozen=True)
class Tunable:
    """A call to be made and timed."""

    op: str
    shape: str
    make: Callable[[str], Call]
    """The call on random tensors of a device, ``"cuda"`` or ``"cpu"``."""
    kinds: tuple[str, ...] = ("cuda",)
    """Where there are kernels to choose between."""


def tunable(kind: str, *, quick: bool = False) -> list[Tunable]:
    """What can be timed on a kind of device, of each operator only the first size if ``quick``."""
    found = [one for one in TUNABLE if kind in one.kinds]
    first = {one.op: one for one in reversed(found)}
    return [one for one in found if not quick or first[one.op] is one]


def _values(device: str, *shape: int) -> Tensor:
    return torch.randn(shape, device=device, dtype=torch.float32 if device == "cpu" else torch.bfloat16)


def _linear(rows: int, inner: int, columns: int, device: str) -> Call:
    weight = _values(device, columns, inner)
    return call_with(torch.ops.aten.linear.default, _values(device, rows, inner), weight / inner**0.5)


def _norm(operator: Any, rows: int, width: int, device: str) -> Call:
    return call_with(operator, _values(device, rows, width), _values(device, width), compute_dtype=torch.float32)


def _attention(heads: int, length: int, width: int, device: str) -> Call:
    q, k, v = (_values(device, 1, heads, length, width) for _ in range(3))
    return call_with(torch.ops.regraft.attention.default, q, k, v, mask="causal")


def _long_conv(channels: int, length: int, taps: int, device: str) -> Call:
    filters = _values(device, channels, taps) / taps**0.5
    return call_with(torch.ops.regraft.long_conv.default, _values(device, 1, channels, length), filters)


TUNABLE = (
    *(Tunable("aten.linear", f"{n}x{n}x{n}", partial(_linear, n, n, n)) for n in (1024, 2048, 4096, 8192)),
    *(Tunable("attention", f"16x{n}x64 causal", partial(_attention, 16, n, 64)) for n in (1024, 4096)),
    *(
        Tunable(op, f"{rows}x{width}", partial(_norm, getattr(torch.ops.regraft, op).default, rows, width))
        for op in ("layer_norm", "rms_norm")
        for rows, width in ((4096, 1024), (4096, 4096), (16384, 4096))
    ),
    *(
        Tunable("long_conv", f"{channels}x{length}, {taps} taps", partial(_long_conv, channels, length, taps), kinds)
        for channels, length, taps, kinds in (
            (64, 1024, 16, ("cpu", "cuda")),
            (256, 1024, 1024, ("cpu", "cuda")),
            (256, 4096, 64, ("cpu", "cuda")),
            (768, 4096, 4096, ("cpu", "cuda")),
            (768, 16384, 16384, ("cuda",)),
        )
    ),
)
