"""Attention without softmax: a matrix for a state, that forgets at a given rate and is read by the queries.

S_t = exp(g_t) S_{t-1} + k_t^T v_t and o_t = scale * q_t S_t, for every batch and head. What is known by other names:

======================  =========================================================================================
linear attention        no decay; the feature map is applied to q and k by the caller (Katharopoulos et al. 2020,
                        arXiv 2006.16236, section 3.2; its normaliser is one more column of ones in v)
RetNet, Lightning       decay [H]: one rate for each head (arXiv 2307.08621, 2401.04658)
Mamba-2 (SSD)           decay [B, H, T] = dt * A, v = dt * x, k = B and q = C, which the heads of a group share
                        (arXiv 2405.21060, section 6): a selective state-space model needs no operator of its own
======================  =========================================================================================

The definition is chunked: within a chunk the masked product of queries and keys, between chunks the state.
"""

# Tensor.unflatten comes without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import torch
from torch import Tensor

from . import chunks
from .registry import Call, accumulation_dtype, declare, known, require, require_equal


def linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    decay: Tensor | None = None,
    initial_state: Tensor | None = None,
    *,
    scale: float = 1.0,
    chunk: int = 64,
) -> tuple[Tensor, Tensor]:
    """The outputs [B, H, T, Dv] in v's dtype, and the state after the last step [B, H, Dk, Dv].

    q, k [B, Hq or Hk, T, Dk] and v [B, Hv, T, Dv]: H is the most heads among them, and head h reads head
    h // (H / Hx) of one that has only Hx. decay is g, the logarithm of what is kept, at most 0 (-inf forgets all):
    [H] or [B, H, T]. initial_state [B, H, Dk, Dv] is S_0, by default 0. States, sums and decays are fp64 if an input
    is, else fp32. ``chunk`` is how many steps are computed as one product; it changes rounding only.

    Raises ``ValueError`` for ranks, heads and sizes that do not fit.
    """
    heads = check(q, k, v, decay, initial_state, chunk)
    given = [x for x in (q, k, v, decay, initial_state) if x is not None]
    dtype, out_dtype = accumulation_dtype(x.dtype for x in given), v.dtype
    batch, _, length, width = q.shape
    steps = _log_decay(decay, length, q.device, dtype)
    q, k, v = (chunks.split(per_head(x.to(dtype), heads), 2, chunk) for x in (q, k, v))
    steps = chunks.split(steps, 2, chunk)
    between, since = segment_sums(steps), steps.cumsum(-1)
    updates = (k * between[..., -1, :].exp().unsqueeze(-1)).mT @ v
    if initial_state is None:
        initial_state = q.new_zeros(batch, heads, width, v.shape[-1])
    # Of the state before the first chunk, which is there already, the decay is of no consequence.
    before = chunks.after(initial_state.to(dtype), updates, 2)
    totals = chunks.after(torch.zeros_like(since[:, :, 0, 0]), since[..., -1], 2)
    groups = chunks.count(length, chunk * chunks.GROUP)
    states = recurrence(totals, before.flatten(3), groups).unflatten(-1, (width, v.shape[-1]))
    within = (q @ k.mT * between.exp()) @ v
    out = scale * (within + q * since.exp().unsqueeze(-1) @ states)
    final = since[:, :, -1, -1, None, None].exp() * states[:, :, -1] + updates[:, :, -1]
    return chunks.join(out.to(out_dtype), 2, length), final


def segment_sums(x: Tensor) -> Tensor:
    """[..., n] -> [..., n, n]: entry (i, j) is x[j + 1] + ... + x[i], 0 on the diagonal and -inf above it.

    Summed one by one: a difference of running sums would lose what is small next to what was summed before it.
    """
    n = x.shape[-1]
    row = torch.arange(n, device=x.device).unsqueeze(-1)
    column = torch.arange(n, device=x.device)
    terms = x.unsqueeze(-1).expand(*x.shape, n).masked_fill(row <= column, 0)
    return terms.cumsum(-2).masked_fill(row < column, -torch.inf)


def recurrence(log_decay: Tensor, x: Tensor, groups: int | None = None) -> Tensor:
    """y_j = exp(log_decay_j) y_{j-1} + x_j for log_decay [..., n] and x [..., n, F], from y_{-1} = 0.

    Where n is a symbol, ``groups`` is how many times :data:`.chunks.GROUP` hold it: a division of a division is more
    than what is known of symbols can be proved for.
    """
    n = x.shape[-2]
    symbolic = isinstance(n, torch.SymInt)
    if not symbolic and n <= chunks.GROUP:
        return segment_sums(log_decay).exp() @ x
    decays = chunks.split(log_decay, log_decay.dim() - 1, chunks.GROUP, groups)
    within = segment_sums(decays).exp() @ chunks.split(x, x.dim() - 2, chunks.GROUP, groups)
    since = decays.cumsum(-1)
    ends = (_by_doubling if symbolic else recurrence)(since[..., -1], within[..., -1, :])
    before = chunks.after(torch.zeros_like(ends[..., 0, :]), ends, ends.dim() - 2)
    whole = within + since.exp().unsqueeze(-1) * before.unsqueeze(-2)
    return chunks.join(whole, x.dim() - 2, n)


def _by_doubling(log_decay: Tensor, x: Tensor) -> Tensor:
    """:func:`recurrence` for any number of states, n log n of work."""
    for _, source, none in chunks.earlier(x.shape[-2], x.device):
        moved = log_decay.exp().masked_fill(none, 0).unsqueeze(-1) * x.index_select(-2, source)
        log_decay = log_decay + log_decay.index_select(-1, source).masked_fill(none, 0)
        x = x + moved
    return x


def per_head(x: Tensor, heads: int) -> Tensor:
    """[B, Hx, ...] -> [B, heads, ...], each head repeated for those that share it."""
    if known(x.shape[1] == heads):
        return x
    shared = x.unsqueeze(2).expand(x.shape[0], x.shape[1], heads // x.shape[1], *x.shape[2:])
    return shared.flatten(1, 2)


def _log_decay(decay: Tensor | None, length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """[B or 1, H or 1, T]."""
    if decay is None:
        return torch.zeros(1, 1, length, device=device, dtype=dtype)
    decay = decay.to(dtype)
    return decay.reshape(1, -1, 1).expand(1, decay.shape[0], length) if decay.dim() == 1 else decay


def check(q: Tensor, k: Tensor, v: Tensor, decay: Tensor | None, initial_state: Tensor | None, chunk: int = 64) -> int:
    """The number of heads; raises ``ValueError`` for arguments that do not fit."""
    name = "linear_attention"
    for argument, x in (("q", q), ("k", k), ("v", v)):
        require(name, argument, x.dim() == 4, "[batch, heads, time, width]", f"rank {x.dim()}")
    require(name, "k", not known(k.shape[-1] != q.shape[-1]), f"as wide as q ({q.shape[-1]})", k.shape[-1])
    for argument, x in (("k", k), ("v", v)):
        require_equal(name, argument, "as long as q", x.shape[2], q.shape[2])
    require(name, "chunk", chunk >= 1, "at least 1", chunk)
    heads = max(q.shape[1], k.shape[1], v.shape[1])
    for argument, x in (("q", q), ("k", k), ("v", v)):
        fits = not known(heads % x.shape[1] != 0)
        require(name, argument, fits, f"of a number of heads that divides {heads}", x.shape[1])
    if decay is not None:
        require(name, "decay", decay.dim() in (1, 3), "[heads] or [batch, heads, time]", f"rank {decay.dim()}")
        found = decay.shape[0] if decay.dim() == 1 else decay.shape[1]
        require(name, "decay", not known(found != heads), f"of {heads} heads", found)
        if decay.dim() == 3:
            require_equal(name, "decay", "as long as q", decay.shape[2], q.shape[2])
    if initial_state is not None:
        expected = (q.shape[0], heads, q.shape[-1], v.shape[-1])
        fits = initial_state.dim() == 4 and not any(
            known(a != b) for a, b in zip(initial_state.shape, expected, strict=True)
        )
        require(name, "initial_state", fits, f"of shape {list(expected)}", list(initial_state.shape))
    return heads


def _examples() -> list[Call]:
    generator = torch.Generator().manual_seed(0)
    q, k, v, state = (
        torch.randn(shape, generator=generator) for shape in ((2, 4, 9, 3), (2, 4, 9, 3), (2, 4, 9, 5), (2, 4, 3, 5))
    )
    rates = -torch.rand(4, generator=generator)
    steps = -torch.rand(2, 4, 9, generator=generator)
    return [
        ((q, k, v), {}),
        ((q, k, v, rates), {"scale": 0.5, "chunk": 4}),
        ((q[:, :2], k[:, :1], v, steps, state), {"chunk": 4}),
    ]


LINEAR_ATTENTION = declare(
    linear_attention,
    "(Tensor q, Tensor k, Tensor v, Tensor? decay=None, Tensor? initial_state=None, *, "
    "float scale=1.0, int chunk=64) -> (Tensor out, Tensor final_state)",
    _examples,
)
