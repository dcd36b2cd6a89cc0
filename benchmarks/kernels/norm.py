"""Norms of a sum in bf16, which is given back, too. Goal on an H200: at least 0.85 of memory bandwidth."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from regraft.kernels.norm.op import add_norm
from regraft.lowering.candidates import Call, call_with
from torch import Tensor

from ..results import Row
from .case import SECONDS, Case, compiled, eager, in_fp64, measure, nbytes

SHAPE = (16384, 4096)
EPS = 1e-5


def run(device: str, quick: bool, seconds: float = SECONDS) -> list[Row]:
    """Time both norms."""
    shape = (64, 128) if quick else SHAPE
    cases = [(kind, partial(with_residual, kind, shape, device)) for kind in ("rms_norm", "layer_norm")]
    return measure(cases, device, quick, seconds)


def with_residual(kind: str, shape: tuple[int, int], device: str) -> Case:
    """``total = x + residual`` and its norm; larger than the L2 cache."""
    torch.manual_seed(0)
    x, residual = (torch.randn(shape, device=device, dtype=torch.bfloat16) for _ in range(2))
    weight, bias = (torch.randn(shape[1], device=device, dtype=torch.bfloat16) for _ in range(2))
    centred = kind == "layer_norm"

    def definition(x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        total = x + residual
        if centred:
            return F.layer_norm(total, total.shape[-1:], weight, bias, EPS), total
        return F.rms_norm(total, total.shape[-1:], weight, EPS), total

    def tiled(rows: int) -> tuple[Tensor, Tensor]:
        y, total, _ = add_norm(x, residual, weight, bias if centred else None, EPS, centred, not centred, 0.0, rows)
        return y, total

    given = (x, residual, weight, bias)
    return Case(
        f"{kind} with residual, {shape[0]}x{shape[1]}",
        {"eager": eager(definition, *given), "torch.compile": compiled(definition, *given)},
        {"ours": {f"rows={rows}": partial(tiled, rows) for rows in (0, 1, 2, 4)}},
        expected=in_fp64(definition, *given),
        bytes=4 * nbytes(x) + nbytes(weight, bias),
    )


def tunable(device: str) -> Iterator[Call]:
    """Calls for the cost table."""
    for rows, width in ((4096, 1024), (16384, 1024), (4096, 4096), (16384, 4096)):
        x = torch.randn(rows, width, device=device, dtype=torch.bfloat16)
        weight = torch.ones(width, device=device, dtype=torch.bfloat16)
        yield call_with(torch.ops.regraft.rms_norm.default, x, weight, compute_dtype=torch.float32)
        yield call_with(torch.ops.regraft.layer_norm.default, x, weight, weight)
