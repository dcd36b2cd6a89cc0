"""Cost of a token against its position, for models of long convolutions. Goals on a CPU in fp32, one sequence.

A Hyena of the shape of the small model of text, with filters of 16K taps as initialised, decodes by a cached dot
product, exactly by tiles (:mod:`regraft.passes.make_recurrent.exact_decode`), and distilled to 16 states; beside it are
the whole forward again for every token, and a Llama of the same width and depth that keeps its keys and values and
reads no further than they go. The distilled step should cost the same at 16K as at 1K, within 1.1x. For a stack of
convolutions alone, 768 channels of 4096 taps, a distilled step should be 20x faster than dot products and 4x faster
than exact decoding; and exact decoding of 64 channels should cost at most 4x as much a token at 16K as at 1K.

A row is the time of one step, the mean over a window of steps that ends at the position. For tiled decoding the window
is the later half of all positions, in which tiles of every size fall due, and is timed once a round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from .results import Row

AGAIN = "whole forward again"
DOT, EPOCHED, RELAXED = "exact, dot product", "exact, epoched", "exact, relaxed"
DISTILLED = "distilled, order 16"
TRANSFORMER = "Llama, keys and values kept"
EXACT = {DOT: "dot", EPOCHED: "epoched", RELAXED: "relaxed"}
DISTILL = "distill-ssm{order=16,max-order=16,tol=1e9,refine=0}"
"""Speed does not depend on how good the fit is."""


class Again(nn.Module):
    """The interface of ``regraft.recurrent`` for a model that is run over all tokens so far; they are its state."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @torch.no_grad()
    def prefill(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs for ids [B, T], which are the state."""
        return self.model(ids), ids

    @torch.no_grad()
    def step(self, ids: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs for one more id of each row [B]."""
        state = torch.cat((state, ids[:, None]), 1)
        return self.model(state)[:, -1], state

    def generate(self, ids: Tensor, max_new_tokens: int) -> Tensor:
        """ids [B, T] followed by the most likely ones."""
        for _ in range(max_new_tokens):
            ids = torch.cat((ids, self.prefill(ids)[0][:, -1:].argmax(-1)), 1)
        return ids


class Convolutions(nn.Module):
    """``layers`` residual long convolutions, [B, L, D] -> [B, L, D], with nothing between them."""

    def __init__(self, taps: Tensor, layers: int) -> None:
        super().__init__()
        self.taps, self.layers = nn.Parameter(taps), layers

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of the shape of x."""
        x = x.mT
        for _ in range(self.layers):
            x = x + torch.ops.regraft.long_conv(x, self.taps[:, : x.shape[-1]])
        return x.mT


def run(device: str, quick: bool) -> list[Row]:
    """On a GPU whole models generate; on a CPU a step is timed against its position, on one thread."""
    if device == "cuda":
        return whole_models(device, quick)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        length = 512 if quick else 16384
        rows = positions(untrained(length), length, seconds=1 if quick else 8)
        sizes = [(16, 256, 2)] if quick else [(768, 4096, 12)]
        rows += [row for size in sizes for row in convolutions(*size)]
        return rows + growth(64, (64, 256) if quick else (1024, 16384))
    finally:
        torch.set_num_threads(threads)


def untrained(length: int, **sizes: Any) -> Any:
    """A Hyena of the shape of the small model of text, with ``length`` taps."""
    from examples.models import hyena_lm

    shape = {"dim": 128, "layers": 2, "vocab": 96, "sine_frequency": 1.0, "train_positions": False} | sizes
    return hyena_lm.load(length=length, **shape)[0]


def exact_ways(model: Any, length: int) -> dict[str, Any]:
    """The whole forward again, and every exact decoding."""
    import regraft

    ids = torch.zeros(1, length, dtype=torch.long)
    ways = {name: regraft.recurrent(model, (ids,), exact=exact) for name, exact in EXACT.items()}
    return {AGAIN: Again(model), **ways}


def transformer(config: Any, length: int) -> Any:
    """A Llama as wide and as deep as a Hyena of ``config``, its step derived too; its weights are random."""
    import regraft
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM(llama_config(config, length)).eval()
    ids = torch.zeros(1, length, dtype=torch.long)
    return regraft.recurrent(model, {"input_ids": ids, "use_cache": False})


def llama_config(config: Any, length: int) -> Any:
    """Heads of 64 and an MLP with as many weights as a Hyena's."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=config.vocab,
        hidden_size=config.dim,
        intermediate_size=8 * config.dim // 3,
        num_hidden_layers=config.layers,
        num_attention_heads=max(1, config.dim // 64),
        max_position_embeddings=length,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
    )


def state_bytes(state: Any) -> int:
    """What is kept from step to step."""
    from torch.utils._pytree import tree_leaves

    return sum(leaf.nbytes for leaf in tree_leaves(state) if isinstance(leaf, Tensor))


def positions(model: Any, length: int, seconds: float) -> list[Row]:
    """A step of every way at positions from 1/16 of ``length`` to ``length``; about ``seconds`` for each position."""
    import regraft

    ids = torch.zeros(1, length, dtype=torch.long)
    ways = exact_ways(model, length)
    ways[DISTILLED] = regraft.recurrent(model, (ids,), passes=DISTILL)
    ways[TRANSFORMER] = transformer(model.config, length)
    rows: list[Row] = []
    for at in [length >> shift for shift in range(4, -1, -1)]:
        calls = {name: _steps(way, ids, at, name) for name, way in ways.items()}
        rows += _rows(f"hyena {model.config.layers}x{model.config.dim}, position {at}", calls, seconds, DISTILLED, at)
    return rows


def convolutions(channels: int, length: int, layers: int) -> list[Row]:
    """One layer's part of a step of convolutions alone, at the last position."""
    import regraft

    from .distill import hyena

    model = Convolutions(hyena(channels, length, 1.0, 5), layers).eval()
    x = torch.randn(1, length, channels, generator=torch.Generator().manual_seed(0)) / length
    ways = {name: regraft.recurrent(model, (x,), exact=exact) for name, exact in EXACT.items()}
    ways[DISTILLED] = regraft.recurrent(model, (x,), passes=DISTILL)
    ways[f"{DISTILLED}, compiled"] = regraft.recurrent(model, (x,), passes=DISTILL, compile=True)
    calls = {name: _steps(way, x, length, name, layers) for name, way in ways.items()}
    return _rows(f"one of {layers} convolutions, {channels} channels, position {length}", calls, 8, DISTILLED, length)


def growth(channels: int, lengths: tuple[int, ...]) -> list[Row]:
    """The mean step of exact decoding over whole sequences of several lengths."""
    import regraft

    rows: list[Row] = []
    for length in lengths:
        taps = torch.exp(-torch.arange(length) / length * torch.arange(1, channels + 1)[:, None])
        x = torch.randn(1, length, channels, generator=torch.Generator().manual_seed(0)) / length
        model = Convolutions(taps, 1).eval()
        calls = {}
        for name in (EPOCHED, RELAXED):
            way = regraft.recurrent(model, (x,), exact=EXACT[name])
            calls[name] = _timer(way, x, way.init_state(1), length)
        rows += _rows(f"all of {length} positions, {channels} channels", calls, 6, RELAXED, length)
    return rows


def _steps(way: Any, x: Tensor, at: int, name: str, layers: int = 1) -> Callable[[], float]:
    """Milliseconds of a step (of a layer of it), the mean of a window that ends at a position, for a random past."""
    if name == AGAIN:
        return _timer(way, x, x[:, : at - 1], 1)
    window = at // 2 if name in (EPOCHED, RELAXED) else min(64, at // 2)
    state = way.init_state(1)
    for tensor in state.tensors.values():
        tensor.normal_(generator=torch.Generator().manual_seed(0), std=1e-3)
    return _timer(way, x, replace(state, position=at - window), window, layers)


def _timer(way: Any, x: Tensor, state: Any, window: int, layers: int = 1) -> Callable[[], float]:
    def call() -> float:
        after, start = state, time.perf_counter()
        for t in range(window):
            _, after = way.step(x[:, t], after)
        return (time.perf_counter() - start) / window * 1e3 / layers

    return call


def _rows(case: str, calls: dict[str, Callable[[], float]], seconds: float, baseline: str, at: int) -> list[Row]:
    """Every way in turn; the first round warms up (and compiles) by a call that is not counted."""
    from regraft.lowering.timing import in_turn

    for name in calls.keys() - {EPOCHED, RELAXED}:
        calls[name]()
    times = in_turn(calls, seconds=seconds, least=3, most=20, measure=lambda call: call())
    return [
        Row(
            case,
            name,
            median(taken),
            min(taken),
            max(taken),
            len(taken),
            ratio=median(theirs / ours for theirs, ours in zip(times[baseline], taken, strict=True)),
            baseline=baseline,
            notes={"position": float(at)},
        )
        for name, taken in times.items()
    ]


def whole_models(device: str, quick: bool) -> list[Row]:
    """Generation by models of 1.3B, prompt 512 and 256 new tokens, as in the paper's section 5."""
    import regraft

    sizes = {"dim": 32, "layers": 1} if quick else {"dim": 2048, "layers": 24, "vocab": 50304}
    prompt, new, batch = (12, 4, 2) if quick else (512, 256, 64)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with torch.device(device):
        ids = torch.zeros(1, prompt + new, dtype=torch.long)
    model = untrained(prompt + new, **sizes).to(device, dtype)
    rows = []
    for name, options in {DISTILLED: {"passes": DISTILL}, DOT: {"exact": "dot"}, RELAXED: {}}.items():
        way = regraft.recurrent(model, (ids,), **options)
        rows.append(_generation(name, lambda way=way: way.generate(ids[:, :prompt].expand(batch, -1), new), batch, new))
        del way
    config = model.config
    del model
    from transformers import LlamaForCausalLM

    llama = LlamaForCausalLM(llama_config(config, prompt + new)).eval().to(device, dtype)
    options = {"max_new_tokens": new, "min_new_tokens": new, "do_sample": False, "cache_implementation": "static"}
    given = ids[:, :prompt].expand(batch, -1)
    call = lambda: llama.generate(given, attention_mask=torch.ones_like(given), **options)  # noqa: E731
    return [*rows, _generation("transformers, static cache", call, batch, new)]


def _generation(name: str, call: Callable[[], Any], batch: int, new: int) -> Row:
    from regraft.lowering.timing import milliseconds

    call()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    times = [milliseconds(call) for _ in range(3)]
    notes: dict[str, float | str] = {"tokens_per_s": 1e3 * batch * new / median(times)}
    if torch.cuda.is_available():
        notes["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return Row(f"generation, batch {batch}, {new} tokens", name, median(times), min(times), max(times), 3, notes=notes)


def record(rows: list[Row]) -> dict[str, Any]:
    """Rows as they are in a file of results, for a picture."""
    from dataclasses import asdict

    from .results import describe

    threads, versions = torch.get_num_threads(), {"torch": torch.__version__}
    return {"device": describe("cpu"), "threads": threads, "versions": versions, "rows": [asdict(row) for row in rows]}
