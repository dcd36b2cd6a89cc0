"""The main job on a real model: trace SmolLM2-135M, rewrite it, check every pass, generate, time.

Run it with ``make demo``, or ``python examples/demo.py [--model stories15m] [--tokens 24]``. The weights come from a
pip package and are kept in the cache folder (``REGRAFT_CACHE``).
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import regraft
import torch
from regraft.frontend.capture import capture
from regraft.frontend.report import measure
from rich.console import Console
from rich.table import Table
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
PROMPT = {"smollm2": "The capital of France is", "stories15m": "Once upon a time, there was a"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=list(PROMPT), default="smollm2")
    parser.add_argument("--tokens", type=int, default=24, help="tokens to generate")
    options = parser.parse_args()
    source = import_module(f"examples.models.{options.model}")

    with step("load") as say:
        model, inputs = source.load()
        say(f"{type(model).__name__}, {sum(p.numel() for p in model.parameters()) / 1e6:.1f}M parameters")

    with step("trace") as say:
        program = capture(model, inputs)
        weights = sum(record.is_weight for record in program.inputs)
        say(f"{len(program.graph.nodes)} nodes, {weights} weights, every one with its name, module and source line")

    with step("rewrite, verify, and check every pass against fp64") as say:
        fast = regraft.optimize(model, inputs, check="each")
        say(f"{fast.report.rewrites} rewrites; numeric check: {'passed' if fast.report.numerics.ok else 'FAILED'}")
    show_passes(fast)

    with step(f"generate {options.tokens} tokens before and after") as say:
        growing = with_growing_length(model, inputs)
        before = greedy(model, source.tokenizer(), PROMPT[options.model], options.tokens)
        after = greedy(growing, source.tokenizer(), PROMPT[options.model], options.tokens)
        if sum(growing.forward.hits.values()) != options.tokens:
            raise SystemExit(f"the rewritten graph did not take every step: {growing.forward.misses}")
        say("the same text" if before == after else "DIFFERENT TEXT")
    console.print(f"  before: {before!r}\n  after:  {after!r}")
    if before != after:
        raise SystemExit(1)

    with step("time, interleaved"):
        show_times(model, inputs)
    console.print(f"\nEvery site and its verdict: [bold]regraft explain examples/models/{options.model}.py:load[/bold]")


def show_passes(fast: Any) -> None:
    """One line a pass: what it rewrote, what it declined and why, how far the numbers moved."""
    table = Table(title="default pipeline", title_justify="left")
    for column in ("pass", "numerics", "rewrites", "declined", "seconds", "worst error against fp64, before -> after"):
        table.add_column(column)
    checked = {record.pass_name: record for record in fast.report.numerics.records}
    for record in fast.report.records:
        declined = [r.code for r in fast.report.remarks if r.pass_name == record.pass_name and r.kind == "missed"]
        worst = checked[record.pass_name].worst if record.pass_name in checked else None
        moved = "" if worst is None else f"{worst.before.max:.2e} -> {worst.after.max:.2e}"
        reasons = ", ".join(f"{declined.count(code)} {code}" for code in dict.fromkeys(declined))
        counts = (str(record.rewrites), reasons, f"{record.seconds:.2f}", moved)
        table.add_row(record.pass_name, record.numerics.value, *counts)
    console.print(table)
    console.print("  in the graph now: " + ", ".join(f"{count} {op}" for op, count in fast.report.dialect.items()))


def with_growing_length(model: nn.Module, inputs: dict[str, Any]) -> Any:
    """The model rewritten for any length from 2 to 512."""
    length = torch.export.Dim("length", min=2, max=512)
    shapes = {"input_ids": {1: length}, "use_cache": None}
    return regraft.optimize(model, inputs, dynamic_shapes=shapes, check="off", timing_runs=0)


@torch.no_grad()
def greedy(model: nn.Module, tokenizer: Any, prompt: str, tokens: int) -> str:
    """Continue a prompt with the likeliest token each time, over the whole sequence each time."""
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    for _ in range(tokens):
        logits = model(input_ids=ids, use_cache=False).logits
        ids = torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)
    return tokenizer.decode(ids[0], skip_special_tokens=True)


def show_times(model: nn.Module, inputs: dict[str, Any]) -> None:
    """Forward of one and of four rows, before and after."""
    table = Table(title=f"forward, {torch.get_num_threads()} threads, fp32", title_justify="left")
    for column in ("batch x length", "eager ms", "rewritten ms", "speed-up"):
        table.add_column(column, justify="right")
    for batch in (1, 4):
        case = {**inputs, "input_ids": inputs["input_ids"].repeat(batch, 1)}
        fast = regraft.optimize(model, case, check="off", timing_runs=0)
        with torch.no_grad():
            gain = measure(lambda case=case: model(**case), lambda case=case, fast=fast: fast(**case), runs=5)
        shape = " x ".join(map(str, case["input_ids"].shape))
        table.add_row(shape, f"{gain.before_ms:.1f}", f"{gain.after_ms:.1f}", f"{gain.speedup:.2f}x")
    console.print(table)


@contextmanager
def step(title: str) -> Iterator[Any]:
    """Announce a step, and its outcome and duration when it ends."""
    console.print(f"[bold]{title}[/bold]")
    said: list[str] = []
    start = time.perf_counter()
    yield said.append
    console.print(f"  {'; '.join(said)}{' ' if said else ''}[dim]({time.perf_counter() - start:.1f} s)[/dim]")


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=FutureWarning)
    main()
