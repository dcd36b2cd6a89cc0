"""The default pipeline over a 32-layer decoder: passes, verification and all. Goal: under 3 s."""

from __future__ import annotations

import time
from statistics import median

from .results import Row


def run(device: str, quick: bool) -> list[Row]:
    """Time the pipeline on a graph with the structure of a 32-layer Llama (tiny widths: graph work only)."""
    import torch
    from regraft.frontend.capture import capture
    from regraft.frontend.rewrite import parse_pipeline, rewrite
    from transformers import LlamaConfig, LlamaForCausalLM

    layers = 4 if quick else 32
    config = LlamaConfig(
        vocab_size=128,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    model = LlamaForCausalLM(config).eval()
    ids = torch.randint(0, 128, (2, 64))
    captured = capture(model, {"input_ids": ids, "use_cache": False})
    times: list[float] = []
    for _ in range(2 if quick else 5):
        program = captured.copy()
        start = time.perf_counter()
        report = rewrite(program, parse_pipeline("default"))
        times.append((time.perf_counter() - start) * 1e3)
    passes = {record.pass_name: record.seconds * 1e3 for record in report.records}
    nodes = float(len(captured.graph.nodes))
    return [
        Row(
            f"llama, {layers} layers",
            "default pipeline",
            median(times),
            min(times),
            max(times),
            len(times),
            notes={"nodes": nodes, "rewrites": float(report.rewrites), **passes},
        )
    ]
