"""Whisper with 16 beams: the encoder's keys and values are held once, not once for each beam.

``python examples/shared_beams.py [--beams 16] [--tokens 48]``. Eleven seconds of speech are written down twice, by
plain ``generate`` and by ``generate`` over shared encoder states, which must give the same tokens in fp32.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import regraft
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beams", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=48, help="tokens to write down at most")
    options = parser.parse_args()
    from examples.models import whisper
    from examples.shared_prompt import console, timed

    model, _ = whisper.load()
    features = whisper.features(whisper.speech())
    how = {"num_beams": options.beams, "max_new_tokens": options.tokens}
    plain, alone = timed(lambda: model.generate(features, do_sample=False, **how))
    (shared, held), seconds = timed(lambda: beams(model, features, **how))
    text = whisper.tokenizer().decode(shared[0], skip_special_tokens=True).strip()
    console.print(f"{options.beams} beams heard: [bold]{text}[/bold]")
    console.print(
        f"plain generate: {alone:.2f} s, {held * options.beams / 2**20:.0f} MiB of the encoder's keys and values"
    )
    console.print(f"shared states:  {seconds:.2f} s, {held / 2**20:.0f} MiB, ", end="")
    same = torch.equal(plain, shared)
    console.print("the same tokens" if same else "[red]DIFFERENT TOKENS[/red]")
    if not same:
        raise SystemExit(1)


def beams(model: Any, features: Tensor, **how: Any) -> tuple[Tensor, int]:
    """Token ids of the best beam for ``features`` [B, mels, frames], and the bytes of the shared keys and values."""
    sharing = regraft.share_prefix(model, features)
    return sharing.generate(do_sample=False, **how), sharing.nbytes


if __name__ == "__main__":
    main()
