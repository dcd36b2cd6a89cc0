"""The structure of an attention mask that is known as a tensor, proved element by element, never by name.

:func:`classify` reads a mask [..., Tq, Tk], boolean (True where a query may attend) or additive (0 where it may, -inf
or a number too low to matter where not), and gives the :class:`MaskStructure` that says the same: the kinds,
``offset`` and ``window`` of ``regraft::attention``. A structure is guessed from a few rows and then compared with
every element.

An additive mask of finite numbers is not a boolean one on a row that sees nothing: there ``logits + finfo.min`` is the
same number everywhere, so softmax is uniform, while a boolean mask or -inf gives no attention at all (0, or NaN when
the softmax is written out). :class:`MaskFacts` tells the two apart, and callers ask ``every_row_sees``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

HIDDEN = -1e9
"""A logit bias at or below this gives probability 0 next to any visible key, unless logits are of that size."""
ABSORBING = -1e30
"""A logit bias at or below this swallows any logit it is added to, so that adding it is the same as filling it in."""


@dataclass(frozen=True)
class MaskStructure:
    """A mask in words: key j is visible to query i by the rule of ``kind`` with r = i + offset."""

    kind: str
    offset: int = 0
    window: int = 0

    def visible(self, queries: int, keys: int) -> Tensor:
        """The boolean mask [queries, keys] it stands for."""
        j = torch.arange(keys)
        r = torch.arange(queries).unsqueeze(-1) + self.offset
        if self.kind == "causal":
            return j <= r
        if self.kind == "sliding":
            return (j <= r) & (j > r - self.window)
        if self.kind == "sliding_bidirectional":
            return (j - r).abs() < self.window
        if self.kind == "prefix":
            return (j <= r) | (j < self.window)
        if self.kind == "block_diagonal":
            return j // self.window == r // self.window
        if self.kind == "block_causal":
            return j // self.window <= r // self.window
        return torch.ones(queries, keys, dtype=torch.bool)


@dataclass(frozen=True)
class MaskFacts:
    """What a mask tensor is known to be."""

    structure: MaskStructure | None
    """Its structure, when it has one and hides by it alone."""
    every_row_sees: bool
    """Whether every query sees at least one key."""
    hides_with_infinity: bool
    """Whether hidden keys are hidden by -inf or by a boolean, rather than by a very low number."""

    @property
    def equals_boolean(self) -> bool:
        """Whether attention under the mask is attention under the boolean mask of its structure."""
        return self.hides_with_infinity or self.every_row_sees


_KNOWN: Any = WeakTensorKeyDictionary()


def classify(mask: Tensor) -> MaskFacts | None:
    """The facts of a mask [..., Tq, Tk] that may broadcast; ``None`` when it is no mask at all but a bias of values.

    Costs a few passes over one [Tq, Tk] slice, and one over the leading dimensions; remembered while the tensor lives.
    """
    if mask not in _KNOWN:
        _KNOWN[mask] = _classify(mask)
    return _KNOWN[mask]


def structure_of(visible: Tensor) -> MaskStructure | None:
    """The structure of a boolean mask [Tq, Tk], or ``None``."""
    queries, keys = visible.shape
    if bool(visible.all()):
        return MaskStructure("none")
    for guess in _guesses(visible):
        if torch.equal(guess.visible(queries, keys).to(visible.device), visible):
            return guess
    return None


def _classify(mask: Tensor) -> MaskFacts | None:
    mask = _without_repeats(mask.detach())
    if mask.dim() < 2 or mask.numel() == 0:
        return None
    infinite = True
    visible = mask
    if mask.dtype != torch.bool:
        if not mask.dtype.is_floating_point:
            return None
        visible = mask == 0
        hidden = mask <= max(HIDDEN, torch.finfo(mask.dtype).min)
        if not bool((visible | hidden).all()):
            return None
        infinite = bool((visible | (mask == -torch.inf)).all())
    every_row_sees = bool(visible.any(-1).all())
    slices = visible.flatten(0, -3) if visible.dim() > 2 else visible.unsqueeze(0)
    uniform = slices.shape[0] == 1 or bool((slices == slices[:1]).all())
    return MaskFacts(structure_of(slices[0]) if uniform else None, every_row_sees, infinite)


def _without_repeats(mask: Tensor) -> Tensor:
    """One slice of every leading dimension that was expanded."""
    for dim in range(mask.dim() - 2):
        if mask.stride(dim) == 0 and mask.shape[dim] > 1:
            mask = mask.narrow(dim, 0, 1)
    return mask


def _guesses(visible: Tensor) -> list[MaskStructure]:
    """Structures that fit the first and the last row that see anything."""
    queries, keys = visible.shape
    rows = visible.any(-1).nonzero().flatten()
    if rows.numel() == 0:
        return []
    first, last = int(rows[0]), int(rows[-1])
    seen_first, seen_last = visible[first].nonzero().flatten(), visible[last].nonzero().flatten()
    # Where the last visible key is not cut off by the end of the keys, it is on the diagonal.
    diagonal = int(seen_first[-1]) - first
    span = int(seen_last[-1]) - int(seen_last[0]) + 1
    offsets = sorted({diagonal, 0, keys - queries}, key=lambda offset: offset != diagonal)
    guesses = [MaskStructure("causal", offset) for offset in offsets]
    guesses += [MaskStructure("sliding", offset, span) for offset in offsets]
    reach = [(offset, int(seen_first[-1]) - first - offset + 1) for offset in offsets]
    guesses += [MaskStructure("sliding_bidirectional", offset, window) for offset, window in reach if window > 0]
    guesses += [MaskStructure("prefix", offset, int(seen_first.numel())) for offset in offsets]
    for kind in ("block_diagonal", "block_causal"):
        guesses += [MaskStructure(kind, offset, int(seen_first.numel())) for offset in offsets]
    return guesses
