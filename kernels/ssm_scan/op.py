"""The kernel operator of the diagonal state-space scan; formulas are those of :mod:`.program`.

u [B, H, T] of any strides in fp32, fp16 or bf16; the modal parameters [H, N], skip [H] and initial_state [B, H, N, 2]
as ``regraft::ssm_scan`` takes them, but fp64. y is in u's dtype, the state in fp32, both contiguous.

The gradients of u and of the state are a scan too, from the last step back: with a the conjugate of the gradient by the
state, a_t = lambda a_{t+1} + R dy_t and du_t = Re(sum_n a_{t+1}[n]) + skip dy_t. That is the same program; the residues
only move from what is read off the state to what is added to it. Where the gradient of a modal parameter is asked for,
the definition is computed again in ATen.
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
    modal = (log_radius, angle, residue_re, residue_im)
    return _run(u, modal, skip, initial_state, (modes, chunk, chunks, warps), adjoint=False)


@torch.library.custom_op("regraft_tile::ssm_scan_adjoint", mutates_args=())
def ssm_scan_adjoint(
    dy: Tensor,
    log_radius: Tensor,
    angle: Tensor,
    residue_re: Tensor,
    residue_im: Tensor,
    skip: Tensor | None,
    d_final: Tensor,
    modes: int,
    chunk: int,
    chunks: int,
    warps: int,
) -> tuple[Tensor, Tensor]:
    """The gradients of u and of the first state, from those of the outputs and of the last state."""
    modal, conjugate = (log_radius, angle, residue_re, residue_im), d_final.new_tensor((1, -1))
    sides = (modes, chunk, chunks, warps)
    du, d_first = _run(dy.flip(-1), modal, skip, d_final * conjugate, sides, adjoint=True)
    return du.flip(-1), d_first * conjugate


def _run(
    u: Tensor,
    modal: tuple[Tensor, Tensor, Tensor, Tensor],
    skip: Tensor | None,
    initial_state: Tensor | None,
    sides: tuple[int, int, int, int],
    adjoint: bool,
) -> tuple[Tensor, Tensor]:
    y, final = _fake(u, *modal)
    modes, chunk, chunks, warps = sides
    kind = SsmScan(DTYPE_NAMES[u.dtype], modes, initial_state is not None, chunk, chunks, warps)
    made = tables(u, *modal, skip, kind, adjoint)
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
    adjoint: bool = False,
) -> dict[str, Tensor]:
    """What the program reads besides u and the state: powers of the poles, in fp64.

    The residues are in what is read off the state, or, for the ``adjoint``, in what is added to it.
    """
    steps = torch.arange(kind.chunk, device=u.device)
    residue = torch.complex(residue_re.double(), residue_im.double()).unsqueeze(-1)
    pole = torch.complex(log_radius.double(), angle.double()).unsqueeze(-1)
    power = (pole * steps).exp()
    response = residue * power
    added, read = (response, power) if adjoint else (power, response)
    lag0 = read.real.new_zeros(u.shape[1]) if skip is None else skip.double()
    taps = torch.cat((lag0.unsqueeze(-1), response.real.sum(1)[:, :-1]), -1)
    turns = torch.arange(-kind.chunks, kind.chunks + 1, device=u.device)
    hops = (pole * (turns.clamp(min=0) * kind.chunk)).exp() * (turns >= 0)
    rest = (u.shape[-1] - 1) % kind.chunk + 1
    return {
        "taps": F.pad(taps, (kind.chunk - 1, 0)),
        "powers": _parts(added.flip(-1).mT),
        # Re(R lambda^i x), as factors of the real and of the imaginary part of x. Not read.conj(): in an operator of a
        # compiled graph, the sign that it leaves for later is lost.
        "reads": torch.stack((read.real, -read.imag)),
        "hops": _parts(hops.mT),
        "over": _parts((pole.squeeze(-1) * rest).exp()),
    }


def _parts(x: Tensor) -> Tensor:
    return torch.stack((x.real, x.imag))


@ssm_scan.register_fake
@ssm_scan_adjoint.register_fake
def _fake(u: Tensor, log_radius: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    state = u.new_empty((*u.shape[:2], log_radius.shape[1], 2), dtype=torch.float32)
    return u.new_empty(u.shape), state


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:7])
    ctx.sides = inputs[7:]


def _backward(ctx: Any, dy: Tensor, d_final: Tensor) -> tuple[Any, ...]:
    wanted = ctx.needs_input_grad[:7]
    if any(wanted[1:6]):
        return *_again(ctx.saved_tensors, wanted, dy, d_final), None, None, None, None
    u, *modal, skip, initial_state = ctx.saved_tensors
    du, d_first = ssm_scan_adjoint(dy.to(u.dtype), *modal, skip, d_final, *ctx.sides)
    d_first = d_first.to(initial_state.dtype) if wanted[6] else None
    return du, None, None, None, None, None, d_first, None, None, None, None


def _again(inputs: tuple[Any, ...], wanted: tuple[bool, ...], dy: Tensor, d_final: Tensor) -> list[Tensor | None]:
    """The gradients of the definition by the inputs that are wanted."""
    with torch.enable_grad():
        again: list[Any] = [
            x if x is None else x.detach().requires_grad_(asked) for x, asked in zip(inputs, wanted, strict=True)
        ]
        results = definition(*again)
        leaves = [x for x, asked in zip(again, wanted, strict=True) if asked]
        grads = iter(torch.autograd.grad(results, leaves, (dy, d_final), allow_unused=True))
    return [next(grads) if asked else None for asked in wanted]


ssm_scan.register_autograd(_backward, setup_context=_setup)
