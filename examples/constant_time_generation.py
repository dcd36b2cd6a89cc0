"""Generation at a constant cost per token: trained Hyenas distilled to state-space models, beside every other way.

``python examples/constant_time_generation.py [--task recall characters] [--orders 2 4 8 16 32] [--batches 8]``. Loads
the small trained models (trains one whose file is missing; that can be interrupted) and fits models of several orders
to their filters (Laughing Hyena, arXiv 2310.18780). Loss and accuracy are on sequences that training never saw, beside
the control that says what they mean: the same model with zeros for filters. Each way then continues one text, and is
timed: the whole forward again for every token, exact decoding, the distilled models, and a Llama of the same width and
depth, whose keys and values are kept; its weights are random, only its speed and memory count.

``--picture FILE`` draws the cost of a token against its position, for filters of ``--length`` taps.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import regraft
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import draw, generation
from examples import train_hyena
from examples.hyena import zero_filters
from examples.hyena.tasks import Score, evaluate
from examples.hyena.weights import FOLDER, read

console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
DROP = 0.01
"""The accuracy that recall may lose at order 8."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", nargs="+", choices=["recall", "characters"], default=["recall", "characters"])
    parser.add_argument("--orders", nargs="+", type=int, default=[2, 4, 8, 16, 32], help="states of a filter")
    parser.add_argument("--batches", type=int, default=8, help="held-out batches that loss and accuracy are over")
    parser.add_argument("--tokens", type=int, default=64, help="tokens to generate and to time, after as many")
    parser.add_argument("--picture", type=Path, help="draw the cost of a token against its position")
    parser.add_argument("--length", type=int, default=4096, help="positions in the picture")
    options = parser.parse_args(arguments)
    failed = False
    for name in options.task:
        recipe, model = train_hyena.RECIPES[name], trained(name)
        scores = {"trained": evaluate(model, recipe.task, options.batches)}
        students = {order: distilled(model, order) for order in options.orders}
        for order, student in students.items():
            scores[f"order {order}"] = evaluate(Forward(student), recipe.task, options.batches)
        scores["zero filters"] = evaluate(zero_filters(copy.deepcopy(model)), recipe.task, options.batches)
        ids, _ = recipe.task.held_out(0)
        speeds = continued(model, students, ids[:1, : options.tokens], options.tokens)
        console.print(table(name, scores, speeds))
        failed |= name == "recall" and 8 in options.orders and not keeps(scores)
    if options.picture:
        rows = generation.positions(generation.untrained(options.length), options.length, seconds=2)
        draw.save(draw.generation(generation.record(rows)), options.picture)
        console.print(f"drawn: {options.picture}")
    if failed:
        raise SystemExit("[recall] order 8 loses more than a point, or zero filters do as well")


class Forward(nn.Module):
    """The outputs of a recurrent model for whole sequences."""

    def __init__(self, stepper: Any) -> None:
        super().__init__()
        self.stepper = stepper

    def forward(self, ids: Tensor) -> Tensor:
        return self.stepper.prefill(ids)[0]


def trained(name: str) -> Any:
    """The committed model; without its file it is trained, from where an interrupted training ended."""
    file = FOLDER / f"{name}.safetensors"
    if not file.exists():
        train_hyena.main(["--task", name])
    return read(file)


def distilled(model: Any, order: int) -> Any:
    """A recurrent model whose filters have ``order`` states, however far these are from the filters."""
    ids = torch.zeros(1, model.config.length, dtype=torch.long)
    return regraft.recurrent(model, (ids,), passes=f"distill-ssm{{order={order},max-order={order},tol=1e9}}")


def keeps(scores: Mapping[str, Score]) -> bool:
    """Whether order 8 is as accurate as the model, which needs its filters for that."""
    accuracy = {name: score.accuracy for name, score in scores.items()}
    return accuracy["order 8"] >= accuracy["trained"] - DROP and accuracy["zero filters"] < 0.2


def continued(model: Any, students: Mapping[int, Any], prompt: Tensor, tokens: int) -> dict[str, dict[str, float]]:
    """Every way of continuing a prompt [1, T]: tokens per second, bytes of state, and tokens that are the model's."""
    ways = generation.exact_ways(model, model.config.length)
    ways |= {f"order {order}": student for order, student in students.items()}
    ways[generation.TRANSFORMER] = generation.transformer(model.config, model.config.length)
    first = next(iter(ways.values())).generate(prompt, tokens)
    found = {}
    for name, way in ways.items():
        _, state = way.prefill(prompt)
        held = generation.state_bytes(state)
        start = time.perf_counter()
        for at in range(tokens):
            _, state = way.step(first[:, prompt.shape[1] + at], state)
        speed = tokens / (time.perf_counter() - start)
        same = (way.generate(prompt, tokens) == first)[0, prompt.shape[1] :].cumprod(0).sum()
        found[name] = {"tokens_per_s": speed, "bytes": held, "same": int(same)}
    return found


def table(name: str, scores: Mapping[str, Score], speeds: Mapping[str, Mapping[str, float]]) -> Table:
    """One row for each way; the exact ones score as the model."""
    shown = Table(title=name)
    for column in ("", "loss [nats]", "accuracy", "tokens / s", "state [KiB]", "same tokens"):
        shown.add_column(column, justify="right" if column else "left")
    rows = [
        "trained",
        *(name for name in speeds if name not in scores),
        *(name for name in scores if name != "trained"),
    ]
    for row in rows:
        quality, speed = scores.get(row), speeds.get(row)
        cells = [f"{quality.loss:.3f}", f"{100 * quality.accuracy:.1f} %"] if quality else ["", ""]
        known = speed and row != generation.TRANSFORMER
        cells += [f"{speed['tokens_per_s']:.0f}", f"{speed['bytes'] / 1024:.0f}"] if speed else ["", ""]
        shown.add_row(row, *cells, f"{speed['same']}" if known else "")
    return shown


if __name__ == "__main__":
    main()
