"""Levels of a prefix tree that are too short to be worth a part of their own: they join the level below them.

Each part costs calls and a share of the merge, however few its positions; copied into every group below it, a short
level costs reading instead. Which of the two is less is asked of :mod:`.profit`, for every way to join levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from .profit import Level, Rates, Shape, predicted_gain

MOST_LEVELS = 8
"""Of a tree for which all ways are looked at; of a deeper one, the levels that are kept are the longest so many."""
MORE_HELD, MUCH_FASTER = 1.05, 1.1
"""Copies may take so much more memory without a question; those that take more must be so much faster."""


def joined(levels: Sequence[Level], keep: Sequence[bool]) -> list[Level]:
    """The levels that are kept, each with the positions of those before it that are not; the last is always kept."""
    found: list[Level] = []
    carried = 0
    for level, kept in zip(levels, keep, strict=True):
        carried += level.length
        if kept:
            found.append(Level(carried, level.copies))
            carried = 0
    return found


def best(
    shape: Shape, levels: Sequence[Level], rates: Rates, fixed: Iterable[int] = ()
) -> tuple[tuple[bool, ...], float]:
    """Which levels to keep of those whose last is the rows' own, and the predicted gain over sharing nothing.

    Levels numbered in ``fixed`` are kept. Of ways that are as good, the one with the fewest parts is taken.
    """
    ways = [keep for keep in _ways(levels) if all(keep[at] for at in fixed) and _shares(levels, keep, shape)]
    gains = {keep: predicted_gain(shape, joined(levels, keep), rates) for keep in ways}
    if not gains:
        return (True,) * len(levels), 1.0
    least = min(_held(levels, keep) for keep in ways)
    frugal, fastest = (
        max(among, key=lambda keep: (gains[keep], -sum(keep)))
        for among in ([keep for keep in ways if _held(levels, keep) <= MORE_HELD * least], ways)
    )
    keep = fastest if gains[fastest] > MUCH_FASTER * gains[frugal] else frugal
    return keep, gains[keep]


def _ways(levels: Sequence[Level]) -> Iterator[tuple[bool, ...]]:
    inner = sorted(range(len(levels) - 1), key=lambda at: -levels[at].length)
    open_to_choice = set(inner[:MOST_LEVELS])
    choices = [(True, False) if at in open_to_choice else (False,) for at in range(len(levels) - 1)]
    for chosen in product(*choices):
        yield (*chosen, True)


def _shares(levels: Sequence[Level], keep: Sequence[bool], shape: Shape) -> bool:
    """Whether anything is read by more than one row."""
    return any(level.copies < shape.rows for level, kept in zip(levels, keep, strict=True) if kept)


def _held(levels: Sequence[Level], keep: Sequence[bool]) -> int:
    """Positions that are held, copies counted."""
    return sum(level.length * level.copies for level in joined(levels, keep))
