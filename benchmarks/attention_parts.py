"""Attention with its log-sum-exp on a CPU, written out and by PyTorch's flash kernel, over rows and keys.

This is the measurement behind what ``select-kernels`` chooses for ``attention_lse`` and ``share-prefix`` gains there.
``python -m benchmarks.attention_parts`` measures every shape bucket and writes the cost table that comes with the
package; ``compiled`` does it for compiled programs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import torch
from regraft.kernels import candidates
from regraft.kernels.attention.cost import FEATURES, ROWS, keys_of, stacks_of
from regraft.lowering.candidates import Call, call_with
from regraft.lowering.costs import SHIPPED
from regraft.lowering.tune import tune

from .results import describe


def grid() -> Iterator[Call]:
    """A call of every shape bucket."""
    for dtype in (torch.float32, torch.bfloat16):
        for features in FEATURES:
            for rows in ROWS:
                for keys in keys_of(rows):
                    yield call_of(rows, keys, features, dtype)


def call_of(rows: int, keys: int, features: int, dtype: torch.dtype) -> Call:
    """One head for each stack; values round 1, since an average of many round 0 has no digits left."""
    generator = torch.Generator().manual_seed(0)
    stacks = stacks_of(rows, keys, features)
    shapes = ((1, stacks, length, features) for length in (rows, keys, keys))
    q, k, v = (torch.randn(shape, generator=generator).to(dtype) for shape in shapes)
    return call_with(torch.ops.regraft.attention_lse.default, q, k, v + 1)


def main() -> None:
    """Write the shipped table."""
    torch.set_num_threads(1)
    where = f"{describe('cpu')}, 1 thread, torch {torch.__version__}"
    compiled = "compiled" in sys.argv[1:]
    for call in grid():
        trials = tune(
            replace(call, compiled=compiled),
            candidates,
            seconds=0.3,
            path=SHIPPED,
            key=lambda key: key.of_any_cpu,
            where=where,
        )
        shapes = " ".join("x".join(map(str, tensor.shape)) for tensor in call.tensors)
        print(call.dtype, shapes, *(f"{t.candidate} {t.rejected or f'{t.milliseconds:.3g} ms'}" for t in trials))


if __name__ == "__main__":
    main()
