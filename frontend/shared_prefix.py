"""Declared prefix sharing: the keys and values of a prompt are computed once and held once, for any number of rows.

>>> handle = regraft.share_prefix(model, prompt_ids)                    # one run of the model, batch 1
>>> handle.generate(question_ids, max_new_tokens=64)                    # [B, S]: what follows the prompt in each row
>>> model.generate(full_ids, past_key_values=handle.new_cache())        # or plain generate, any way it can decode
>>> tree = handle.extend(examples)                                      # [G, P1]: one more level, G branches
>>> regraft.share_prefix(whisper, features).generate(num_beams=16)      # encoder states, once for all beams

Exact for causal attention: Hydragen (arXiv 2402.05099). The model is switched to regraft's attention, see
:func:`regraft.frontend.hf.use`; the copies of the prefix are never made, neither in memory nor as arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..compiler.errors import UsageError
from . import hf
from .prefix_model import check_ids, check_length, check_model, encode, heads, pad_token, windows
from .prefix_rows import Ids, as_rows, in_columns, leaves_of, split_off, to_the_left
from .prefix_tree import PrefixGroups
from .shared_gate import Gate
from .shared_kv import Part

if TYPE_CHECKING:
    from .shared_cache import SharedPrefixCache, SharedStatesCache

__all__ = ["Level", "SharedPrefix", "SharedStates", "share_prefix"]


def share_prefix(model: Any, prefix_ids: Any, *, min_gain: float | None = None) -> Any:
    """Hold a prefix once: gives a :class:`SharedPrefix`, or :class:`SharedStates` for an encoder-decoder model.

    ``prefix_ids`` are token ids [P] (or [1, P]); ids [G, P] or a list of G lists for G prefixes, each of a group of
    rows; the result of :func:`regraft.frontend.hf.group_by_prefix` for a tree that was found; or the encoder's inputs
    (a tensor, or a dictionary of them). ``model`` is a model of transformers in evaluation mode, which is switched to
    regraft's attention in place, or a :class:`SharedPrefix`, to go one level deeper.

    Sharing is judged for each batch of a causal model, level by level, as the pass ``share-prefix`` judges it: what is
    not predicted to gain ``min_gain`` (1.2) times the speed of attention is copied to its rows. 0 shares everything,
    which takes least memory.

    Raises :class:`UsageError` for an empty or too long prefix, ids of another device, a model in training mode, one
    whose attention is not causal or cannot be switched, or one whose sliding window does not cover the prefix.
    """
    if isinstance(model, SharedPrefix):
        deeper = model.extend(prefix_ids)
        return deeper if min_gain is None else replace(deeper, min_gain=min_gain)
    check_model(model)
    if model.config.is_encoder_decoder:
        hf.use(model)
        return SharedStates(model, *encode(model, prefix_ids))
    root = SharedPrefix(model, (), min_gain)
    if isinstance(prefix_ids, PrefixGroups):
        return reduce(lambda handle, level: handle.below(level.ids, level.parents), prefix_ids.levels, root)
    return root.extend(prefix_ids)


@dataclass(frozen=True)
class Level:
    """One level of a tree of prefixes: G nodes, in the order of the rows below them."""

    ids: tuple[Ids, ...]
    parents: tuple[int, ...]
    """For each node, that of the level above it; never decreasing."""
    keys: tuple[Tensor, ...]
    """[G, Hkv, P, D] for each layer of the model, P the longest node's length."""
    values: tuple[Tensor, ...]

    @property
    def length(self) -> int:
        """Positions that the level takes in the cache."""
        return max(map(len, self.ids))

    def part(self, states: Tensor, members: tuple[int, ...] | None) -> Part:
        """One layer's keys or values, for attention."""
        lengths = [len(ids) for ids in self.ids]
        ragged = min(lengths) < states.shape[2]
        return Part(states, torch.tensor(lengths, device=states.device) if ragged else None, members)


@dataclass(frozen=True)
class SharedPrefix:
    """A prefix, or a tree of them, whose keys and values a model has computed."""

    model: Any
    levels: tuple[Level, ...]
    min_gain: float | None = None
    """What sharing must be predicted to gain for a batch; that of the pass ``share-prefix`` if ``None``."""

    @property
    def nodes(self) -> tuple[tuple[Ids, ...], ...]:
        """For each leaf, the ids of its node in every level."""
        found: tuple[tuple[Ids, ...], ...] = ((),)
        for level in self.levels:
            found = tuple((*found[parent], ids) for parent, ids in zip(level.parents, level.ids, strict=True))
        return found

    @property
    def paths(self) -> tuple[Ids, ...]:
        """The whole prefix of each leaf."""
        return tuple(sum(nodes, ()) for nodes in self.nodes)

    @property
    def nbytes(self) -> int:
        """Memory of the shared keys and values."""
        return sum(each.nbytes for level in self.levels for each in (*level.keys, *level.values))

    def extend(self, ids: Any) -> SharedPrefix:
        """One level deeper: ids [P] or [G, P], or G lists of ids; each leaf gets its equal share of the G branches."""
        rows = check_ids(ids, self.model)
        share, left = divmod(len(rows), len(self.nodes))
        if left or not share:
            raise UsageError(
                f"{len(rows)} branches do not divide over {len(self.nodes)} prefixes",
                hint="give as many for each, in the order of the prefixes",
            )
        return self.below(rows, [node // share for node in range(len(rows))])

    def below(self, ids: Sequence[Ids], parents: Sequence[int]) -> SharedPrefix:
        """One level deeper: nodes of any lengths, 0 included, each under a leaf; ``parents`` never decreases."""
        from .checked_generate import check_rows

        device, above = self.model.device, self.nodes
        check_length(self.model, max(len(sum(above[p], ())) + len(own) for p, own in zip(parents, ids, strict=True)))
        width = max(map(len, ids))
        _check_windows(self.model, sum(level.length for level in self.levels) + width)
        hf.use(self.model)
        check_rows(self.model)
        cache = self._cache([parents.count(leaf) for leaf in range(len(above))] if self.levels else None)
        columns = [(*above[parent], own) for parent, own in zip(parents, ids, strict=True)]
        tokens, mask = in_columns(columns, [()] * len(ids), [*self._widths, width], 0, device)
        with torch.no_grad():
            self.model.base_model(
                input_ids=tokens[:, -width:],
                attention_mask=mask,
                position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, -width:],
                past_key_values=cache,
                use_cache=True,
            )
        # Clones, since a cache keeps more room than it has states.
        layers: Any = cache.layers
        keys = tuple(layer.keys.detach().clone(memory_format=torch.contiguous_format) for layer in layers)
        values = tuple(layer.values.detach().clone(memory_format=torch.contiguous_format) for layer in layers)
        return replace(self, levels=(*self.levels, Level(tuple(ids), tuple(parents), keys, values)))

    def new_cache(self, rows: Sequence[int] | None = None) -> SharedPrefixCache:
        """A fresh cache for ``generate`` of the model; any number of them may be used with one handle.

        ``rows`` says how many rows each leaf has; without it all leaves have equally many. The ids that go with it are
        whole rows, longer than the prefix and without padding before it; ``generate`` of the model raises
        :class:`UsageError` for rows that begin otherwise. Whether the prefix is shared is decided when the batch is
        known (see :func:`share_prefix`), and then said in ``remark`` of the cache.
        """
        return self._cache(rows, Gate(heads(self.model), self.min_gain))

    def _cache(self, rows: Sequence[int] | None, gate: Gate | None = None) -> SharedPrefixCache:
        from .shared_cache import SharedPrefixCache

        members = self._members(rows)
        levels = list(zip(self.levels, members, strict=True))
        spans = windows(self.model)
        keys = [tuple(level.part(level.keys[i], rows) for level, rows in levels) for i in range(len(spans))]
        values = [tuple(level.part(level.values[i], rows) for level, rows in levels) for i in range(len(spans))]
        return SharedPrefixCache(list(zip(keys, values, strict=True)), spans, gate, self.paths, self._sizes(rows))

    def generate(
        self,
        suffix_ids: Any = None,
        *,
        input_ids: Any = None,
        attention_mask: Tensor | None = None,
        rows: Sequence[int] | None = None,
        **options: Any,
    ) -> Any:
        """``generate`` of the model on rows that begin with the prefix; results as the plain one would give.

        Give either what follows the prefix (``suffix_ids`` [B, S], or B lists of any lengths) or whole rows
        (``input_ids``, padded wherever ``attention_mask`` is 0), which are checked. With neither, every leaf is one
        row, to be multiplied by ``num_return_sequences`` or ``num_beams``. ``rows`` is as for :meth:`new_cache`.
        Sequences come back whole, padded on the left.

        Raises :class:`UsageError` naming the first row that differs from its prefix, and where.
        """
        if suffix_ids is not None and input_ids is not None:
            raise UsageError("suffix_ids and input_ids are both given", hint="give whole rows or what follows")
        given = suffix_ids if input_ids is None else input_ids
        own = as_rows(given, attention_mask) if given is not None else [()] * sum(self._sizes(rows))
        leaves, nodes, paths = leaves_of(len(own), self._sizes(rows)), self.nodes, self.paths
        if input_ids is not None:
            own = split_off(own, [paths[leaf] for leaf in leaves])
        if not all(own):
            # Decoding starts from the logits of a last token, which every row then computes for itself.
            last = [node[-1][-1:] if node else () for node in nodes]
            own = [(*last[leaf], *ids) for leaf, ids in zip(leaves, own, strict=True)]
            if not all(own):
                raise UsageError(f"row {own.index(())} has no token to start from", hint="give it a token of its own")
            return self._without_last().generate(own, rows=rows, **options)
        check_length(self.model, max(len(paths[leaf]) + len(ids) for leaf, ids in zip(leaves, own, strict=True)))
        pad = pad_token(self.model, options)
        ids, mask = in_columns([nodes[leaf] for leaf in leaves], own, self._widths, pad, self.model.device)
        found = self.model.generate(ids, attention_mask=mask, past_key_values=self.new_cache(rows), **options)
        if isinstance(found, Tensor):
            return to_the_left(found, mask)
        found.sequences = to_the_left(found.sequences, mask)
        return found

    @property
    def _widths(self) -> list[int]:
        return [level.length for level in self.levels]

    def _sizes(self, rows: Sequence[int] | None) -> tuple[int, ...]:
        """Rows of each leaf, or any fraction of them."""
        leaves = len(self.nodes)
        if rows is not None and (len(rows) != leaves or min(rows) < 1):
            raise UsageError(
                f"rows must be {leaves} positive numbers, one for each prefix, got {list(rows)}",
                hint="leave it out for groups of one size",
            )
        return tuple(rows or [1] * leaves)

    def _members(self, rows: Sequence[int] | None) -> list[tuple[int, ...] | None]:
        """For each level the rows of its nodes, ``None`` where they have equally many."""
        sizes = self._sizes(rows)
        members: list[tuple[int, ...] | None] = []
        for level in reversed(self.levels):
            members.insert(0, None if rows is None and len(set(sizes)) == 1 else sizes)
            above = [0] * (level.parents[-1] + 1)
            for parent, size in zip(level.parents, sizes, strict=True):
                above[parent] += size
            sizes = tuple(above)
        return members

    def _without_last(self) -> SharedPrefix:
        """The same tree with each leaf one token shorter, and these tokens; no states are copied."""
        *others, level = self.levels
        width = level.length - 1
        shorter = replace(
            level,
            ids=tuple(ids[:-1] for ids in level.ids),
            keys=tuple(each[:, :, :width] for each in level.keys),
            values=tuple(each[:, :, :width] for each in level.values),
        )
        return replace(self, levels=(*others, shorter))


@dataclass(frozen=True)
class SharedStates:
    """Encoder states of B inputs, and the cross-attention keys and values [B, H, T, D] of every decoder layer."""

    model: Any
    encoder_outputs: Any
    attention_mask: Tensor | None
    """[B, T], of the encoder's inputs; ``None`` where they have no padding."""
    keys: Sequence[Tensor]
    values: Sequence[Tensor]

    @property
    def nbytes(self) -> int:
        """Memory of the shared keys and values."""
        return sum(each.nbytes for each in (*self.keys, *self.values))

    def new_cache(self) -> SharedStatesCache:
        """A fresh cache for ``generate``, with any number of beams or returned sequences for each input."""
        from .shared_cache import SharedPrefixCache, SharedStatesCache

        layers = len(self.keys)
        return SharedStatesCache(SharedPrefixCache([((), ())] * layers, [None] * layers), self.keys, self.values)

    def generate(self, **options: Any) -> Any:
        """``generate`` of the model for the encoder inputs, their padding hidden."""
        if self.attention_mask is not None:
            options["attention_mask"] = self.attention_mask
        return self.model.generate(encoder_outputs=self.encoder_outputs, past_key_values=self.new_cache(), **options)


def _check_windows(model: Any, length: int) -> None:
    for layer, window in enumerate(windows(model)):
        if window is not None and length >= window:
            raise UsageError(
                f"a sliding window of {window} does not cover a prefix of {length} tokens",
                where=f"layer {layer}",
                hint="share less than the window, what is generated included",
            )
