"""The kernel operator of the diagonal state-space scan; formulas are those of :mod:`.program`.

u [B, H, T] of any strides in fp32, fp16 or bf16; the modal parameters [H, N], skip [H] and initial_state [B, H, N, 2]
as ``regraft::ssm_scan`` takes them, but fp64. y is in u's dtype, the state in fp32, both contiguous. The gradients are
those of the definition, which the backward computes again in ATen.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...compiler.ops.ssm_scan import ssm_scan as definition
from ...lowering.tile.ir import DTYPE_NAMES
from ..support import execute
from .program import SsmScan, scan

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@torch.library.custom_op("regraft_tile::ssm_scan", mutates_args=())
def ssm_scan(
    u: Tensor,
    log_radius: Tensor,
    angle: Tensor,
    residue_re: Tensor,
    residue_im: Tensor,
    skip: Tensor | None,
    initial_state: Tensor | None,
    modes: int,
    chunk: int,
    chunks: int,
    warps: int,
) -> tuple[Tensor, Tensor]:
    """The outputs and the state after the last step, as ``regraft::ssm_scan`` defines them."""
    y, final = _fake(u, log_radius)
    kind = SsmScan(DTYPE_NAMES[u.dtype], modes, initial_state is not None, chunk, chunks, warps)
    made = tables(u, log_radius, angle, residue_re, residue_im, skip, kind)
    given = {name: table.to(u.dtype if name == "taps" else torch.float32) for name, table in made.items()}
    given |= {"u": u, "y": y, "final": final}
    if initial_state is not None:
        given["initial"] = initial_state.float()
    if final.numel():
        execute(scan(kind), given)
    elif y.numel():
        y.copy_(torch.zeros_like(u) if skip is None else skip.unsqueeze(-1) * u)
    return y, final


def tables(
    u: Tensor,
    log_radius: Tensor,
    angle: Tensor,
    residue_re: Tensor,
    residue_im: Tensor,
    skip: Tensor | None,
    kind: SsmScan,
) -> dict[str, Tensor]:
    """What the program reads besides u and the state: powers of the poles, in fp64."""
    steps = torch.arange(kind.chunk, device=u.device)
    residue = torch.complex(residue_re.double(), residue_im.double()).unsqueeze(-1)
    pole = torch.complex(log_radius.double(), angle.double()).unsqueeze(-1)
    read = residue * (pole * steps).exp()
    lag0 = read.real.new_zeros(u.shape[1]) if skip is None else skip.double()
    taps = torch.cat((lag0.unsqueeze(-1), read.real.sum(1)[:, :-1]), -1)
    turns = torch.arange(-kind.chunks, kind.chunks + 1, device=u.device)
    hops = (pole * (turns.clamp(min=0) * kind.chunk)).exp() * (turns >= 0)
    rest = (u.shape[-1] - 1) % kind.chunk + 1
    return {
        "taps": F.pad(taps, (kind.chunk - 1, 0)),
        "powers": _parts((pole * steps.flip(0)).exp().mT),
        # Re(R lambda^i x), as factors of the real and of the imaginary part of x. Not read.conj(): in an operator of a
        # compiled graph, the sign that it leaves for later is lost.
        "reads": torch.stack((read.real, -read.imag)),
        "hops": _parts(hops.mT),
        "over": _parts((pole.squeeze(-1) * rest).exp()),
    }


def _parts(x: Tensor) -> Tensor:
    return torch.stack((x.real, x.imag))


@ssm_scan.register_fake
def _fake(u: Tensor, log_radius: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    state = u.new_empty((*u.shape[:2], log_radius.shape[1], 2), dtype=torch.float32)
    return u.new_empty(u.shape), state


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:7])


def _backward(ctx: Any, dy: Tensor, d_final: Tensor) -> tuple[Any, ...]:
    wanted = ctx.needs_input_grad[:7]
    with torch.enable_grad():
        again: list[Any] = [
            x if x is None else x.detach().requires_grad_(asked)
            for x, asked in zip(ctx.saved_tensors, wanted, strict=True)
        ]
        results = definition(*again)
        leaves = [x for x, asked in zip(again, wanted, strict=True) if asked]
        grads = iter(torch.autograd.grad(results, leaves, (dy, d_final), allow_unused=True))
    return *(next(grads) if asked else None for asked in wanted), None, None, None, None


ssm_scan.register_autograd(_backward, setup_context=_setup)
