"""A causal long convolution on a CPU: by FFT, with the filter's spectrum folded, as matrix products, and directly.

This is the measurement behind what ``select-kernels`` and ``fold-filters`` do there. ``python -m benchmarks.long_conv``
measures the whole grid of shape buckets and writes the cost table that comes with the package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from regraft.compiler.ops.long_conv import long_conv, long_conv_spectrum, spectrum, transform_size
from regraft.kernels import candidates
from regraft.kernels.long_conv.candidates import LENGTHS, MOST_ELEMENTS, ROWS, TAPS
from regraft.kernels.long_conv.direct import direct_conv
from regraft.kernels.long_conv.monarch import dft_tables, monarch_conv, size_of
from regraft.lowering.candidates import Call, call_with
from regraft.lowering.costs import SHIPPED
from regraft.lowering.tune import tune

from .results import Row, describe
from .timing import compare

LONG_CONV = torch.ops.regraft.long_conv.default
LONG_CONV_SPECTRUM = torch.ops.regraft.long_conv_spectrum.default


def run(device: str, quick: bool) -> list[Row]:
    """Time filters as long as the input at several sizes, then shorter and shorter ones at one."""
    sizes = [(1, 64, 1024), (1, 768, 1024), (1, 768, 4096), (4, 64, 4096), (16, 64, 1024), (1, 768, 16384)]
    cases = [(*size, size[-1]) for size in (sizes[:1] if quick else sizes)]
    cases += [(1, 256, 2048, taps) for taps in ((16, 256) if quick else (4, 16, 64, 128, 256, 512))]
    rows: list[Row] = []
    for batch, channels, length, taps in cases:
        case = f"{batch}x{channels}x{length}, {taps} taps"
        calls = ways(batch, channels, length, taps)
        rows += compare(case, calls, baseline="fft", reference="fft", seconds=0.5 if quick else 4)
    return rows


def ways(batch: int, channels: int, length: int, taps: int) -> dict[str, Callable[[], Any]]:
    """Each form as a call on the same tensors; directly only where that can be the quickest."""
    call, folded = calls_of(batch * channels, length, taps, batch)
    tables = dft_tables(size_of(call.arguments), torch.float32, torch.device("cpu"))
    found: dict[str, Callable[[], Any]] = {
        "fft": lambda: long_conv(call["u"], call["k"]),
        "spectrum folded": lambda: long_conv_spectrum(**folded.arguments),
        "matrix products": lambda: monarch_conv(call.arguments, *tables),
    }
    return found | ({"direct": lambda: direct_conv(call.arguments)} if taps <= 1024 else {})


def calls_of(rows: int, length: int, taps: int, batch: int = 1) -> tuple[Call, Call]:
    """The convolution, and the same with its spectrum at hand."""
    torch.manual_seed(0)
    u, k = torch.randn(batch, rows // batch, length), torch.randn(rows // batch, taps)
    size = transform_size(length, taps, 0, "causal", 0, 0)
    k_f = spectrum(k[:, :length], lags="causal", fft_size=size)
    return call_with(LONG_CONV, u, k), call_with(LONG_CONV_SPECTRUM, u, k_f, fft_size=size, length=length)


def grid() -> Iterator[Call]:
    """A call of every shape bucket."""
    for length in LENGTHS:
        for rows in (rows for rows in ROWS if rows * length <= MOST_ELEMENTS):
            for taps in sorted({*(taps for taps in TAPS if taps <= length), length}):
                yield calls_of(rows, length, taps)[0]
            for taps in (TAPS[0], length):
                yield calls_of(rows, length, taps)[1]


def main() -> None:
    """Write the shipped table."""
    torch.set_num_threads(1)
    where = f"{describe('cpu')}, 1 thread, torch {torch.__version__}"
    for call in grid():
        trials = tune(call, candidates, seconds=0.3, path=SHIPPED, key=lambda key: key.of_any_cpu, where=where)
        shapes = " ".join("x".join(map(str, tensor.shape)) for tensor in call.tensors)
        print(call.op, shapes, *(f"{t.candidate} {t.rejected or f'{t.milliseconds:.3g} ms'}" for t in trials))


if __name__ == "__main__":
    main()
