"""A Hyena language model in plain torch with random weights; its parts are in ``examples/hyena``.

``load(dim=768, layers=12, length=2048, vocab=50257)`` has the shape of the 125M model of the paper; ``mixer`` is
``"hyena"``, ``"multihyena"`` or ``"h3"``. Run this file to see how far into the past the model looks.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2]))
from examples.hyena import HyenaConfig, HyenaLM


def load(batch: int = 1, seed: int = 0, **sizes: Any) -> tuple[nn.Module, tuple[Tensor]]:
    """A model of ``HyenaConfig(**sizes)`` with seeded weights, and bytes of the Gettysburg Address ``[B, length]``.

    A smaller vocabulary takes the bytes modulo its size.
    """
    config = HyenaConfig(**sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = HyenaLM(config).eval()
    text = torch.tensor(list(Path(__file__).with_name("gettysburg.txt").read_bytes()))
    rows = (torch.arange(batch)[:, None] * 97 + torch.arange(config.length)) % len(text)
    return model, (text[rows] % config.vocab,)


if __name__ == "__main__":
    model, (ids,) = load()
    with torch.no_grad():
        logits = model(ids)
        taps = model.layers[0].mixer.filter_fn.filter(ids.shape[1]).abs()
    reach = (taps.cumsum(-1) < 0.99 * taps.sum(-1, keepdim=True)).sum(-1)
    entropy = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}M parameters, untrained: {entropy:.2f} nats per byte")
    print(f"99 % of a filter of layer 0 lies within {reach.min()} to {reach.max()} taps of {ids.shape[1]}")
