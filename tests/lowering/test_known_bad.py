"""Configurations that compilers get wrong are left alone, there and only there."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
from regraft.lowering.candidates import Candidate
from regraft.lowering.known_bad import TABLE, known_bad
from regraft.lowering.targets import target_for


@dataclass(frozen=True)
class Scan(Candidate):
    name: ClassVar[str] = "anything.scan"
    features: ClassVar[frozenset[str]] = frozenset({"several-dots"})

    def supports(self, call, target):
        return None

    def run(self, call, config, *constants):
        raise NotImplementedError


@dataclass(frozen=True)
class Plain(Scan):
    features: ClassVar[frozenset[str]] = frozenset()


BAD = {"block_k": 32, "num_warps": 4}


def test_narrow_tiles_with_four_warps_are_refused_on_hopper_with_the_issue():
    found = known_bad(Scan(), BAD, target_for("sm_90"), "3.7.1")
    assert "triton#11366" in str(found)


@pytest.mark.parametrize(
    ("candidate", "config", "arch", "triton"),
    [
        (Plain(), BAD, "sm_90", "3.7.1"),
        (Scan(), BAD, "sm_80", "3.7.1"),
        (Scan(), BAD, "sm_90", "3.8.0"),
        (Scan(), {**BAD, "num_warps": 8}, "sm_90", "3.7.1"),
        (Scan(), {**BAD, "block_k": 64}, "sm_90", "3.7.1"),
    ],
)
def test_everything_else_is_free(candidate, config, arch, triton):
    assert known_bad(candidate, config, target_for(arch), triton) is None


def test_every_entry_names_its_source():
    assert all(entry.issue and entry.reason and entry.arches for entry in TABLE)
