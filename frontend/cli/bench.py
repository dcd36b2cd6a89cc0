"""Time a model's graph before and after a pipeline, eager and compiled with Inductor, in turn, with a match column.

With --shared-prompt, time one decode step of many rows after one prompt instead, in tokens per second: transformers'
static and default cache, regraft.share_prefix, and the same step compiled without and with the pass share-prefix.
"""

from __future__ import annotations

import argparse
from argparse import ArgumentParser
from collections import Counter
from dataclasses import asdict
from typing import Any

import torch
from rich.text import Text

from ...compiler.errors import UsageError
from ...compiler.pipeline import Selection
from ..bench import Timing, compare_speed, runner
from ..models import load_module
from .arguments import (
    add_model,
    add_pipeline,
    add_selection,
    load,
    parse_pipeline,
    request,
    run_pipeline,
    selection,
    words,
)
from .render import Cell, emit_json, next_command, note, progress, quantity, quiet, say, table


def add_arguments(parser: ArgumentParser) -> None:
    """What to time, and how long."""
    add_model(parser)
    add_pipeline(parser)
    add_selection(parser, compiled=False)
    group = parser.add_argument_group("timing")
    group.add_argument("--seconds", type=float, default=10.0, help="about how long to time for (default 10)")
    group.add_argument("--eager", action="store_true", help="do not compile")
    group.add_argument("--threads", type=int, help="CPU threads")
    group = parser.add_argument_group("a shared prompt")
    group.add_argument("--shared-prompt", metavar="TOKENS", type=int, help="time a decode step after such a prompt")
    group.add_argument("--batch", type=int, default=64, help="rows that share it (default 64)")
    group.add_argument("--suffix", metavar="TOKENS", type=int, default=64, help="each row's own so far (default 64)")


def run(options: argparse.Namespace) -> int:
    """Run the verb."""
    if options.seconds < 0:
        raise UsageError("--seconds cannot be negative")
    if options.threads is not None:
        if options.threads < 1:
            raise UsageError("--threads is at least 1")
        torch.set_num_threads(options.threads)
    pipeline, chosen = parse_pipeline(options.passes), selection(options)
    if options.shared_prompt is not None:
        if chosen != Selection():
            raise UsageError(
                "--shared-prompt times with and without share-prefix", hint="choose the rest with --passes"
            )
        return _shared_prompt(options)
    subject = load(options)
    before = subject.program.copy()
    modes = {"eager": False} if options.eager else {"eager": False, "inductor": True}
    variants, baselines, rewrites = {}, {}, 0
    for mode, compiled in modes.items():
        subject.program = before.copy()
        rewrites = run_pipeline(subject, pipeline, selection=chosen, compiled=compiled).rewrites
        for when, program in (("before", before), ("after", subject.program)):
            variants[f"{mode}, {when}"] = runner(program, subject.inputs, compiled=compiled)
        baselines[f"{mode}, after"] = f"{mode}, before"
    with progress("compiling and timing"):
        timings = compare_speed(variants, baselines, seconds=options.seconds)
    weights = list((before.weights or {}).values())
    machine = _machine(weights[0].device if weights else torch.device("cpu"))
    if options.json:
        emit_json({"machine": machine, "rewrites": rewrites, "timings": [asdict(timing) for timing in timings]})
    else:
        columns = ("", "median>", "quartiles>", "first call>", "match>", "speed-up>")
        table(columns, [_row(timing, baselines) for timing in timings])
        shown = ", ".join(f"{name} {value}" for name, value in machine.items())
        say(f"\n{timings[0].rounds} rounds in turn after {rewrites} rewrites; {shown}", style="dim")
        say("match: relative l2 distance from the eager graph before", style="dim")
    next_command(options, "check" if rewrites else "explain", *words(options))
    return 0


def _row(timing: Timing, baselines: dict[str, str]) -> list[Cell]:
    return [
        timing.name,
        f"{timing.median_ms:.2f} ms",
        f"{timing.low_ms:.2f} .. {timing.high_ms:.2f}",
        f"{timing.first_s:.2f} s",
        f"{timing.match:.1e}",
        _speed_up(timing) if timing.name in baselines else "",
    ]


def _machine(device: torch.device) -> dict[str, Any]:
    name = str(device)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif device.type == "cpu":
        name = f"{device} ({torch.backends.cpu.get_cpu_capability()})"
    return {"torch": torch.__version__, "device": name, "threads": torch.get_num_threads()}


def _shared_prompt(options: argparse.Namespace) -> int:
    from ..bench_shared import STATIC, shared_prompt_steps

    with progress(f"loading {options.model}"), quiet():
        model, notes = load_module(options.model, request(options), "--shared-prompt")
    for text in notes:
        note(f"{options.model}: {text}")
    sizes = {"prompt": options.shared_prompt, "batch": options.batch, "suffix": options.suffix}
    with progress(f"reading {options.shared_prompt} tokens"), quiet():
        steps = shared_prompt_steps(
            model, **sizes, compiled=not options.eager, passes=options.passes, seed=options.seed
        )
    baseline = STATIC if STATIC in steps.ways else next(iter(steps.ways))
    calls = {name: way.call for name, way in steps.ways.items()}
    with progress("compiling and timing"), quiet():
        timings = compare_speed(
            calls, dict.fromkeys(calls, baseline), seconds=options.seconds, reference=steps.reference
        )
    parameter = next(model.parameters())
    machine = _machine(parameter.device) | {"dtype": str(parameter.dtype).removeprefix("torch.")}
    if options.json:
        found = [
            asdict(timing)
            | {"tokens_per_s": options.batch / timing.median_ms * 1e3, "kv_bytes": steps.ways[timing.name].kv_bytes}
            for timing in timings
        ]
        remarks = [remark.to_json() for remark in steps.remarks]
        said = {"machine": machine, **sizes, "left_out": steps.left_out, "share_prefix": remarks}
        emit_json(said | {"baseline": baseline, "timings": found})
        return 0
    columns = ("", "tokens/s>", "quartiles>", "median step>", "speed-up>", "keys and values>", "match>", "first call>")
    rows = [_step_row(timing, options.batch, baseline, steps.ways[timing.name].kv_bytes) for timing in timings]
    table(columns, rows)
    for name, why in steps.left_out.items():
        say(f"{name}: left out, {why}")
    shown = ", ".join(f"{name} {value}" for name, value in (sizes | machine).items())
    say(f"\n{timings[0].rounds} rounds in turn; {shown}", style="dim")
    say(
        f"speed-up: over {baseline}; match: relative l2 distance of the last row from its whole text without a cache",
        style="dim",
    )
    for text, count in Counter(f"{remark.kind}, {remark.message}" for remark in steps.remarks).items():
        say(f"share-prefix: {count} of {len(steps.remarks)} attentions {text}", style="dim")
    next_command(options, "passes", "share-prefix")
    return 0


def _step_row(timing: Timing, batch: int, baseline: str, kv_bytes: int) -> list[Cell]:
    return [
        timing.name,
        f"{batch / timing.median_ms * 1e3:,.0f}",
        f"{batch / timing.high_ms * 1e3:,.0f} .. {batch / timing.low_ms * 1e3:,.0f}",
        f"{timing.median_ms:.2f} ms",
        _speed_up(timing) if timing.name != baseline else "",
        quantity(kv_bytes, "B"),
        f"{timing.match:.1e}",
        f"{timing.first_s:.2f} s",
    ]


def _speed_up(timing: Timing) -> Text:
    return Text(f"{timing.ratio:.2f}x", style="green" if timing.ratio > 1.02 else "red" * (timing.ratio < 0.98))
