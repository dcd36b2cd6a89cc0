"""Load a local Hugging Face directory: the class its ``config.json`` names, its weights, and inputs for it.

A directory without weights gives a model of seeded random ones. Inputs are a tokenised sentence where there is a
tokenizer, and otherwise random values of what the model takes first: token ids, pixels, or audio features. Nothing is
downloaded and no code from the directory is run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..compiler.errors import UnsupportedModelError, UsageError

_SENTENCE = "The quick brown fox jumps over the lazy dog, and the dog does not mind at all."
_LENGTH = 16
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def load_directory(path: Path, seed: int, notes: list[str]) -> tuple[nn.Module, dict[str, Any]]:
    """The model in evaluation mode and keyword arguments for one call; ``notes`` collects what was assumed."""
    config_file = path / "config.json"
    if not config_file.is_file():
        raise UsageError(f"{str(path)!r} is not a model: it has no config.json")
    try:
        import transformers
    except ImportError as error:
        raise UsageError("a Hugging Face directory needs transformers", hint="pip install 'regraft[hf]'") from error
    try:
        described = json.loads(config_file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{str(config_file)!r} is not JSON: {error}") from error
    if described.get("auto_map"):
        raise UnsupportedModelError(
            f"{str(path)!r} brings its own modelling code, which is not run from here",
            hint="load it in a function of yours and name that: file.py:function",
        )
    name = next(iter(described.get("architectures") or ["AutoModel"]))
    cls = getattr(transformers, name, None)
    if cls is None:
        raise UnsupportedModelError(f"transformers {transformers.__version__} has no class {name!r}")
    try:
        config = transformers.AutoConfig.from_pretrained(path, local_files_only=True)
        if any(match for pattern in _WEIGHTS for match in path.glob(pattern)):
            model = cls.from_pretrained(path, local_files_only=True)
        else:
            notes.append(f"no weights in the directory; random ones of seed {seed}")
            model = cls.from_config(config) if name == "AutoModel" else cls(config)
    except Exception as error:
        raise UsageError(f"{str(path)!r} cannot be loaded: {type(error).__name__}: {error}") from error
    return model.eval(), _inputs(path, model, seed, notes)


def _inputs(path: Path, model: Any, seed: int, notes: list[str]) -> dict[str, Any]:
    config, generator = model.config, torch.Generator().manual_seed(seed)
    first = model.main_input_name
    if first == "input_ids":
        inputs: dict[str, Any] = _tokens(path, model, generator, notes)
    elif first == "pixel_values":
        sizes = config.image_size if hasattr(config, "image_size") else 224
        height, width = sizes if isinstance(sizes, (list, tuple)) else (sizes, sizes)
        inputs = {first: torch.randn(1, getattr(config, "num_channels", 3), height, width, generator=generator)}
    elif first == "input_features" and hasattr(config, "num_mel_bins"):
        frames = 2 * getattr(config, "max_source_positions", 1500)
        inputs = {first: torch.randn(1, config.num_mel_bins, frames, generator=generator)}
    elif first == "input_values":
        inputs = {first: torch.randn(1, 16000, generator=generator)}
    else:
        raise UsageError(
            f"do not know what inputs {type(model).__name__} takes ({first!r})",
            hint="give their types: --inputs 'NAME=f32[1, 3]'",
        )
    if config.is_encoder_decoder:
        start = getattr(config, "decoder_start_token_id", None) or 0
        inputs["decoder_input_ids"] = torch.full((1, 4), start)
    if hasattr(config, "use_cache"):
        inputs["use_cache"] = False
    return inputs


def _tokens(path: Path, model: Any, generator: torch.Generator, notes: list[str]) -> dict[str, Any]:
    from transformers import AutoTokenizer

    if any((path / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt")):
        try:
            encoded = AutoTokenizer.from_pretrained(path, local_files_only=True)(_SENTENCE, return_tensors="pt")
        except Exception as error:
            notes.append(f"the tokenizer cannot be loaded ({type(error).__name__}); random token ids")
        else:
            return {"input_ids": encoded["input_ids"]}
    else:
        notes.append("no tokenizer in the directory; random token ids")
    vocabulary = model.config.get_text_config().vocab_size
    return {"input_ids": torch.randint(0, vocabulary, (1, _LENGTH), generator=generator)}
