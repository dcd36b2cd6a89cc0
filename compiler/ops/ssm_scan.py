"""A diagonal linear state-space model run along time: what a long convolution is distilled to.

x_{t+1} = lambda x_t + u_t and y_t = Re(sum_n R_n x_t[n]) + skip u_t, for every channel: N complex modes lambda =
exp(log_radius + i angle) with residues R. Its filter has ``skip`` at lag 0 and Re(sum_n R_n lambda_n^(m - 1)) at lag m:
the modal form of Laughing Hyena (arXiv 2310.18780, section 3), where a conjugate pair of poles is one mode.

Poles are logarithms, and never in less than fp32: rounded to bf16 they are off by more than 1 - |lambda|.
A state-space model whose decay depends on the input (Mamba-2) is :mod:`.linear_attention`, one given as a rational
function :mod:`.ssm_scan_companion`.
"""

# Tensor.unflatten comes without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import torch
from torch import Tensor

from . import chunks
from .registry import Call, accumulation_dtype, declare, known, require


def ssm_scan(
    u: Tensor,
    log_radius: Tensor,
    angle: Tensor,
    residue_re: Tensor,
    residue_im: Tensor,
    skip: Tensor | None = None,
    initial_state: Tensor | None = None,
    *,
    chunk: int = 64,
) -> tuple[Tensor, Tensor]:
    """The outputs y [B, H, T] in u's dtype, and the state after the last step [B, H, N, 2] (real, imaginary).

    u [B, H, T] with T at least 1; log_radius (at most 0 for a stable model), angle in radians, residue_re and
    residue_im [H, N]; skip [H]; initial_state x_0 [B, H, N, 2], by default 0. All is computed in fp32, or in fp64 if an
    input is; powers of the poles are always taken in fp64. ``chunk`` is how many steps are computed as one product; it
    changes rounding only.

    Raises ``ValueError`` for ranks and sizes that do not fit, and for poles or a state in less than fp32.
    """
    _check(u, log_radius, angle, residue_re, residue_im, skip, initial_state, chunk)
    parameters = [log_radius, angle, residue_re, residue_im, *(x for x in (skip, initial_state) if x is not None)]
    dtype = accumulation_dtype(x.dtype for x in (u, *parameters))
    channels, length = u.shape[1:]
    steps = torch.arange(chunk, device=u.device)
    power_re, power_im = _powers(log_radius, angle, steps, dtype)
    # What is read off a state after m more steps, Re(R lambda^m x), as factors of its real and its imaginary part.
    residue_re, residue_im = (x.to(dtype).unsqueeze(-1) for x in (residue_re, residue_im))
    read_re = residue_re * power_re - residue_im * power_im
    read_im = -(residue_re * power_im + residue_im * power_re)

    given = chunks.split(u.to(dtype), 2, chunk)
    lag0 = u.new_zeros(channels, 1, dtype=dtype) if skip is None else skip.to(dtype).unsqueeze(-1)
    taps = torch.cat((lag0, read_re.sum(1)[:, :-1]), -1)
    lag = steps - steps.unsqueeze(-1)
    # Entry (j, i): what input j of a chunk adds to output i.
    within = taps[:, lag.clamp(min=0)].masked_fill(lag < 0, 0)

    # Every chunk's own part of the state after it, [B, H, N, chunks], behind the state before the first.
    added = [(given @ part.flip(-1).mT).mT for part in (power_re, power_im)]
    if initial_state is None:
        initial_state = u.new_zeros(*u.shape[:2], log_radius.shape[1], 2, dtype=dtype)
    joined = [chunks.after(*parts, 3) for parts in zip(initial_state.to(dtype).unbind(-1), added, strict=True)]
    groups = chunks.count(length, chunk * chunks.GROUP)
    state_re, state_im = _recurrence(log_radius, angle, joined[0], joined[1], chunk, groups)
    y = given @ within + state_re.mT @ read_re + state_im.mT @ read_im

    # The last chunk need not be full: how many of its steps are left after each, itself included.
    at, rest = chunks.last(length, chunk)
    left = rest - 1 - steps
    to_end = (part * (left >= 0) for part in _powers(log_radius, angle, left.clamp(min=0), dtype))
    own = [(given[:, :, at].unsqueeze(-2) @ part.mT).squeeze(-2) for part in to_end]
    over_re, over_im = (part.squeeze(-1) for part in _powers(log_radius, angle, steps[:1] + rest, dtype))
    last_re, last_im = state_re[..., at], state_im[..., at]
    final_re = over_re * last_re - over_im * last_im + own[0]
    final_im = over_re * last_im + over_im * last_re + own[1]
    return chunks.join(y.to(u.dtype), 2, length), torch.stack((final_re, final_im), -1)


def _powers(log_radius: Tensor, angle: Tensor, exponents: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """lambda ** exponents, [H, N, *exponents]: in fp64, where thousands of turns leave the phase exact."""
    shape = (*log_radius.shape, *[1] * exponents.dim())
    radius = (log_radius.double().reshape(shape) * exponents).exp()
    turned = angle.double().reshape(shape) * exponents
    return (radius * turned.cos()).to(dtype), (radius * turned.sin()).to(dtype)


def _recurrence(
    log_radius: Tensor, angle: Tensor, re: Tensor, im: Tensor, step: int, groups: int | None = None
) -> tuple[Tensor, Tensor]:
    """x_j = lambda^step x_{j-1} + given_j along the last axis of [B, H, N, n], from x_{-1} = 0.

    ``groups`` is as in :func:`.linear_attention.recurrence`.
    """
    n = re.shape[-1]
    symbolic = isinstance(n, torch.SymInt)
    if not symbolic and n <= chunks.GROUP:
        distance = torch.arange(n, device=re.device).unsqueeze(-1) - torch.arange(n, device=re.device)
        return _mixed(log_radius, angle, distance, re, im, step)
    place = torch.arange(chunks.GROUP, device=re.device)
    # [groups, B, H, N, GROUP]
    inner = [chunks.split(x, 3, chunks.GROUP, groups).movedim(3, 0) for x in (re, im)]
    within_re, within_im = _mixed(log_radius, angle, place.unsqueeze(-1) - place, inner[0], inner[1], step)
    ends = [x[..., -1].movedim(0, -1) for x in (within_re, within_im)]
    join = _by_doubling if symbolic else _recurrence
    ends_re, ends_im = join(log_radius, angle, ends[0], ends[1], step * chunks.GROUP)
    before = [chunks.after(torch.zeros_like(x[..., 0]), x, 3).movedim(-1, 0).unsqueeze(-1) for x in (ends_re, ends_im)]
    over_re, over_im = _powers(log_radius, angle, (place + 1) * step, re.dtype)
    whole_re = within_re + over_re * before[0] - over_im * before[1]
    whole_im = within_im + over_re * before[1] + over_im * before[0]
    return tuple(chunks.join(x.movedim(0, 3), 3, n) for x in (whole_re, whole_im))  # type: ignore[return-value]


def _by_doubling(log_radius: Tensor, angle: Tensor, re: Tensor, im: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """:func:`_recurrence` for any number of states, n log n of work."""
    one = torch.ones(1, dtype=torch.int64, device=re.device)
    for distance, source, none in chunks.earlier(re.shape[-1], re.device):
        over_re, over_im = (
            part.masked_fill(none, 0) for part in _powers(log_radius, angle, one * (distance * step), re.dtype)
        )
        from_re, from_im = re.index_select(-1, source), im.index_select(-1, source)
        re, im = re + over_re * from_re - over_im * from_im, im + over_re * from_im + over_im * from_re
    return re, im


def _mixed(
    log_radius: Tensor, angle: Tensor, distance: Tensor, re: Tensor, im: Tensor, step: int
) -> tuple[Tensor, Tensor]:
    """Sums of lambda^(step distance[i, j]) times element j, over the j with a distance of at least 0."""
    powers = _powers(log_radius, angle, distance.clamp(min=0) * step, re.dtype)
    kept_re, kept_im = (part * (distance >= 0) for part in powers)
    re, im = re.unsqueeze(-1), im.unsqueeze(-1)
    return (kept_re @ re - kept_im @ im).squeeze(-1), (kept_re @ im + kept_im @ re).squeeze(-1)


def _check(
    u: Tensor,
    log_radius: Tensor,
    angle: Tensor,
    residue_re: Tensor,
    residue_im: Tensor,
    skip: Tensor | None,
    initial_state: Tensor | None,
    chunk: int,
) -> None:
    name = "ssm_scan"
    require(name, "u", u.dim() == 3, "[batch, channels, time]", f"rank {u.dim()}")
    require(name, "u", not known(u.shape[-1] < 1), "at least one step long", u.shape[-1])
    require(name, "chunk", chunk >= 1, "at least 1", chunk)
    modes = log_radius.shape[-1]
    for argument, x, shape in (
        ("log_radius", log_radius, (u.shape[1], modes)),
        ("angle", angle, (u.shape[1], modes)),
        ("residue_re", residue_re, (u.shape[1], modes)),
        ("residue_im", residue_im, (u.shape[1], modes)),
        ("skip", skip, (u.shape[1],)),
        ("initial_state", initial_state, (u.shape[0], u.shape[1], modes, 2)),
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
    log_radius = -torch.rand(3, 4, generator=generator)
    angle, residue_re, residue_im = (torch.randn(3, 4, generator=generator) for _ in range(3))
    skip, state = torch.ones(3), torch.randn(2, 3, 4, 2, generator=generator)
    modal = (log_radius, angle, residue_re, residue_im)
    return [((u, *modal), {}), ((u, *modal, skip, state), {"chunk": 4})]


SSM_SCAN = declare(
    ssm_scan,
    "(Tensor u, Tensor log_radius, Tensor angle, Tensor residue_re, Tensor residue_im, Tensor? skip=None, "
    "Tensor? initial_state=None, *, int chunk=64) -> (Tensor y, Tensor final_state)",
    _examples,
)
