"""Errors that say what happened, where in the user's code, and which knob to turn.

Each class carries the exit code the command ends with: 0 ok, 1 a difference was found, 2 usage,
3 unsupported model, 4 internal error.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RegraftError(Exception):
    """Base of all errors meant for a person: ``what``, then ``where`` (place), then ``hint`` (knob)."""

    exit_code = 4

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        """Keep the three parts; the text shows those that are known, one a line."""
        self.what, self.where, self.hint = what, where, hint
        lines = [what]
        if where:
            lines.append(f"  at:   {where}")
        if hint:
            lines.append(f"  hint: {hint}")
        super().__init__("\n".join(lines))


class UsageError(RegraftError):
    """The request itself is wrong: an unknown pass, option, site, file or flag."""

    exit_code = 2


class UnsupportedModelError(RegraftError):
    """The model or its inputs cannot be taken; the text lists every reason found."""

    exit_code = 3


class NumericsError(RegraftError):
    """A numeric check found a pass outside the tolerance its class demands."""

    exit_code = 1


class VerificationError(RegraftError):
    """A pass left the program in a state the verifier does not accept: a defect of the pass."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: the nearest known ones, or all of them when none is near."""
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(c) for c in close) + "?"
    return "known: " + ", ".join(names) if names else "none are known"
