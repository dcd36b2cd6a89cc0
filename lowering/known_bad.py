"""Configurations that compilers are known to get wrong, with where it is reported; nobody tries or chooses them.

An entry holds where all of its conditions do: the features a candidate declares, the architecture, the Triton version,
and a predicate on the configuration. It goes when the versions it names are no longer supported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .candidates import Candidate, Config
from .targets import Target


@dataclass(frozen=True)
class KnownBad:
    """One defect and where it strikes."""

    issue: str
    """Project and number, ``"triton#11366"``."""
    reason: str
    features: frozenset[str]
    """All of these must be among the candidate's."""
    arches: tuple[str, ...]
    first: tuple[int, ...]
    """Triton versions from here ..."""
    last: tuple[int, ...]
    """... to here, both included."""
    strikes: Callable[[Config], bool] = lambda config: True

    def __str__(self) -> str:
        """The reason with its source."""
        return f"{self.reason} ({self.issue})"


def _narrow_tile_with_four_warps(config: Config) -> bool:
    blocks = [size for name, size in config.items() if name.startswith("block")]
    return config.get("num_warps", 4) == 4 and 32 in blocks


def _staged(config: Config) -> bool:
    return config.get("num_stages", 1) > 1


TABLE = (
    KnownBad(
        "triton#11366",
        "a kernel with several dots, a 32-wide tile and 4 warps reads memory that is not its own",
        frozenset({"several-dots"}),
        ("sm_90",),
        (3, 7),
        (3, 7, 1),
        _narrow_tile_with_four_warps,
    ),
    KnownBad(
        "flash-linear-attention#640",
        "a transposed accumulator that feeds another dot gives wrong results",
        frozenset({"transposed-accumulator"}),
        ("sm_90",),
        (3, 4),
        (3, 7, 0),
    ),
    KnownBad(
        "flash-linear-attention#58",
        "8 warps on a chunked scan crash the compiler",
        frozenset({"chunk-scan"}),
        ("sm_80", "sm_86", "sm_89", "sm_90"),
        (3, 0),
        (3, 2),
        lambda config: config.get("num_warps", 4) == 8,
    ),
    KnownBad(
        "state-spaces/mamba, chunk scan on Blackwell",
        "more than one stage gives wrong results without an error",
        frozenset({"chunk-scan"}),
        ("sm_100", "sm_120"),
        (3, 0),
        (3, 7, 1),
        _staged,
    ),
)


def known_bad(candidate: Candidate, config: Config, target: Target, triton: str) -> KnownBad | None:
    """The entry that forbids a configuration on a target under a Triton version, if one does."""
    installed = tuple(int(part) for part in triton.split("+")[0].split(".") if part.isdigit())
    for entry in TABLE:
        here = entry.features <= candidate.features and target.arch in entry.arches
        if here and entry.first <= installed <= entry.last and entry.strikes(config):
            return entry
    return None
