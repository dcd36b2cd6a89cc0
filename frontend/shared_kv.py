"""Keys and values of which parts are held once for many rows, and attention over them without joining the parts.

A part [G, Hkv, P, D] stands for P positions of a batch whose rows come in G consecutive groups; the suffix
[B, Hkv, S, D] follows all parts. Every part is one attention with its rows stacked as queries, [G, Hq, (B / G) Tq, D],
and the results are merged by their log-sum-exp in fp32: Hydragen (arXiv 2402.05099), sections 3.1 and 3.2. A tree of
prefixes has one part a level.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from ..compiler.errors import UsageError
from ..kernels.attention.lse import attention_lse
from ..kernels.merge_lse.outputs import merge_outputs


@dataclass(frozen=True)
class Part:
    """States [G, Hkv, P, D] of one level, each for a group of consecutive rows."""

    states: Tensor
    lengths: Tensor | None = None
    """int64 [G]: how many of the P positions a group has; ``None`` if all have all."""
    members: tuple[int, ...] | None = None
    """Rows of each group, or any common fraction of them; ``None`` for groups of one size."""


class SharedKV(Tensor):
    """What a cache hands to attention in place of [B, Hkv, P + S, D]: it has that shape, and is never made.

    Attention reads ``parts`` and ``suffix``. Any other operation on it raises :class:`UsageError`, since it would
    have to make the copies that sharing is there to avoid.
    """

    parts: tuple[Part, ...]
    suffix: Tensor | None
    fresh: bool
    """Whether these are the first states after the prefix, for which the mask must be looked at."""

    @staticmethod
    def __new__(cls, parts: tuple[Part, ...], suffix: Tensor | None = None, *, fresh: bool = False) -> SharedKV:
        """Of one part at least; without a suffix the batch counts the groups."""
        states = parts[-1].states if suffix is None else suffix
        length = prefix_length(parts) + (0 if suffix is None else suffix.shape[2])
        shape = (*states.shape[:2], length, states.shape[3])
        made = Tensor._make_wrapper_subclass(cls, shape, dtype=states.dtype, device=states.device)
        made.parts, made.suffix, made.fresh = parts, suffix, fresh
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Refuse: a shared prefix is for attention alone."""
        raise UsageError(
            f"{func} would copy a shared prefix for every row",
            hint="the model does more with cached keys and values than attention; do not share its prefix",
        )

    def __repr__(self, **_: Any) -> str:
        """The shape it stands for, and the lengths of its parts."""
        lengths = [part.states.shape[2] for part in self.parts]
        return f"SharedKV(shape={tuple(self.shape)}, parts={lengths})"


def prefix_length(parts: tuple[Part, ...]) -> int:
    """Positions that all parts have together."""
    return sum(part.states.shape[2] for part in parts)


def attend(
    query: Tensor,
    key: SharedKV,
    value: SharedKV,
    mask: Tensor | None,
    *,
    causal: bool,
    scale: float | None = None,
    softcap: float = 0.0,
) -> Tensor:
    """Attention of query [B, Hq, Tq, D] over the parts and the suffix: [B, Hq, Tq, D].

    ``mask`` [B or 1, Hq or 1, Tq, P + S] acts on the suffix; every row sees its whole prefix, and a mask that says
    otherwise raises :class:`UsageError`. Without one, ``causal`` counts from the end: the last query sees all keys.
    """
    if key.suffix is None and mask is not None:
        raise UsageError("shared encoder states cannot be masked", hint="share inputs without padding")
    options: dict[str, Any] = {"scale": scale, "softcap": softcap}
    outs: list[Tensor] = []
    lses: list[Tensor] = []
    for k, v in zip(key.parts, value.parts, strict=True):
        out, lse = _over_part(query, k, v, options)
        outs.append(out)
        lses.append(lse)
    if key.suffix is not None and value.suffix is not None:
        if key.fresh:
            _check_mask(query.shape[0], key.parts, mask)
        queries, keys = query.shape[2], key.suffix.shape[2]
        if mask is not None:
            options["bias"] = mask[..., mask.shape[-1] - keys :]
        elif causal and queries > 1:
            options |= {"mask": "causal", "offset": keys - queries}
        out, lse = attention_lse(query, key.suffix, value.suffix, **options)
        outs.append(out)
        lses.append(lse)
    return merge_outputs(outs, lses)


def group_sizes(part: Part, rows: int) -> tuple[int, ...]:
    """Rows of each group in a batch of ``rows``; :class:`UsageError` if the batch does not divide so."""
    groups = part.states.shape[0]
    members = part.members or (1,) * groups
    if rows % sum(members):
        raise UsageError(
            f"a batch of {rows} rows does not divide over shared prefixes of {', '.join(map(str, members))} rows",
            hint="give a multiple of these rows, a group's rows next to each other",
        )
    return tuple(size * (rows // sum(members)) for size in members)


def _over_part(query: Tensor, k: Part, v: Part, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Attention and log-sum-exp over one part, the rows of each group stacked as queries."""
    rows, _, length, _ = query.shape
    sizes = group_sizes(k, rows)
    groups, largest = len(sizes), max(sizes)
    # Groups of different sizes are filled up to the largest: queries are repeated so, never keys.
    slots = None if min(sizes) == largest else _slots(sizes, query.device)
    if slots is not None:
        query = query.new_zeros(groups * largest, *query.shape[1:]).index_copy(0, slots, query)
    stacked = query.unflatten(0, (groups, largest)).transpose(1, 2).flatten(2, 3)
    results = attention_lse(stacked, k.states, v.states, key_lengths=k.lengths, **options)
    out, lse = (each.unflatten(2, (largest, length)).transpose(1, 2).flatten(0, 1) for each in results)
    return (out, lse) if slots is None else (out.index_select(0, slots), lse.index_select(0, slots))


def _slots(sizes: tuple[int, ...], device: torch.device) -> Tensor:
    """Where each row goes among groups filled up to the largest."""
    starts = (index * max(sizes) for index in range(len(sizes)))
    return torch.cat([torch.arange(size) + start for size, start in zip(sizes, starts, strict=True)]).to(device)


def _check_mask(rows: int, parts: tuple[Part, ...], mask: Tensor | None) -> None:
    """Raise :class:`UsageError` for a mask that hides a part of a prefix, or shows what is none."""
    ragged = any(part.lengths is not None for part in parts)
    if mask is None:
        if ragged:
            raise UsageError(
                "shared prefixes of different lengths need an attention mask",
                hint="call generate of the handle, which makes it",
            )
        return
    seen = mask[:, :, -1].all(1) if mask.dtype == torch.bool else (mask[:, :, -1] == 0).all(1)
    ends = list(accumulate((part.states.shape[2] for part in parts), initial=0))
    for part, start, end in zip(parts, ends, ends[1:], strict=False):
        expected = torch.ones(rows, end - start, dtype=torch.bool, device=mask.device)
        if part.lengths is not None:
            sizes = torch.tensor(group_sizes(part, rows), device=mask.device)
            own = part.lengths.to(mask.device).repeat_interleave(sizes)
            expected = torch.arange(end - start, device=mask.device) < own.unsqueeze(1)
        wrong = (seen[:, start:end] != expected).any(1).nonzero()
        if len(wrong):
            raise UsageError(
                f"the attention mask of row {int(wrong[0])} hides a position of the shared prefix, or adds one",
                hint="padding goes between prefix and suffix; generate of the handle puts it there",
            )
