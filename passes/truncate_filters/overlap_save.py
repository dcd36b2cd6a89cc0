"""A linear convolution block by block: circular ones, as a batch, of blocks that overlap by the lags of the filter.

The working set of a transform grows with the filter instead of the sequence, and the size of its spectrum is fixed: it
can be folded for sequences of any length, longer ones than the filter was made for too. What is emitted is plain ATen
round one ``long_conv``: gate, pad, unfold into blocks ``[..., blocks, H, block]``, convolve, keep of each block the
samples that nothing has wrapped on to, put them side by side again, gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from ...compiler.ops.long_conv import fast_size
from ...compiler.program import fake_of
from ...compiler.rewriter import Edit

aten = torch.ops.aten
LONG_CONV = torch.ops.regraft.long_conv.default

_BLOCK = 4
"""Samples of a block for each lag of the filter: of 2, 3, 4 and 8 the quickest for most sizes on a CPU."""


@dataclass(frozen=True)
class Span:
    """The lags a filter reaches, lag 0 always among them."""

    earliest: int
    """0 or a lag ahead, below 0."""
    latest: int

    @property
    def width(self) -> int:
        """How many lags."""
        return self.latest - self.earliest + 1


def span(lags: str, taps: int, taps_rev: int, lag0: int) -> Span:
    """The lags of a linear lag map of ``long_conv``."""
    earliest, latest = {
        "causal": (0, taps - 1),
        "anticausal": (1 - taps, 0),
        "taps": (-lag0, taps - 1 - lag0),
        "bidirectional_shared": (1 - taps_rev, taps - 1),
        "bidirectional_offset": (-taps_rev, taps - 1),
    }[lags]
    return Span(min(earliest, 0), max(latest, 0))


def usual_block(length: Any, lags: Span) -> int:
    """The size of a block, or 0 where one transform of the whole sequence is about as small."""
    block = fast_size(_BLOCK * lags.width)
    return block if not isinstance(length, int) or length + lags.width > 2 * block else 0


def overlap_save(edit: Edit, call: dict[str, Any], block: int) -> fx.Node:
    """Emit the ``long_conv`` of bound arguments ``call``, with linear lags, in blocks of this size."""
    u, skip = call["u"], call["skip"]
    taps_rev = 0 if call["k_rev"] is None else fake_of(call["k_rev"]).shape[-1]
    lags = span(call["lags"], fake_of(call["k"]).shape[-1], taps_rev, call["lag0"])
    x = u if call["pre_gate"] is None else edit.call(aten.mul.Tensor, u, call["pre_gate"])
    blocks = _blocks(edit, x, block, lags)
    taps, lag0 = _one_filter(edit, call)
    # Leading dimensions of the filter broadcast to those of u, not to its blocks.
    if fake_of(taps).dim() > 2:
        taps = edit.call(aten.unsqueeze.default, taps, fake_of(taps).dim() - 2)
    if skip is not None and fake_of(skip).dim() > 1:
        skip = edit.call(aten.unsqueeze.default, skip, fake_of(skip).dim() - 1)
    circular = {"lags": "circular", "fft_size": block, "lag0": lag0, "compute_dtype": call["compute_dtype"]}
    convolved = convolve(edit, {"u": blocks, "k": taps, "skip": skip} | circular)
    y = _side_by_side(edit, convolved, lags)
    y = edit.call(aten.slice.Tensor, y, fake_of(y).dim() - 1, 0, _length(edit, u))
    return y if call["post_gate"] is None else edit.call(aten.mul.Tensor, y, call["post_gate"])


def convolve(edit: Edit, call: dict[str, Any]) -> fx.Node:
    """Emit a ``long_conv`` of bound arguments, those at their defaults unsaid."""
    operands = [call.get(name) for name in ("u", "k", "skip", "k_rev", "pre_gate", "post_gate")]
    while operands[-1] is None:
        operands.pop()
    defaults = {"lags": "causal", "fft_size": 0, "lag0": 0, "compute_dtype": None}
    options = {name: call[name] for name, default in defaults.items() if call[name] != default}
    return edit.call(LONG_CONV, *operands, **options)


def _blocks(edit: Edit, x: fx.Node, block: int, lags: Span) -> fx.Node:
    """``[..., H, L]`` to ``[..., ceil(L / step), H, block]``, each block ``step`` samples after the one before."""
    time, step = fake_of(x).dim() - 1, block - lags.width + 1
    padded = edit.call(aten.constant_pad_nd.default, x, [lags.latest, step - 1 - lags.earliest])
    return edit.call(aten.transpose.int, edit.call(aten.unfold.default, padded, time, block, step), time - 1, time)


def _side_by_side(edit: Edit, y: fx.Node, lags: Span) -> fx.Node:
    """``[..., blocks, H, block]`` to ``[..., H, blocks * step]``."""
    time = fake_of(y).dim() - 1
    kept = edit.call(aten.slice.Tensor, y, time, lags.latest, fake_of(y).shape[-1] + lags.earliest)
    return edit.call(aten.flatten.using_ints, edit.call(aten.transpose.int, kept, time - 2, time - 1), time - 1, time)


def _one_filter(edit: Edit, call: dict[str, Any]) -> tuple[fx.Node, int]:
    """Filters of any linear lag map as one, with tap m at lag m - lag0."""
    k, k_rev, lags = call["k"], call["k_rev"], call["lags"]
    count = fake_of(k).shape[-1]
    if lags == "anticausal":
        return edit.call(aten.flip.default, k, [fake_of(k).dim() - 1]), count - 1
    if k_rev is None:
        return k, call["lag0"]
    count_rev = fake_of(k_rev).shape[-1]
    lag0 = count_rev if lags == "bidirectional_offset" else count_rev - 1
    behind = edit.call(aten.flip.default, k_rev, [fake_of(k_rev).dim() - 1])
    behind = edit.call(aten.constant_pad_nd.default, behind, [0, lag0 + count - count_rev])
    ahead = edit.call(aten.constant_pad_nd.default, k, [lag0, 0])
    return edit.call(aten.add.Tensor, ahead, behind), lag0


def _length(edit: Edit, u: fx.Node) -> Any:
    tensor = fake_of(u)
    length = tensor.shape[-1]
    return length if isinstance(length, int) else edit.call(aten.sym_size.int, u, tensor.dim() - 1)
