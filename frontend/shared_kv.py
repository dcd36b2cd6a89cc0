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
    declared: tuple[Part, ...]
    """The levels of the prefix where these are the first states after it, for which the mask must be looked at."""

    @staticmethod
    def __new__(
        cls, parts: tuple[Part, ...], suffix: Tensor | None = None, *, declared: tuple[Part, ...] = ()
    ) -> SharedKV:
        """Without a suffix there is one part at least, whose groups the batch counts."""
        states = parts[-1].states if suffix is None else suffix
        length = prefix_length(parts) + (0 if suffix is None else suffix.shape[2])
        shape = (*states.shape[:2], length, states.shape[3])
        made = Tensor._make_wrapper_subclass(cls, shape, dtype=states.dtype, device=states.device)
        made.parts, made.suffix, made.declared = parts, suffix, declared
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
    position_bias: Tensor | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """Attention of query [B, Hq, Tq, D] over the parts and the suffix: [B, Hq, Tq, D].

    ``mask`` [B or 1, Hq or 1, Tq, P + S] acts on the suffix, or without one on all; every row sees its whole prefix,
    and a mask that says otherwise raises :class:`UsageError`. Without one, ``causal`` counts from the end: the last
    query sees all keys. ``position_bias``, of the mask's shape, is added everywhere. ``sinks`` [Hq] are logits without
    a value, which are one more part, so that they count once.
    """
    options: dict[str, Any] = {"scale": scale, "softcap": softcap}
    bias = position_bias if key.suffix is not None else biased(mask, position_bias)
    outs: list[Tensor] = []
    lses: list[Tensor] = []
    start = 0
    for k, v in zip(key.parts, value.parts, strict=True):
        end = start + k.states.shape[2]
        out, lse = _over_part(query, k, v, None if bias is None else bias[..., start:end], options)
        outs.append(out)
        lses.append(lse)
        start = end
    if key.suffix is not None and value.suffix is not None:
        if key.declared:
            _check_mask(query.shape[0], key.declared, mask)
        queries, keys = query.shape[2], key.suffix.shape[2]
        if mask is not None or position_bias is not None:
            whole = biased(mask, position_bias)
            assert whole is not None
            options["bias"] = whole[..., whole.shape[-1] - keys :]
        if mask is None and causal and queries > 1:
            options |= {"mask": "causal", "offset": keys - queries}
        out, lse = attention_lse(query, key.suffix, value.suffix, **options)
        outs.append(out)
        lses.append(lse)
    if sinks is not None:
        outs.append(torch.zeros_like(outs[0]))
        lses.append(sinks.to(lses[0].dtype).reshape(1, -1, 1).expand_as(lses[0]))
    return merge_outputs(outs, lses)


def biased(mask: Tensor | None, position_bias: Tensor | None) -> Tensor | None:
    """One additive or boolean mask from a mask and a learned position bias."""
    if position_bias is None or mask is None:
        return mask if position_bias is None else position_bias
    if mask.dtype == torch.bool:
        return torch.where(mask, position_bias, -torch.inf)
    return mask + position_bias


def laid_out(parts: tuple[Part, ...], keep: tuple[bool, ...], suffix: Tensor) -> tuple[tuple[Part, ...], Tensor]:
    """The levels that are kept, and a suffix [B, H, S, D], each behind copies of the levels before it that are not.

    A level whose nodes have different lengths may only be copied to the suffix, where the mask hides its padding.
    """
    found: list[Part] = []
    above: list[Part] = []
    for part, kept in zip(parts, keep, strict=True):
        if not kept:
            above.append(part)
            continue
        sizes = group_sizes(part, suffix.shape[0])
        first = torch.tensor(list(accumulate(sizes, initial=0))[:-1], device=suffix.device)
        states, longer = _behind(above, part.states, first, suffix.shape[0])
        lengths = None if part.lengths is None else part.lengths + longer
        found.append(Part(states, lengths, part.members))
        above = []
    rows = torch.arange(suffix.shape[0], device=suffix.device)
    return tuple(found), _behind(above, suffix, rows, suffix.shape[0])[0]


def _behind(above: list[Part], states: Tensor, rows: Tensor, batch: int) -> tuple[Tensor, int]:
    """States of groups that begin at these rows, behind those of the levels above, and how many these are."""
    if not above:
        return states, 0
    copies = [part.states.index_select(0, _group_of(part, batch)[rows]) for part in above]
    return torch.cat([*copies, states], 2), sum(part.states.shape[2] for part in above)


def _group_of(part: Part, batch: int) -> Tensor:
    """For each row its group."""
    device = part.states.device
    sizes = torch.tensor(group_sizes(part, batch), device=device)
    return torch.arange(len(sizes), device=device).repeat_interleave(sizes)


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


def _over_part(query: Tensor, k: Part, v: Part, bias: Tensor | None, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Attention and log-sum-exp over one part, the rows of each group stacked as queries."""
    rows, _, length, _ = query.shape
    sizes = group_sizes(k, rows)
    groups, largest = len(sizes), max(sizes)
    # Groups of different sizes are filled up to the largest: queries are repeated so, never keys.
    slots = None if min(sizes) == largest else _slots(sizes, query.device)

    def stacked(each: Tensor) -> Tensor:
        if slots is not None:
            each = each.new_zeros(groups * largest, *each.shape[1:]).index_copy(0, slots, each)
        return each.unflatten(0, (groups, largest)).transpose(1, 2).flatten(2, 3)

    if bias is not None and (bias.shape[0] > 1 or bias.shape[2] > 1):
        bias = stacked(bias.expand(rows, -1, length, -1))
    results = attention_lse(stacked(query), k.states, v.states, bias, k.lengths, **options)
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
