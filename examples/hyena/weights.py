"""The small models trained by ``examples/train_hyena.py``, from ``examples/weights``.

Each loader gives ``(model, inputs)`` as in ``examples/models``: the model in ``eval()`` mode and inputs for one call.
A file of weights carries its own :class:`HyenaConfig`, and how it was trained, as metadata.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_model, save_model
from torch import Tensor

from .config import HyenaConfig
from .language import HyenaLM
from .tasks import Recall, encode

FOLDER = Path(__file__).parents[1] / "weights"


def load_recall(batch: int = 1) -> tuple[HyenaLM, tuple[Tensor]]:
    """Associative recall over 256 positions, and sequences that it was not trained on ``[batch, 256]``."""
    ids, _ = Recall(size=batch).held_out(0)
    return read(FOLDER / "recall.safetensors"), (ids,)


def load_characters(batch: int = 1) -> tuple[HyenaLM, tuple[Tensor]]:
    """The language model of characters, and crops of the Gettysburg Address, which is not in its text."""
    model = read(FOLDER / "characters.safetensors")
    text = encode((FOLDER.parent / "models" / "gettysburg.txt").read_text(encoding="utf-8")).long()
    return model, (text[(torch.arange(batch)[:, None] * 97 + torch.arange(model.config.length)) % len(text)],)


def load_genes(batch: int = 1) -> tuple[HyenaLM, tuple[Tensor]]:
    """The labeller of nucleotides, and random nucleotides; real ones come from ``tasks.Genes``, by a download."""
    model = read(FOLDER / "genes.safetensors")
    generator = torch.Generator().manual_seed(0)
    return model, (torch.randint(4, (batch, model.config.length), generator=generator),)


def read(file: Path) -> HyenaLM:
    """The model that :func:`write` saved, in ``eval()`` mode."""
    with safe_open(file, "pt") as opened:
        config = HyenaConfig(**json.loads(opened.metadata()["config"]))
    with torch.random.fork_rng(devices=[]):
        model = HyenaLM(config)
    load_model(model, file)
    return model.eval()


def write(model: HyenaLM, file: Path, facts: Mapping[str, str]) -> None:
    """Save ``model`` with its config and ``facts`` as metadata; ``file`` is the old one or the whole new one."""
    unfinished = file.with_suffix(".unfinished")
    save_model(model, str(unfinished), {"config": json.dumps(asdict(model.config)), **facts})
    os.replace(unfinished, file)
