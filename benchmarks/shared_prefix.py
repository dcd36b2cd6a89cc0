"""Attention over a shared prompt, and a decode step around it. Goals on a CPU in fp32.

The rival is the fair one: keys and values of every row side by side in one buffer that was filled before the clock
started, query heads of a group folded into rows, so that neither a ``cat`` nor a repetition is timed. Attention should
be 6x at (prefix 4096, batch 64, suffix 64) and 10x at batch 256; two levels of a tree 1.5x over one. ``bound`` is the
ratio of the keys and values that both have to read: what memory traffic alone allows.

A decode step is that of a Llama of 4 layers of 512 with grouped queries, through the handle of
:func:`regraft.share_prefix`, against ``StaticCache`` in eager mode, where transformers stacks grouped heads itself:
3.5x at 4096, 5x at 8192, batch 64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .results import Row
from .timing import compare

HEADS, WIDTH = 8, 64
SHAPE = {
    "vocab_size": 2048,
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
}


class SharedPrompt(nn.Module):
    """Attention as a user writes it: every level of keys and values repeated for its rows, then joined."""

    def forward(self, q: Tensor, keys: list[Tensor], values: list[Tensor]) -> Tensor:
        """q [B, H, T, D], each of keys and values [b, H, L, D] with b dividing B; [B, H, T, D]."""
        return F.scaled_dot_product_attention(q, _joined(keys, q), _joined(values, q))


def run(device: str, quick: bool) -> list[Row]:
    """Time attention over one shared prompt, over a tree, and where it does not pay."""
    cases = [(1024, 64, 64), (4096, 64, 64), (4096, 256, 64), (16384, 64, 64), (1024, 2, 64)]
    if device == "cuda":
        cases = [(4096, 64, 64), (8192, 256, 64), (16384, 1024, 64)]
    if quick:
        cases = [(512, 4, 16)]
    rows: list[Row] = []
    for prefix, batch, suffix in cases:
        rows += attention(prefix, batch, suffix, device, seconds=1 if quick else 10)
        torch._dynamo.reset()
    trees = [(256, 64, 2, 2, 16)] if quick else [(4096, 1024, 8, 16, 128), (4096, 512, 16, 8, 64)]
    for sizes in trees:
        rows += tree(*sizes, device, seconds=1 if quick else 10)
        torch._dynamo.reset()
    steps = [(128, 4, 8)] if quick else [(1024, 64, 64), (4096, 64, 64), (8192, 64, 64)]
    for prefix, batch, suffix in steps:
        rows += step(prefix, batch, suffix, device, seconds=2 if quick else 20)
    return rows


def attention(prefix: int, batch: int, suffix: int, device: str, seconds: float) -> list[Row]:
    """One query a row over ``prefix`` shared and ``suffix`` own positions."""
    levels = _levels([(1, prefix), (batch, suffix)], device)
    bound = batch * (prefix + suffix) / (prefix + batch * suffix)
    return _compare(
        f"attention, prefix {prefix}, batch {batch}, suffix {suffix}", batch, levels, bound, device, seconds
    )


def tree(root: int, branch: int, nodes: int, members: int, suffix: int, device: str, seconds: float) -> list[Row]:
    """A prompt of ``root`` positions, ``nodes`` continuations of ``branch``, ``members`` rows each."""
    batch = nodes * members
    levels = _levels([(1, root), (nodes, branch), (batch, suffix)], device)
    bound = batch * (root + branch + suffix) / (root + nodes * branch + batch * suffix)
    case = f"tree, {root} + {nodes} x {branch}, {members} rows each, suffix {suffix}"
    rest = [_joined(level[1:], torch.empty(batch, 0)) for level in levels]
    one = [[level[0], own] for level, own in zip(levels, rest, strict=True)]
    return _compare(case, batch, levels, bound, device, seconds, {"one level": one})


def step(prefix: int, batch: int, suffix: int, device: str, seconds: float) -> list[Row]:
    """One new token for ``batch`` rows that begin alike; both caches hold the same keys and values."""
    import regraft
    from transformers import LlamaConfig, LlamaForCausalLM, StaticCache

    torch.manual_seed(0)
    config = LlamaConfig(**SHAPE, num_hidden_layers=4, max_position_embeddings=prefix + suffix + 1)
    plain, shared = LlamaForCausalLM(config).eval().to(device), LlamaForCausalLM(config).eval().to(device)
    shared.load_state_dict(plain.state_dict())
    handle = regraft.share_prefix(shared, torch.randint(SHAPE["vocab_size"], (prefix,), device=device))
    ids = torch.randint(SHAPE["vocab_size"], (batch, suffix + 1), device=device)
    own = handle.new_cache()
    static: Any = StaticCache(config=config, max_cache_len=prefix + suffix + 1)
    with torch.no_grad():
        shared(input_ids=ids[:, :-1], past_key_values=own, position_ids=torch.arange(prefix, prefix + suffix)[None])
        for at, (ours, level) in enumerate(zip(own.layers, [handle.levels[0]] * 4, strict=True)):
            whole = (torch.cat([_rows(held[at], batch), tail], 2)
                     for held, tail in ((level.keys, ours.keys), (level.values, ours.values)))  # fmt: skip
            static.update(*whole, at)

    def through(model: Any, cache: Any, rewind: Callable[[], None]) -> Callable[[], Tensor]:
        position = torch.full((1, 1), prefix + suffix, device=device)

        def call() -> Tensor:
            with torch.no_grad():
                out = model(input_ids=ids[:, -1:], past_key_values=cache, position_ids=position, use_cache=True).logits
            rewind()
            return out

        return call

    def rewind_static() -> None:
        for layer in static.layers:
            layer.cumulative_length.fill_(prefix + suffix)

    variants = {
        "eager, static cache": through(plain, static, rewind_static),
        "share_prefix": through(shared, own, lambda: own.crop(-1)),
    }
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in static.layers)
    less = handle.nbytes + sum(part.nbytes for layer in own.layers for part in (layer.keys, layer.values))
    return compare(
        f"decode step, prefix {prefix}, batch {batch}, suffix {suffix}",
        variants,
        baseline="eager, static cache",
        reference="eager, static cache",
        seconds=seconds,
        notes={"eager, static cache": {"kv_mb": held / 1e6}, "share_prefix": {"kv_mb": less / 1e6}},
    )


def _compare(
    case: str,
    batch: int,
    levels: list[list[Tensor]],
    bound: float,
    device: str,
    seconds: float,
    others: dict[str, list[list[Tensor]]] | None = None,
) -> list[Row]:
    generator = torch.Generator(device).manual_seed(0)
    q = torch.randn(batch, HEADS, 1, WIDTH, device=device, generator=generator, dtype=_dtype(device))
    whole = [_joined(level, q) for level in levels]
    compiled = torch.compile(F.scaled_dot_product_attention, dynamic=False)
    variants: dict[str, Callable[[], Any]] = {
        "eager, keys held whole": lambda: F.scaled_dot_product_attention(q, *whole),
        "inductor, keys held whole": lambda: compiled(q, *whole),
    }
    for name, parts in {**(others or {}), "share-prefix": levels}.items():
        variants[name] = _rewritten(q, parts)
    with torch.no_grad():
        return compare(
            case,
            variants,
            baseline="eager, keys held whole",
            reference="eager, keys held whole",
            seconds=seconds,
            notes={"share-prefix": {"bound": bound}},
        )


def _rewritten(q: Tensor, parts: list[list[Tensor]]) -> Callable[[], Any]:
    module = torch.compile(SharedPrompt(), backend="regraft", dynamic=False)
    return lambda: module(q, *parts)


def _levels(shapes: list[tuple[int, int]], device: str) -> list[list[Tensor]]:
    """Random keys and values, [copies, heads, length, width] for every level."""
    options: Any = {"device": device, "generator": torch.Generator(device).manual_seed(1), "dtype": _dtype(device)}
    return [[torch.randn(copies, HEADS, length, WIDTH, **options) for copies, length in shapes] for _ in range(2)]


def _dtype(device: str) -> torch.dtype:
    return torch.bfloat16 if device == "cuda" else torch.float32


def _joined(parts: list[Tensor], q: Tensor) -> Tensor:
    return torch.cat([_rows(part, q.shape[0]) for part in parts], 2)


def _rows(part: Tensor, rows: int) -> Tensor:
    return part.repeat_interleave(rows // part.shape[0], 0)
