"""Variants: the programs a kernel family stands for in listings and audits, and what their machine code must be like.

A family builds programs on demand, one for each configuration; its variants are the ones worth looking at: every dtype,
every structural option, the sizes people use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .ir import Program

AUDITED = ("sm_80", "sm_86", "sm_90", "sm_100", "gfx942")
"""The architectures every variant is compiled for."""


@dataclass(frozen=True)
class Variant:
    """One program of a family, and what its machine code must look like."""

    name: str
    """``"matmul.bf16.128x128x64"``: the family first."""
    build: Callable[[], Program]
    arches: tuple[str, ...] = AUDITED
    """Where it is meant to run; a tile too large for an architecture is no variant there."""
    spill_bytes: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Spilled bytes a thread may have, by architecture; 0 where nothing is said."""
    tf32: bool = False
    """Whether TF32 products were asked for; otherwise none may appear."""
