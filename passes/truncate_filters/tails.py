"""What dropping taps may do to a convolution: the l1 norms of what is left out, exactly as summed in fp64."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def tails(filters: Sequence[Tensor], lag0: int | None = None) -> tuple[Tensor, Tensor]:
    """``(gain, bound)`` of keeping K taps of each filter of a site, for K from 0 to the taps of the longest.

    Filters ``[..., T]`` in fp64; of each the first K taps are kept, with ``lag0`` those of :func:`window`. The gain is
    the l1 norm of what is dropped, the bound its ratio to that of the whole (0 for a zero filter): both of the worst
    channel.
    """
    most = max(taps.shape[-1] for taps in filters)
    dropped = sum((_dropped(taps, most, lag0) for taps in filters), torch.zeros((), dtype=torch.float64))
    whole = dropped[..., :1]
    ratio = torch.where(whole > 0, dropped / whole, 0.0)
    return dropped.reshape(-1, most + 1).amax(0), ratio.reshape(-1, most + 1).amax(0)


def window(kept: int, taps: int, lag0: int) -> int:
    """The first of ``kept`` neighbouring taps with tap ``lag0``, which is at lag 0, in their middle or near to it."""
    return min(max(lag0 - kept // 2, 0), taps - kept)


def _dropped(filter: Tensor, most: int, lag0: int | None) -> Tensor:
    sizes, count = filter.abs(), filter.shape[-1]
    before = F.pad(sizes.cumsum(-1), (1, 0))
    after = F.pad(sizes.flip(-1).cumsum(-1).flip(-1), (0, 1))
    kept = [min(each, count) for each in range(most + 1)]
    starts = [0 if lag0 is None else window(each, count, lag0) for each in kept]
    ends = [start + each for start, each in zip(starts, kept, strict=True)]
    return before[..., starts] + after[..., ends]
