"""Train a small Hyena on one CPU thread: ``python examples/train_hyena.py --task recall|characters|genes``.

Every minute the whole state goes into a checkpoint, from which the same command continues; a run that was interrupted
ends with the weights of one that was not. A finished run writes ``examples/weights/TASK.safetensors`` and prints its
scores on held-out data, beside those of the same model with its long filters zeroed; ``--evaluate`` prints them again.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from regraft.frontend.weights import cache_dir
from torch.nn import functional as F
from tqdm.auto import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))
from examples.hyena import HyenaConfig, HyenaLM, zero_filters
from examples.hyena.tasks import ALPHABET, IGNORED, Characters, Genes, Recall, evaluate
from examples.hyena.weights import FOLDER, read, write

CHECKPOINT_SECONDS = 60


@dataclass(frozen=True)
class Recipe:
    """A model, what it learns, and how long: AdamW, warmed up over 200 steps (or a tenth), then a cosine to 5 %."""

    config: HyenaConfig
    task: Recall | Characters | Genes
    steps: int
    rate: float = 2e-3
    weight_decay: float = 0.1

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        warm = min(1.0, (step + 1) / max(1, min(200, self.steps // 10)))
        return self.rate * warm * (0.05 + 0.95 * (1 + math.cos(math.pi * step / self.steps)) / 2)


# Smooth filters, which have small state-space models: slow sines over a fixed encoding of positions.
_SMOOTH: dict[str, Any] = {"sine_frequency": 1.0, "train_positions": False}
RECIPES = {
    "recall": Recipe(
        HyenaConfig(vocab=16, dim=64, layers=2, length=256, fast_decay=0.1, **_SMOOTH),
        Recall(size=8),
        steps=5_000,
        rate=3e-3,
    ),
    "characters": Recipe(
        HyenaConfig(vocab=len(ALPHABET), dim=128, layers=2, length=512, fast_decay=0.03, **_SMOOTH),
        Characters(size=4),
        steps=6_000,
        rate=3e-3,
    ),
    "genes": Recipe(
        HyenaConfig(vocab=8, dim=64, layers=3, length=512, fast_decay=0.1, **_SMOOTH), Genes(size=4), 2_000
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=list(RECIPES), required=True)
    parser.add_argument("--evaluate", action="store_true", help="score the weights that there are, train nothing")
    parser.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True, help="from the checkpoint")
    parser.add_argument("--checkpoint", type=Path, help="default: training/TASK.pt in the cache folder")
    parser.add_argument("--output", type=Path, help="default: examples/weights/TASK.safetensors")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    recipe = RECIPES[options.task]
    output = options.output or FOLDER / f"{options.task}.safetensors"
    if not options.evaluate:
        checkpoint = options.checkpoint or cache_dir() / "training" / f"{options.task}.pt"
        started = time.monotonic()
        model = train(recipe, checkpoint, seed=options.seed, resume=options.resume)
        print(f"trained in {time.monotonic() - started:.0f} s")
        facts = {"task": options.task, "seed": str(options.seed), "steps": str(recipe.steps)}
        write(model, output, facts)
    report(read(output), recipe)


def train(recipe: Recipe, checkpoint: Path, *, seed: int = 0, resume: bool = True, until: int | None = None) -> HyenaLM:
    """The trained model; with ``until``, train no further than to that step and leave the checkpoint to go on from."""
    torch.manual_seed(seed)
    model = HyenaLM(recipe.config)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
    )
    first = 0
    if resume and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["recipe"] != repr((recipe, seed)):
            raise SystemExit(f"{checkpoint} was made by other settings: pass --no-resume or another --checkpoint")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]

    def save(step: int) -> None:
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
        _replace(checkpoint, state | {"recipe": repr((recipe, seed))})

    last = recipe.steps if until is None else until
    saved = time.monotonic()
    bar = tqdm(range(first, last), initial=first, total=recipe.steps, disable=None, unit="step")
    for step in bar:
        loss, accuracy = _step(model, optimizer, recipe, step)
        if step % 20 == 0:
            bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}")
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            save(step + 1)
            saved = time.monotonic()
    save(max(first, last))
    return model


def _step(model: HyenaLM, optimizer: torch.optim.Optimizer, recipe: Recipe, step: int) -> tuple[float, float]:
    ids, targets = recipe.task.batch(step)
    targets = targets.flatten()
    for group in optimizer.param_groups:
        group["lr"] = recipe.rate_at(step)
    logits = model(ids).flatten(0, 1)
    loss = F.cross_entropy(logits, targets, ignore_index=IGNORED)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    right = (logits.argmax(-1) == targets).sum() / (targets != IGNORED).sum()
    return loss.item(), right.item()


def _replace(file: Path, state: dict[str, Any]) -> None:
    """Write beside ``file``, then rename: whoever reads it sees a whole checkpoint."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    torch.save(state, unfinished)
    os.replace(unfinished, file)


def report(model: HyenaLM, recipe: Recipe) -> None:
    """Print the scores on held-out data, with the filters and with zeros for them."""
    for name, each in {"trained": model, "zero filters": zero_filters(copy.deepcopy(model))}.items():
        loss, accuracy = evaluate(each, recipe.task)
        print(f"{name:12}  loss {loss:.3f} nats  accuracy {100 * accuracy:.1f} %")


if __name__ == "__main__":
    main()
