"""Facts about the devices code is made for: what a plan must fit into, and what a roofline estimate divides by.

- :func:`target_of` describes a live device, :func:`target_for` the usual device of an architecture, present or not.
- Peaks are the makers' published dense ones. A kernel attains a share of them: :meth:`Target.matmul_rate`,
  :attr:`Target.general_rate`, :attr:`Target.memory_rate` and :attr:`Target.sram_rate` are the peaks times the shares
  that FlashFFTConv (arXiv 2311.05908, table of constants) measured on an A100: 234 of 312 TFLOP/s, 17.6 of 19.5,
  1.35 of 1.555 TB/s, 9.5 of 19.5 TB/s.
- A CPU, and a GPU that is in no table, has no peaks: nothing is estimated for it, only measured (:attr:`Target.known`).
"""

from __future__ import annotations

import functools
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch

from ..compiler.errors import UsageError, nearest

Kind = Literal["cpu", "cuda", "hip", "other"]

KB, TERA = 1024, 1e12

MATMUL_SHARE, GENERAL_SHARE, MEMORY_SHARE, SRAM_SHARE = 234 / 312, 17.6 / 19.5, 1.35 / 1.555, 9.5 / 19.5


@dataclass(frozen=True)
class Peaks:
    """What a maker publishes: dense rates in FLOP/s, bandwidths in bytes/s."""

    matmul: Mapping[torch.dtype, float] = field(hash=False)
    """Matrix units, fp32 accumulators. fp32 is absent: its products are exact only on the general units."""
    tf32: float
    """Matrix units on fp32 operands rounded to TF32; 0 where there is no such mode."""
    general: float
    """fp32 outside the matrix units."""
    memory: float
    """Device memory."""
    clock: float
    """Boost clock in Hz."""
    source: str
    """Where the numbers are stated."""


@dataclass(frozen=True)
class Target:
    """One device."""

    kind: Kind
    arch: str
    """``"sm_90"``, ``"gfx942"``, ``"cpu"``."""
    name: str
    """As the driver gives it; measurements are kept under this name."""
    shared_bytes: int = 0
    """Most shared memory one block may ask for."""
    multiprocessors: int = 1
    peaks: Peaks | None = None

    @property
    def known(self) -> bool:
        """Whether there are published peaks to estimate from."""
        return self.peaks is not None

    @property
    def capability(self) -> tuple[int, int]:
        """``(9, 0)`` of an NVIDIA architecture, ``(0, 0)`` of any other."""
        matched = re.fullmatch(r"sm_(\d+)(\d)[af]?", self.arch)
        return (int(matched[1]), int(matched[2])) if matched else (0, 0)

    def matmul_rate(self, dtype: torch.dtype, *, tf32: bool = False) -> float:
        """Attainable FLOP/s of matrix products with operands of ``dtype``; ``ValueError`` unless :attr:`known`."""
        peaks = self._peaks()
        if dtype == torch.float32 and tf32 and peaks.tf32:
            return peaks.tf32 * MATMUL_SHARE
        if dtype in peaks.matmul:
            return peaks.matmul[dtype] * MATMUL_SHARE
        return self.general_rate if dtype != torch.float64 else self.general_rate / 2

    @property
    def general_rate(self) -> float:
        """Attainable fp32 FLOP/s outside the matrix units."""
        return self._peaks().general * GENERAL_SHARE

    @property
    def memory_rate(self) -> float:
        """Attainable bytes/s to and from device memory."""
        return self._peaks().memory * MEMORY_SHARE

    @property
    def sram_rate(self) -> float:
        """Attainable bytes/s to and from shared memory, all multiprocessors together; the peak is 128 bytes a clock."""
        return self.multiprocessors * 128 * self._peaks().clock * SRAM_SHARE

    def _peaks(self) -> Peaks:
        if self.peaks is None:
            raise ValueError(f"no published peaks are known for {self.name} ({self.arch})")
        return self.peaks


def _half(rate: float, **others: float) -> dict[torch.dtype, float]:
    rates = {torch.bfloat16: rate, torch.float16: rate}
    return rates | {getattr(torch, name): value for name, value in others.items()}


_A100 = "NVIDIA A100 datasheet, June 2021"
_H100 = "NVIDIA H100 datasheet, SXM5, without sparsity"
_TABLE = (
    Target("cuda", "sm_80", "NVIDIA A100-SXM4-40GB", 163 * KB, 108,
           Peaks(_half(312 * TERA, float64=19.5 * TERA), 156 * TERA, 19.5 * TERA, 1.555 * TERA, 1.41e9, _A100)),
    Target("cuda", "sm_80", "NVIDIA A100-SXM4-80GB", 163 * KB, 108,
           Peaks(_half(312 * TERA, float64=19.5 * TERA), 156 * TERA, 19.5 * TERA, 2.039 * TERA, 1.41e9, _A100)),
    Target("cuda", "sm_86", "NVIDIA GeForce RTX 3090", 99 * KB, 82,
           Peaks(_half(71.2 * TERA), 35.6 * TERA, 35.6 * TERA, 0.936 * TERA, 1.695e9, "NVIDIA GA102 whitepaper 2.1")),
    Target("cuda", "sm_89", "NVIDIA GeForce RTX 4090", 99 * KB, 128,
           Peaks(_half(165.2 * TERA), 82.6 * TERA, 82.6 * TERA, 1.008 * TERA, 2.52e9, "NVIDIA Ada whitepaper 2.1")),
    Target("cuda", "sm_89", "NVIDIA L40S", 99 * KB, 142,
           Peaks(_half(362 * TERA), 183 * TERA, 91.6 * TERA, 0.864 * TERA, 2.52e9, "NVIDIA L40S datasheet")),
    Target("cuda", "sm_90", "NVIDIA H100 80GB HBM3", 227 * KB, 132,
           Peaks(_half(989 * TERA, float64=67 * TERA), 495 * TERA, 67 * TERA, 3.35 * TERA, 1.98e9, _H100)),
    Target("cuda", "sm_90", "NVIDIA H200", 227 * KB, 132,
           Peaks(_half(989 * TERA, float64=67 * TERA), 495 * TERA, 67 * TERA, 4.8 * TERA, 1.98e9,
                 "NVIDIA H200 datasheet, SXM, without sparsity")),
    Target("cuda", "sm_100", "NVIDIA B200", 227 * KB, 148,
           Peaks(_half(2250 * TERA, float64=37 * TERA), 1100 * TERA, 75 * TERA, 8.0 * TERA, 1.965e9,
                 "NVIDIA DGX B200 datasheet, an eighth, without sparsity")),
    Target("hip", "gfx942", "AMD Instinct MI300X", 64 * KB, 304,
           Peaks(_half(1307 * TERA, float64=163.4 * TERA), 653.7 * TERA, 163.4 * TERA, 5.3 * TERA, 2.1e9,
                 "AMD Instinct MI300X datasheet")),
)  # fmt: skip
# The device an architecture stands for when none is at hand.
_USUAL = {target.arch: target for target in _TABLE} | {"sm_80": _TABLE[0], "sm_89": _TABLE[3]}

ARCHES = tuple(_USUAL)
"""Architectures with a table entry, oldest first."""


def target_for(arch: str) -> Target:
    """The usual device of an architecture, which need not be present; ``UsageError`` for one that is not known."""
    if arch == "cpu":
        return Target("cpu", "cpu", f"{_cpu_model()}, {torch.get_num_threads()} threads")
    if arch not in _USUAL:
        raise UsageError(f"there is no target {arch!r}", hint=nearest(arch, {*_USUAL, "cpu"}))
    return _USUAL[arch]


def target_of(device: torch.device | str) -> Target:
    """The live device. Of a GPU that is in no table the limits are asked from the driver, and peaks stay unknown.

    A GPU that this process does not see (``torch.device("cuda")`` on a machine without one) is taken for an unknown
    one of the oldest architecture, so that nothing is chosen for it on a guess.
    """
    device = torch.device(device)
    if device.type == "cpu":
        return target_for("cpu")
    index = device.index if device.index is not None else _current(device)
    return _live(device.type, index)


@functools.cache
def _live(kind: str, index: int) -> Target:
    if kind != "cuda":
        return Target("other", kind, kind)
    if not torch.cuda.is_available():
        return Target("cuda", _TABLE[0].arch, "a GPU this process does not see", 48 * KB)
    properties = torch.cuda.get_device_properties(index)
    on_rocm = torch.version.hip is not None
    return describe(
        "hip" if on_rocm else "cuda",
        properties.gcnArchName.partition(":")[0] if on_rocm else f"sm_{properties.major}{properties.minor}",
        properties.name,
        multiprocessors=properties.multi_processor_count,
        shared_bytes=getattr(properties, "shared_memory_per_block_optin", 0),
    )


def describe(kind: Kind, arch: str, name: str, *, multiprocessors: int, shared_bytes: int = 0) -> Target:
    """A GPU from what its driver says; ``shared_bytes=0`` (not told) takes the cap of the nearest older one."""
    for known in _TABLE:
        if known.arch == arch and known.name == name:
            return replace(known, multiprocessors=multiprocessors, shared_bytes=shared_bytes or known.shared_bytes)
    found = Target(kind, arch, name, shared_bytes, multiprocessors)
    if not shared_bytes:
        older = [known for known in _TABLE if known.kind == kind and known.capability <= found.capability]
        newest = max(older, key=lambda known: known.capability, default=None)
        found = replace(found, shared_bytes=48 * KB if newest is None else newest.shared_bytes)
    return found


def _current(device: torch.device) -> int:
    return torch.cuda.current_device() if device.type == "cuda" and torch.cuda.is_available() else 0


@functools.cache
def _cpu_model() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text())
        model = found[1] if found else model
    return model
