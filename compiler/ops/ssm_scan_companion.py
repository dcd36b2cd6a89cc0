"""A linear state-space model as a rational function, run along time: :mod:`.ssm_scan` in companion form.

Its transfer function is skip + (b_1 z^-1 + ... + b_d z^-d) / (1 + a_1 z^-1 + ... + a_d z^-d), for every channel. With
v the input through the denominator alone, v_t = u_t - sum_i a_i v_{t-i} and y_t = sum_i b_i v_{t-i} + skip u_t: a step
is 2 d real multiply-adds (:func:`companion_step`), and the state the last d samples of v, the newest first (Laughing
Hyena, arXiv 2310.18780, section 3). :mod:`.state_space_forms` converts from and to the modal form.

What it costs is precision: poles that lie close together, as those of smooth filters do near 1, are hardly to be told
from the coefficients, and v grows far beyond y. Relative error of 1024 taps, median and worst of 32 channels, run step
by step; poles of decay 1e-3 to 1e-1 at random in the upper half-plane, or within 0.3 radians of 1:

=====  =====================  =====================  =====================  =====================
order  apart, fp32            apart, fp64            near 1, fp32           near 1, fp64
=====  =====================  =====================  =====================  =====================
4      4e-6, 2e-3             3e-14, 1e-12           3e-3, 0.1              8e-12, 1e-9
8      7e-5, 0.4              1e-12, 7e-9            overflow               4e-7, 7e-3
16     5e-4, overflow         4e-12, 5e-8            overflow               overflow
32     overflow               3e-10, 2e-6            overflow               overflow
64     overflow               1e-6, overflow         overflow               overflow
=====  =====================  =====================  =====================  =====================

Orders beyond :data:`MAX_ORDER` are refused; below, it is for the conversion to measure a model before it is used.
"""

# Tensor's operators come without types here and there.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import torch
from torch import Tensor

from . import chunks
from .registry import Call, accumulation_dtype, declare, known, require

MAX_ORDER = {torch.float32: 8, torch.float64: 32}
"""By the dtype of the computation: see the table above."""


def ssm_scan_companion(
    u: Tensor,
    denominator: Tensor,
    numerator: Tensor,
    skip: Tensor | None = None,
    initial_state: Tensor | None = None,
    *,
    chunk: int = 64,
) -> tuple[Tensor, Tensor]:
    """The outputs y [B, H, T] in u's dtype, and the state after the last step [B, H, d], the newest sample first.

    u [B, H, T] with T at least 1; denominator a_1 .. a_d and numerator b_1 .. b_d [H, d]; skip [H]; initial_state
    [B, H, d], by default 0. All is computed in fp32, or in fp64 if an input is; powers of the companion matrix are
    always taken in fp64. ``chunk`` is how many steps are computed as one product; it changes rounding only.

    Raises ``ValueError`` for ranks and sizes that do not fit, for coefficients or a state in less than fp32, and for an
    order above :data:`MAX_ORDER` of the dtype.
    """
    given = [x for x in (u, denominator, numerator, skip, initial_state) if x is not None]
    dtype = accumulation_dtype(x.dtype for x in given)
    _check(u, denominator, numerator, skip, initial_state, chunk, dtype)
    batch, channels, length = u.shape
    order = denominator.shape[1]
    steps = torch.arange(chunk, device=u.device)
    matrix = companion_matrix(denominator.double())
    # What v and y are after i more steps without input, as rows over the state: [H, chunk + 1, d] and [H, chunk, d].
    ahead, read = _rows(matrix[:, :1], matrix, chunk), _rows(numerator.double().unsqueeze(1), matrix, chunk)
    newest = ahead.new_ones(channels, 1)
    response = torch.cat((newest, ahead[:, :-1, 0]), -1)  # of v to an impulse
    lag0 = u.new_zeros(channels, 1, dtype=dtype) if skip is None else skip.to(dtype).unsqueeze(-1)
    within = _toeplitz(torch.cat((lag0, read[:, :-1, 0].to(dtype)), -1), steps)
    older = chunk - 1 - steps.unsqueeze(-1) - torch.arange(order, device=u.device)
    added = response[:, older.clamp(min=0)].masked_fill(older < 0, 0).to(dtype)

    padded = chunks.split(u.to(dtype), 2, chunk)
    if initial_state is None:
        initial_state = u.new_zeros(batch, channels, order, dtype=dtype)
    own = chunks.after(initial_state.to(dtype), padded @ added, 2)
    before = _recurrence(torch.linalg.matrix_power(matrix, chunk), own)
    y = padded @ within + before @ read.to(dtype).mT

    # v before and in the last chunk, which need not be full: the state is its last d samples that there are.
    at, rest = chunks.last(length, chunk)
    last = before[:, :, at]
    v = padded[:, :, at].unsqueeze(2) @ _toeplitz(response.to(dtype), steps) + last.unsqueeze(2) @ ahead.to(dtype).mT
    v = torch.cat((last.flip(-1), v.squeeze(2)), -1)
    final = v.index_select(-1, rest + torch.arange(order, device=u.device).flip(0))
    return chunks.join(y.to(u.dtype), 2, length), final.clone(memory_format=torch.contiguous_format)


def companion_step(
    u: Tensor, denominator: Tensor, numerator: Tensor, skip: Tensor | None, state: Tensor
) -> tuple[Tensor, Tensor]:
    """One step: y [B, H] of u [B, H], and the next state [B, H, d]; all in the state's dtype."""
    y = (state * numerator).sum(-1)
    v = u - (state * denominator).sum(-1)
    y = y if skip is None else y + skip * u
    return y, torch.cat((v.unsqueeze(-1), state[..., :-1]), -1)


def companion_matrix(denominator: Tensor) -> Tensor:
    """[H, d] -> [H, d, d]: what takes a state to the next without input; its eigenvalues are the poles."""
    channels, order = denominator.shape
    shift = torch.eye(order, dtype=denominator.dtype, device=denominator.device)[:-1]
    return torch.cat((-denominator.unsqueeze(1), shift.expand(channels, -1, -1)), 1)


def _rows(first: Tensor, matrix: Tensor, count: int) -> Tensor:
    """first matrix^i for i from 0 to ``count`` - 1: [H, count, d] of first [H, 1, d], twice as many each time."""
    while first.shape[1] < count:
        first = torch.cat((first, first @ matrix), 1)
        matrix = matrix @ matrix
    return first[:, :count]


def _toeplitz(taps: Tensor, steps: Tensor) -> Tensor:
    """[H, chunk, chunk] of taps [H, chunk]: entry (j, i) is what input j adds to output i."""
    lag = steps - steps.unsqueeze(-1)
    return taps[:, lag.clamp(min=0)].masked_fill(lag < 0, 0)


def _recurrence(matrix: Tensor, x: Tensor) -> Tensor:
    """x_j <- matrix x_{j-1} + x_j along the chunks of [B, H, n, d], by sums over 1, 2, 4 ... of them."""
    for _, source, none in chunks.earlier(x.shape[2], x.device):
        moved = x.index_select(2, source) @ matrix.to(x.dtype).mT
        x = x + moved.masked_fill(none.unsqueeze(-1), 0)
        # A power that no state is moved by must not overflow: its gradient would be no number.
        matrix = matrix.masked_fill(none.all(), 0)
        matrix = matrix @ matrix
    return x


def _check(
    u: Tensor,
    denominator: Tensor,
    numerator: Tensor,
    skip: Tensor | None,
    initial_state: Tensor | None,
    chunk: int,
    dtype: torch.dtype,
) -> None:
    name = "ssm_scan_companion"
    require(name, "u", u.dim() == 3, "[batch, channels, time]", f"rank {u.dim()}")
    require(name, "u", not known(u.shape[-1] < 1), "at least one step long", u.shape[-1])
    require(name, "chunk", chunk >= 1, "at least 1", chunk)
    order = denominator.shape[-1]
    most = MAX_ORDER[dtype]
    limits = f"of order 1 to {most} in {dtype}: poles of more are lost, keep them in modal form (ssm_scan)"
    require(name, "denominator", 1 <= order <= most, limits, order)
    for argument, x, shape in (
        ("denominator", denominator, (u.shape[1], order)),
        ("numerator", numerator, (u.shape[1], order)),
        ("skip", skip, (u.shape[1],)),
        ("initial_state", initial_state, (u.shape[0], u.shape[1], order)),
    ):
        if x is None:
            continue
        fits = x.dim() == len(shape) and not any(known(a != b) for a, b in zip(x.shape, shape, strict=True))
        require(name, argument, fits, f"of shape {list(shape)}", list(x.shape))
        wide = argument == "skip" or x.dtype in (torch.float32, torch.float64)
        require(name, argument, wide, "kept in fp32 or fp64: in less the poles are lost", x.dtype)


def _examples() -> list[Call]:
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(2, 3, 9, generator=generator)
    # Small coefficients are stable: their absolute values sum to less than 1.
    denominator, numerator = 0.4 * torch.rand(3, 2, generator=generator), torch.randn(3, 2, generator=generator)
    skip, state = torch.ones(3), torch.randn(2, 3, 2, generator=generator)
    return [((u, denominator, numerator), {}), ((u, denominator, numerator, skip, state), {"chunk": 4})]


SSM_SCAN_COMPANION = declare(
    ssm_scan_companion,
    "(Tensor u, Tensor denominator, Tensor numerator, Tensor? skip=None, Tensor? initial_state=None, *, "
    "int chunk=64) -> (Tensor y, Tensor final_state)",
    _examples,
)
