"""Time cut into chunks of equal length, the last one filled with zeros: how the recurrent operators are computed.

A length that is a symbol gets one chunk of zeros more than it needs. That makes at least two, and two is what keeps
the graph good for every length: of a number of chunks that may be 1, PyTorch asks whether it is, and holds on to the
answer.
"""

# Tensor.flatten comes without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .registry import known

GROUP = 16
"""Chunks whose states are joined in one product; of more than these, groups are joined."""
_DOUBLINGS = 26
"""Enough for 2 ** 26 groups."""


def count(length: int, chunk: int) -> int:
    """Into how many chunks :func:`split` cuts so many steps; at least one, if of no step."""
    if isinstance(length, torch.SymInt):
        # One division and no sum with it: n * chunk divides by n at sight.
        return (length + 2 * chunk - 1) // chunk
    return max(1, (length + chunk - 1) // chunk)


def split(x: Tensor, dim: int, chunk: int, chunks: int | None = None) -> Tensor:
    """[.., T, ..] -> [.., chunks, chunk, ..], of zeros after the last step; ``dim`` of T counts from the front."""
    length = x.shape[dim]
    chunks = count(length, chunk) if chunks is None else chunks
    padded = F.pad(x, [0, 0] * (x.dim() - dim - 1) + [0, chunks * chunk - length])
    return padded.reshape(*x.shape[:dim], chunks, chunk, *x.shape[dim + 1 :])


def join(x: Tensor, dim: int, length: int) -> Tensor:
    """What :func:`split` cut into ``dim`` and the next, as one dimension of ``length`` steps; a copy, contiguous."""
    # contiguous() and reshape() would ask how it lies in memory, and guard on the length.
    whole = x.clone(memory_format=torch.contiguous_format).flatten(dim, dim + 1)
    if isinstance(length, torch.SymInt):
        # Of so many more steps it is certain that they are enough.
        whole = F.pad(whole, [0, 0] * (whole.dim() - dim - 1) + [0, length])
    elif whole.shape[dim] == length:
        return whole
    return whole.narrow(dim, 0, length).clone(memory_format=torch.contiguous_format)


def last(length: int, chunk: int) -> tuple[int, int]:
    """The place of the last chunk that has a step, counted from the end, and how many it has (length at least 1)."""
    spare = isinstance(length, torch.SymInt)
    return -2 if spare else -1, length - (count(length, chunk) - 1 - spare) * chunk


def after(first: Tensor, x: Tensor, dim: int) -> Tensor:
    """``first`` and all but the last of ``x`` along ``dim``: what there is before each chunk, of what is after it."""
    whole = torch.cat((first.unsqueeze(dim), x), dim).narrow(dim, 0, x.shape[dim])
    # Cut after it is joined: of x without its last it would have to be known whether it is one chunk long.
    return whole.clone(memory_format=torch.contiguous_format)


def earlier(n: int, device: torch.device) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The distances 1, 2, 4 .. below ``n``; with each, for n places, the one so far before, and whether there is none.

    Adding to every state the one before it by these distances in turn joins any number of them: what is to be done
    where the number is a symbol, and a table of unknown size.
    """
    place = torch.arange(n, device=device)
    for exponent in range(_DOUBLINGS):
        if known(n <= 2**exponent):
            break
        source = place - 2**exponent
        yield 2**exponent, source.clamp(min=0), source < 0
