"""Decode steps of many rows after one prompt, against the length of the prompt and the number of rows. Goals on a CPU.

Every way that ``regraft bench --shared-prompt`` times, on a Llama of 4 layers of 512 with grouped queries. In fp32 on a
CPU, with 64 rows of 64 own tokens, at least 3.5x transformers' static cache at a prompt of 4096 and 5x at 8192. A way
whose keys and values do not fit into memory says so. ``python -m benchmarks.draw`` makes the picture of the results.
"""

from __future__ import annotations

from typing import Any

import torch

from .results import Row
from .timing import compare

SUFFIX = 64
SHAPE = {
    "vocab_size": 2048,
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
}


def run(device: str, quick: bool) -> list[Row]:
    """Time a step along both axes, which cross in one case."""
    cases = [(prompt, 64) for prompt in (1024, 4096, 8192, 16384)] + [(4096, batch) for batch in (4, 256)]
    if device == "cuda":
        cases = [(prompt, 256) for prompt in (1024, 4096, 16384)] + [(4096, batch) for batch in (4, 64, 1024)]
    if quick:
        cases = [(512, 16), (64, 16), (512, 4)]
    rows: list[Row] = []
    for prompt, batch in cases:
        rows += step(prompt, batch, device, seconds=1 if quick else 5, compiled=not quick)
        torch._dynamo.reset()
    return rows


def step(prompt: int, batch: int, device: str, seconds: float, compiled: bool) -> list[Row]:
    """One new token for ``batch`` rows."""
    from regraft.frontend.bench_shared import STATIC, shared_prompt_steps
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model: Any = LlamaForCausalLM(LlamaConfig(**SHAPE, max_position_embeddings=prompt + SUFFIX + 2)).eval()
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model.to(device, dtype)
    steps = shared_prompt_steps(model, prompt, batch, SUFFIX, compiled=compiled)
    sizes = {"prompt": prompt, "batch": batch, "dtype": str(dtype).removeprefix("torch.")}
    case = f"prompt {prompt}, batch {batch}, suffix {SUFFIX}"
    notes = {name: {**sizes, "kv_mb": way.kv_bytes / 1e6} for name, way in steps.ways.items()}
    rows = compare(
        case,
        {name: way.call for name, way in steps.ways.items()},
        baseline=STATIC if STATIC in steps.ways else next(iter(steps.ways)),
        expected=steps.reference,
        seconds=seconds,
        least=3,
        notes=notes,
    )
    for row in rows:
        row.notes["tokens_per_s"] = 1e3 * batch / row.median_ms
    return rows + [Row(case, name, 0, 0, 0, 0, notes={**sizes, "why": why}) for name, why in steps.left_out.items()]
