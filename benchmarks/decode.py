"""One decode step of a grouped-query model with a static KV cache. Goal on a CPU: at least 2x Inductor at 64 x 2K.

The baseline is what transformers users run: ``StaticCache`` and ``torch.compile`` of the forward. Caches are filled
with random keys and values to one position short of their end; every variant writes the same position again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from .results import Row
from .timing import compare

SHAPE = {
    "vocab_size": 2048,
    "hidden_size": 1024,
    "intermediate_size": 2048,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "max_position_embeddings": 8192,
}


def run(device: str, quick: bool) -> list[Row]:
    """Time a step at several batch sizes and contexts."""
    cases = [(2, 4, 128)] if quick else [(4, 1, 2048), (4, 16, 2048), (4, 64, 2048)]
    rows: list[Row] = []
    for layers, batch, context in cases:
        rows += step(layers, batch, context, device, seconds=2 if quick else 30)
        torch._dynamo.reset()
    return rows


def step(layers: int, batch: int, context: int, device: str, seconds: float) -> list[Row]:
    """One step of ``layers`` layers at ``batch`` rows over ``context`` cached positions."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE, num_hidden_layers=layers)).eval().to(device)
    variants: dict[str, Any] = {
        "eager": model,
        "inductor": torch.compile(copy.copy(model), dynamic=False),
        "backend=regraft": torch.compile(copy.copy(model), backend="regraft", dynamic=False),
    }
    calls = {name: _step(module, model, batch, context, device) for name, module in variants.items()}
    return compare(
        f"llama {layers} layers, 16/4 heads of 64, {batch} x {context}", calls, baseline="inductor", seconds=seconds
    )


def _step(module: Any, model: Any, batch: int, context: int, device: str) -> Callable[[], torch.Tensor]:
    cache = filled_cache(model, batch, context, device)
    token = torch.arange(batch, device=device)[:, None] % 2048
    position = torch.full((batch, 1), context - 1, device=device)
    mask = torch.ones(batch, context, dtype=torch.long, device=device)

    @torch.no_grad()
    def call() -> torch.Tensor:
        _rewind(cache, context - 1)
        options = {"past_key_values": cache, "position_ids": position, "attention_mask": mask, "use_cache": True}
        return module(input_ids=token, **options).logits

    return call


def filled_cache(model: Any, batch: int, context: int, device: str) -> Any:
    """A ``StaticCache`` of ``context`` positions with random content."""
    from transformers import StaticCache

    config = model.config
    cache = StaticCache(config=config, max_cache_len=context)
    generator = torch.Generator(device).manual_seed(1)
    heads, width = config.num_key_value_heads, config.head_dim
    for index, layer in enumerate(cache.layers):
        shape = (batch, heads, 1, width)
        cache.update(*torch.zeros(2, *shape, device=device), index)
        layer.keys.normal_(generator=generator)
        layer.values.normal_(generator=generator)
    return cache


def _rewind(cache: Any, position: int) -> None:
    """Make ``position`` the next to be written."""
    for layer in cache.layers:
        layer.cumulative_length.fill_(position)
