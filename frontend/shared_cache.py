"""Caches of transformers that hold a shared prefix once and each row's own states after it.

They are plain ``Cache`` subclasses: ``generate`` appends to the suffix, reorders the suffix for beams, and asks for
lengths; the prefix is only ever read. While a graph is traced the same cache speaks ``regraft::shared_prefix_cat``,
which the pass ``share-prefix`` takes apart again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin, EncoderDecoderCache

from ..compiler.errors import UsageError
from ..compiler.remarks import Remark
from .prefix_rows import Ids, as_rows, leaves_of, split_off
from .shared_gate import Gate
from .shared_kv import Part, SharedKV, group_sizes, laid_out, prefix_length

_log = logging.getLogger(__name__)
KeysAndValues = tuple[tuple[Part, ...], tuple[Part, ...]]
Decide = Callable[[KeysAndValues, Tensor, Tensor], tuple[bool, ...]]
"""From the levels and the first own keys and values of a layer to which levels are shared."""


class Growing:
    """States [B, H, S, D] that grow along S in a buffer of twice the size, so that appending is cheap on average."""

    def __init__(self) -> None:
        """Empty; batch, heads and width are those of the first states appended."""
        self._buffer: Tensor | None = None
        self.length = 0

    @property
    def states(self) -> Tensor | None:
        """What has been appended, as a view."""
        return None if self._buffer is None else self._buffer[:, :, : self.length]

    def append(self, new: Tensor) -> Tensor:
        """Add states [B, H, T, D] at the end; gives all of them."""
        held, length = self.states, self.length + new.shape[2]
        if torch.compiler.is_compiling():
            self._buffer = new if held is None else torch.cat([held, new], 2)
        else:
            if self._buffer is None or self._buffer.shape[2] < length:
                self._buffer = new.new_empty(*new.shape[:2], max(2 * self.length, length, 16), new.shape[3])
                if held is not None:
                    self._buffer[:, :, : self.length] = held
            self._buffer[:, :, self.length : length] = new
        self.length = length
        return self._buffer[:, :, :length]

    def crop(self, count: int) -> None:
        """Forget the last ``count`` states."""
        self.length -= count

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order."""
        if self._buffer is not None:
            self._buffer = self._buffer[:, :, : self.length].index_select(0, rows.to(self._buffer.device))

    def repeat(self, count: int) -> None:
        """Each row ``count`` times."""
        if self._buffer is not None:
            self._buffer = self._buffer[:, :, : self.length].repeat_interleave(count, 0)


class SharedPrefixLayer(CacheLayerMixin):
    """One layer: parts that are shared, and a suffix that grows."""

    is_sliding = False
    is_croppable = True

    def __init__(self, levels: KeysAndValues, window: int | None, decide: Decide | None) -> None:
        """``window`` is the sliding window of this layer's attention, past which a prefix would leave it."""
        super().__init__()
        self.levels, self.window, self._decide = levels, window, decide
        self.prefix_length = prefix_length(levels[0])
        self.reset()
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing is left to do."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append to the suffix; gives prefix and suffix, unjoined, or plain tensors where nothing is shared."""
        self._check(key_states)
        fresh = self.get_seq_length() == self.prefix_length
        compiling = torch.compiler.is_compiling()
        if self.levels[0] and not self.suffix[0].length and not compiling and self._decide is not None:
            keep = self._decide(self.levels, key_states, value_states)
            (keys, key_states), (values, value_states) = (
                laid_out(parts, keep, own) for parts, own in zip(self.levels, (key_states, value_states), strict=True)
            )
            self.parts = keys, values
        own = self.suffix[0].append(key_states), self.suffix[1].append(value_states)
        self.keys, self.values = own
        declared = self.levels[0] if fresh else ()
        if not self.parts[0] and not declared:
            return own
        if compiling:
            return _joined(self.parts[0], own[0]), _joined(self.parts[1], own[1])
        made: Any = SharedKV
        return made(self.parts[0], own[0], declared=declared), made(self.parts[1], own[1])

    def get_seq_length(self) -> int:
        """Positions of prefix and suffix."""
        return prefix_length(self.parts[0]) + self.suffix[0].length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Positions after the next queries are appended, from the first on."""
        return self.get_seq_length() + query_length, 0

    def get_max_length(self) -> int:
        """No end."""
        return -1

    def reset(self) -> None:
        """Forget the suffix; the prefix stays."""
        self.parts = self.levels
        self.suffix = Growing(), Growing()
        self.keys = self.values = None

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the last ``-tokens_to_remove`` positions, which must be the suffix's."""
        count, own = abs(tokens_to_remove), self.get_seq_length() - self.prefix_length
        if tokens_to_remove > 0 or count > own:
            raise UsageError(
                f"crop({tokens_to_remove}) with {own} positions after the shared prefix",
                hint="give a negative number of positions; those of the prefix belong to every row",
            )
        for each in self.suffix:
            each.crop(count)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Move the suffixes as the beams moved."""
        self.batch_select_indices(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows of the suffix."""
        for each in self.suffix:
            each.select(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Each row of the suffix several times; groups grow with them."""
        for each in self.suffix:
            each.repeat(repeats)

    def _check(self, states: Tensor) -> None:
        for part in self.levels[0]:
            if (part.states.dtype, part.states.device) != (states.dtype, states.device):
                raise UsageError(
                    f"the shared prefix is {part.states.dtype} on {part.states.device}, "
                    f"the model now gives {states.dtype} on {states.device}",
                    hint="share the prefix again after moving or casting the model",
                )
        length = self.get_seq_length() + states.shape[2]
        if self.levels[0] and self.window is not None and length > self.window:
            raise UsageError(
                f"at {length} positions the sliding window of {self.window} leaves the shared prefix behind",
                hint="generate fewer tokens, or call generate of the model without a shared prefix",
            )


class SharedPrefixCache(Cache):
    """A cache for ``generate``: the prefix is held once by its handle, this object holds the rows' own states.

    A level whose sharing does not pay for the batch is copied to its rows when the first of their states come.
    """

    def __init__(
        self,
        layers: list[KeysAndValues],
        windows: list[int | None],
        gate: Gate | None = None,
        paths: tuple[Ids, ...] = (),
        sizes: Sequence[int] = (),
    ) -> None:
        """Levels of keys and of values, and the sliding window, of each layer; without a gate every level is shared.

        ``paths`` are the ids of each whole prefix, and ``sizes`` how many rows it has, or any fraction of them.
        """
        self.gate, self.paths, self.sizes = gate, paths, sizes
        self.remark: Remark | None = None
        """Whether the prefix is shared, and why, once that is decided."""
        self._keep: tuple[bool, ...] = ()
        decide = None if gate is None else self._decide
        super().__init__(
            layers=[SharedPrefixLayer(*each, decide) for each in zip(layers, windows, strict=True)],
        )

    @property
    def prefix_length(self) -> int:
        """Positions of the prefix."""
        return cast(SharedPrefixLayer, self.layers[0]).prefix_length

    def check_ids(self, ids: Tensor, mask: Tensor | None) -> None:
        """Raise :class:`UsageError` naming the first row of whole ids [B, T] that does not begin with its prefix."""
        rows = as_rows(ids, mask)
        split_off(rows, [self.paths[leaf] for leaf in leaves_of(len(rows), self.sizes)])

    def reset(self) -> None:
        """Forget what was decoded; the next batch is judged anew."""
        self.remark = None
        super().reset()

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Reorder the suffixes; :class:`UsageError` if a row would move under another prefix."""
        self._check_groups(beam_idx, same_rows=True)
        super().reorder_cache(cast(Any, beam_idx))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows; with one prefix a level any, else :class:`UsageError`."""
        self._check_groups(indices, same_rows=False)
        super().batch_select_indices(indices)

    def _decide(self, levels: KeysAndValues, keys: Tensor, values: Tensor) -> tuple[bool, ...]:
        """Which levels to share, once for all layers."""
        if self.remark is None:
            assert self.gate is not None
            sizes = [(part.states.shape[2], part.states.shape[0]) for part in levels[0]]
            ragged = [at for at, part in enumerate(levels[0][:-1]) if part.lengths is not None]
            decision = self.gate.decide(sizes, keys, values, ragged)
            self._keep, self.remark = decision.keep, decision.remark
            _log.info("%s", self.remark)
        return self._keep

    def _check_groups(self, rows: Tensor, *, same_rows: bool) -> None:
        layer = self.layers[0]
        assert isinstance(layer, SharedPrefixLayer)
        for part in layer.levels[0]:
            if part.states.shape[0] == 1:
                continue
            group = torch.arange(part.states.shape[0]).repeat_interleave(torch.tensor(group_sizes(part, len(rows))))
            if not same_rows or not torch.equal(group[rows.cpu()], group):
                raise UsageError(
                    "rows cannot leave the group whose prefix they share",
                    hint="make a new cache for the batch as it will be",
                )


class SharedStatesLayer(CacheLayerMixin):
    """Cross-attention keys and values of one layer, one copy for all beams of a sequence."""

    is_sliding = False
    is_croppable = True

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        """[B, H, T, D], for batches of any multiple of B."""
        super().__init__()
        self.keys, self.values = SharedKV((Part(keys),)), SharedKV((Part(values),))
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing is left to do."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Never: the states are those of one encoder run."""
        raise UsageError("encoder states are shared and cannot be replaced", hint="share the new encoder inputs")

    def get_seq_length(self) -> int:
        """Positions of the encoder."""
        return cast(Tensor, self.keys).shape[2]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """All positions of the encoder."""
        return self.get_seq_length(), 0

    def get_max_length(self) -> int:
        """No end."""
        return -1

    def reset(self) -> None:
        """The states stay."""

    def crop(self, tokens_to_remove: int) -> None:
        """The states stay."""

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Beams of one sequence read the same states."""


class SharedStatesCache(EncoderDecoderCache):
    """Self-attention states of each beam, and the encoder's keys and values once a sequence."""

    def __init__(self, rows: SharedPrefixCache, keys: Sequence[Tensor], values: Sequence[Tensor]) -> None:
        """The cache of the decoder's own states, and the encoder's keys and values [B, H, T, D] for each layer."""
        super().__init__(rows, Cache(layers=[SharedStatesLayer(*each) for each in zip(keys, values, strict=True)]))

    def reset(self) -> None:
        """Forget what was decoded; the encoder's states stay."""
        self.self_attention_cache.reset()


def _joined(parts: tuple[Part, ...], suffix: Tensor) -> Tensor:
    """The parts before the suffix, as operators of a traced graph."""
    for part in reversed(parts):
        if part.lengths is not None or len(set(part.members or ())) > 1:
            raise UsageError(
                "groups of different sizes or prefixes of different lengths cannot be traced",
                hint="trace a tree whose levels have one length and one group size",
            )
        suffix = torch.ops.regraft.shared_prefix_cat(part.states, suffix, 2)
    return suffix
