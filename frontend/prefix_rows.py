"""Rows of token ids that begin with a prefix: read, checked, and laid out in the columns of a cache.

A cache holds a level of prefixes in as many columns as its longest node has tokens, and then each row's own tokens.
Shorter nodes are padded on the right and own tokens on the left, so that every column has one meaning for all rows;
positions count the tokens that are there. :func:`to_the_left` gives rows the padding that ``generate`` has.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from ..compiler.errors import UsageError

Ids = tuple[int, ...]


def as_rows(ids: Any, mask: Tensor | None = None) -> list[Ids]:
    """Rows of ids from [B, T] (without what ``mask`` hides), from [T], or from lists of any lengths."""
    if isinstance(ids, Tensor):
        if ids.dtype not in (torch.int64, torch.int32) or ids.dim() not in (1, 2):
            raise UsageError(
                f"token ids must be int64 or int32 of one or two dimensions, got {ids.dtype} {tuple(ids.shape)}",
                hint="give the input_ids of a tokenizer",
            )
        table = ids.unsqueeze(0) if ids.dim() == 1 else ids
        if mask is None:
            return [tuple(row) for row in table.tolist()]
        if mask.shape != table.shape:
            raise UsageError(f"attention_mask {tuple(mask.shape)} is not of the ids' shape {tuple(table.shape)}")
        return [tuple(row[keep].tolist()) for row, keep in zip(table, mask.bool(), strict=True)]
    if mask is not None:
        raise UsageError("an attention_mask goes with a tensor of ids", hint="lists of ids need no padding")
    nested = [ids] if len(ids) and isinstance(ids[0], int) else ids
    return [tuple(map(int, row)) for row in nested]


def leaves_of(batch: int, sizes: Sequence[int]) -> list[int]:
    """The prefix of each row, where ``sizes`` rows, or a multiple of them, have each; :class:`UsageError` otherwise."""
    times, left = divmod(batch, sum(sizes))
    if left or not times:
        raise UsageError(
            f"{batch} rows do not divide over shared prefixes of {', '.join(map(str, sizes))} rows",
            hint="give a multiple of these rows, or say in rows= how many each prefix has",
        )
    return [leaf for leaf, size in enumerate(sizes) for _ in range(size * times)]


def split_off(rows: Sequence[Ids], prefixes: Sequence[Ids]) -> list[Ids]:
    """What follows its prefix in each row; :class:`UsageError` names the first row that begins otherwise, and where."""
    for number, (row, prefix) in enumerate(zip(rows, prefixes, strict=True)):
        if row[: len(prefix)] == prefix:
            continue
        pairs = enumerate(zip(row, prefix, strict=False))
        place = next(islice((at for at, (a, b) in pairs if a != b), 1), len(row))
        found = f"token {row[place]}" if place < len(row) else "the end of the row"
        raise UsageError(
            f"row {number} differs from the declared prefix at position {place}: {found}, not token {prefix[place]}",
            hint="regraft.frontend.hf.group_by_prefix finds what rows have in common",
        )
    return [row[len(prefix) :] for row, prefix in zip(rows, prefixes, strict=True)]


def in_columns(
    prefixes: Sequence[Sequence[Ids]], own: Sequence[Ids], widths: Sequence[int], pad: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Ids and attention mask [B, P + S]: each level's ids on the left of its width, own ids on the right of theirs."""
    last = max(map(len, own))
    ids, mask = [], []
    for path, row in zip(prefixes, own, strict=True):
        cells: list[int] = []
        held: list[int] = []
        for node, width in zip(path, widths, strict=True):
            cells += [*node, *[pad] * (width - len(node))]
            held += [1] * len(node) + [0] * (width - len(node))
        ids.append([*cells, *[pad] * (last - len(row)), *row])
        mask.append([*held, *[0] * (last - len(row)), *[1] * len(row)])
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def to_the_left(sequences: Tensor, mask: Tensor) -> Tensor:
    """Sequences [n B, T + new] that began in the columns of ``mask`` [B, T], with all that is hidden moved to the left.

    Columns that are hidden in every row go.
    """
    if bool(mask.all()):
        return sequences
    mask = mask.repeat_interleave(len(sequences) // len(mask), 0)
    mask = torch.cat([mask, mask.new_ones(len(mask), sequences.shape[1] - mask.shape[1])], 1)
    moved = sequences.gather(1, mask.argsort(dim=1, stable=True))
    return moved[:, int((1 - mask).sum(1).min()) :]
