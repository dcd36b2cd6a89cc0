"""Linear layers in bf16 against cuBLAS, their epilogues against Inductor, and what task orders are worth.

Goals on an H200: at least 0.9 of cuBLAS at 4096 and 8192 cubed; with epilogues faster than Inductor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from regraft.kernels.matmul.candidates import LinearTile
from regraft.kernels.matmul.op import tile_matmul
from regraft.kernels.matmul.program import MatmulTile
from regraft.lowering.candidates import Call, call_with
from regraft.lowering.targets import target_of
from torch import Tensor

from ..results import Row
from .case import SECONDS, Case, Run, compiled, eager, edges, in_fp64, measure, nbytes, ours

ROWS = 64
"""From either end of the result, which are compared."""


def run(device: str, quick: bool, seconds: float = SECONDS) -> list[Row]:
    """Time products, epilogues and orders."""
    sides = (256,) if quick else (4096, 8192)
    cases: list[tuple[str, Callable[[], Case]]] = []
    for n in sides:
        cases += [
            (f"matmul {n}", partial(plain, n, n, n, device)),
            (f"matmul {n}, bias and gelu", partial(epilogue, n, device, "gelu(x + row0)", bias_gelu)),
            (f"matmul {n}, gate and residual", partial(epilogue, n, device, "x * full0 + full1", gate_residual)),
        ]
    for depth in (64,) if quick else (64, 128, 256, 512, 1024):
        cases.append((f"persistent, K {depth}", partial(persistence, sides[0], depth, device)))
    cases.append((f"order of tasks, {sides[-1]}", partial(orders, sides[-1], device)))
    return measure(cases, device, quick, seconds)


def plain(m: int, n: int, k: int, device: str) -> Case:
    """The product alone; eager is cuBLAS."""
    x, weight = operands(m, n, k, device)
    return _case(f"matmul {m}x{n}x{k}", x, weight, {"ours": ours(linear(x, weight))})


def bias_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """An MLP's first layer."""
    return F.gelu(F.linear(x, weight, bias))


def gate_residual(x: Tensor, weight: Tensor, gate: Tensor, residual: Tensor) -> Tensor:
    """A gated projection back into the residual stream."""
    return F.linear(x, weight) * gate + residual


def epilogue(n: int, device: str, text: str, function: Callable[..., Tensor]) -> Case:
    """The product with pointwise work behind it, all of it in one kernel of ours."""
    x, weight = operands(n, n, n, device)
    shapes = [(n,)] if function is bias_gelu else [(n, n), (n, n)]
    extras = [torch.randn(shape, device=device, dtype=x.dtype) for shape in shapes]
    configs = LinearTile().configs(linear(x, weight), target_of(x.device))
    tiles = [MatmulTile(*(config[name] for name in _FIELDS)) for config in configs]
    part = edges(ROWS)
    sampled = [extra if extra.dim() == 1 else part(extra) for extra in extras]
    return Case(
        f"matmul {n}, {function.__name__.replace('_', ' and ')}",
        {"eager": eager(function, x, weight, *extras), "torch.compile": compiled(function, x, weight, *extras)},
        {"ours": {str(tile): partial(_tiled, x, weight, extras, text, str(tile)) for tile in tiles}},
        expected=in_fp64(function, part(x), weight, *sampled),
        part=part,
        bytes=nbytes(x, weight, extras) + 2 * n * n,
        flops=2.0 * n**3,
    )


def persistence(n: int, depth: int, device: str) -> Case:
    """One program for each tile of the result, or one for each processor."""
    x, weight = operands(n, n, depth, device)
    ways = {
        name: _tiles(x, weight, [MatmulTile(128, 128, 64, 8, 8, 3, persistent, d) for d in (False, True)])
        for name, persistent in (("ours, one task a program", False), ("ours, persistent", True))
    }
    return _case(f"persistent {n}x{n}x{depth}", x, weight, ways)


def orders(n: int, device: str) -> Case:
    """Tiles of the result in groups of rows, or row after row."""
    x, weight = operands(n, n, n, device)
    ways = {
        name: _tiles(x, weight, [MatmulTile(128, 256, 64, group, 8, 3, d, d) for d in (False, True)])
        for name, group in (("ours, grouped", 8), ("ours, row by row", 1))
    }
    return _case(f"order {n}x{n}x{n}", x, weight, ways)


def operands(m: int, n: int, k: int, device: str) -> tuple[Tensor, Tensor]:
    """x [M, K] and a weight [N, K]."""
    torch.manual_seed(0)
    x, weight = (torch.randn(rows, k, device=device, dtype=torch.bfloat16) for rows in (m, n))
    return x, weight / k**0.5


def linear(x: Tensor, weight: Tensor) -> Call:
    """The call candidates are asked about."""
    return call_with(torch.ops.aten.linear.default, x, weight)


def tunable(device: str) -> Iterator[Call]:
    """Calls for the cost table."""
    for n in (1024, 2048, 4096, 8192):
        yield linear(*operands(n, n, n, device))


_FIELDS = ("block_m", "block_n", "block_k", "group", "num_warps", "num_stages", "persistent", "descriptors")


def _tiles(x: Tensor, weight: Tensor, tiles: Sequence[MatmulTile]) -> dict[str, Run]:
    return {str(tile): partial(_tiled, x, weight, [], "x", str(tile)) for tile in tiles}


def _tiled(x: Tensor, weight: Tensor, extras: Sequence[Tensor], text: str, tile: str) -> Tensor:
    return tile_matmul(x, weight, extras, True, "x", text, "bf16", tile, "")[0]


def _case(name: str, x: Tensor, weight: Tensor, ways: dict[str, dict[str, Run]]) -> Case:
    part, (m, k), n = edges(ROWS), x.shape, weight.shape[0]
    return Case(
        name,
        {"eager": eager(F.linear, x, weight)},
        ways,
        expected=in_fp64(F.linear, part(x), weight),
        part=part,
        bytes=nbytes(x, weight) + 2 * m * n,
        flops=2.0 * m * n * k,
    )
