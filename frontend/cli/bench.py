"""Time a model's graph before and after a pipeline, eager and compiled with Inductor, in turn, with a match column."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser
from dataclasses import asdict

import torch
from rich.text import Text

from ...compiler.errors import UsageError
from ..bench import Timing, compare_speed, runner
from .arguments import add_model, add_pipeline, add_selection, load, parse_pipeline, run_pipeline, selection, words
from .render import Cell, emit_json, next_command, progress, say, table


def add_arguments(parser: ArgumentParser) -> None:
    """What to time, and how long."""
    add_model(parser)
    add_pipeline(parser)
    add_selection(parser, compiled=False)
    group = parser.add_argument_group("timing")
    group.add_argument("--seconds", type=float, default=10.0, help="about how long to time for (default 10)")
    group.add_argument("--eager", action="store_true", help="do not compile")
    group.add_argument("--threads", type=int, help="CPU threads")


def run(options: argparse.Namespace) -> int:
    """Run the verb."""
    if options.seconds < 0:
        raise UsageError("--seconds cannot be negative")
    if options.threads is not None:
        if options.threads < 1:
            raise UsageError("--threads is at least 1")
        torch.set_num_threads(options.threads)
    pipeline, chosen = parse_pipeline(options.passes), selection(options)
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
    machine = {"torch": torch.__version__, "device": _device(before), "threads": torch.get_num_threads()}
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
    ratio = Text("")
    if timing.name in baselines:
        ratio = Text(f"{timing.ratio:.2f}x", style="green" if timing.ratio > 1.02 else "red" * (timing.ratio < 0.98))
    return [
        timing.name,
        f"{timing.median_ms:.2f} ms",
        f"{timing.low_ms:.2f} .. {timing.high_ms:.2f}",
        f"{timing.first_s:.2f} s",
        f"{timing.match:.1e}",
        ratio,
    ]


def _device(program: object) -> str:
    weights = getattr(program, "weights", None) or {}
    device = next((value.device for value in weights.values()), torch.device("cpu"))
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device} ({torch.backends.cpu.get_cpu_capability()})" if device.type == "cpu" else str(device)
