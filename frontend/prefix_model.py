"""What a model of transformers must be for its prefixes to be shared, and the errors that say what it is not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..compiler.errors import UsageError
from .prefix_rows import Ids, as_rows


def check_model(model: nn.Module) -> None:
    """Raise :class:`UsageError` unless the model generates text, in evaluation mode, with causal softmax attention."""
    from transformers import PreTrainedModel

    kind = type(model).__name__
    if not isinstance(model, PreTrainedModel) or not model.can_generate():
        raise UsageError(f"{kind} does not generate", hint="give a model of transformers with a language head")
    if model.training:
        raise UsageError(f"{kind} is in training mode, where dropout differs by row", hint="call model.eval()")
    if model.config.is_encoder_decoder:
        return
    config = model.config.get_text_config(decoder=True)
    for name, module in model.named_modules():
        if getattr(module, "is_causal", True) is False:
            raise UsageError(
                f"{kind} has attention that is not causal: a prefix changes with what follows it",
                where=name,
                hint="only causal models and encoder-decoder models can share prefixes",
            )
    others = set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
    if others or getattr(config, "num_kv_shared_layers", 0):
        what = ", ".join(sorted(others)) or "layers that share keys and values"
        raise UsageError(f"{kind} has {what}", hint="only full and sliding attention can share prefixes")


def windows(model: Any) -> list[int | None]:
    """The sliding window of each layer; ``None`` for full attention."""
    config = model.config.get_text_config(decoder=True)
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"] * config.num_hidden_layers
    return [window if kind == "sliding_attention" else None for kind in kinds]


def heads(model: Any) -> int:
    """Query heads of a layer."""
    return model.config.get_text_config(decoder=True).num_attention_heads


def check_ids(ids: Any, model: Any) -> list[Ids]:
    """Prefixes as rows of ids; :class:`UsageError` if one is empty, on another device, or out of the vocabulary."""
    if isinstance(ids, Tensor) and ids.device != model.device:
        raise UsageError(f"the prefix is on {ids.device}, the model on {model.device}", hint="move the ids")
    rows = as_rows(ids)
    if not rows or not all(rows):
        raise UsageError("the prefix is empty", hint="give one token at least, or call generate of the model")
    size = model.config.get_text_config(decoder=True).vocab_size
    for row in rows:
        if not 0 <= min(row) <= max(row) < size:
            wrong = next(token for token in row if not 0 <= token < size)
            raise UsageError(f"token {wrong} is not in the vocabulary of {size}", hint="use the model's own tokenizer")
    return rows


def check_length(model: Any, length: int) -> None:
    """Raise :class:`UsageError` where ``length`` tokens leave no room in the model's context."""
    context = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    if context is not None and length >= context:
        raise UsageError(
            f"{length} tokens leave no room in a context of {context}", hint="shorten the prefix, or what follows it"
        )


def pad_token(model: Any, options: dict[str, Any]) -> int:
    """What hidden columns hold: the padding token, else the end of text, else 0."""
    given = options.get("generation_config") or model.generation_config
    for token in (options.get("pad_token_id"), given.pad_token_id, options.get("eos_token_id"), given.eos_token_id):
        if token is not None:
            return int(token[0] if isinstance(token, list) else token)
    return 0


def encode(model: Any, inputs: Any) -> tuple[Any, Tensor | None, list[Tensor], list[Tensor]]:
    """The encoder's outputs, the mask of their padding, and each decoder layer's cross-attention keys and values.

    Keys and values are [B, H, T, D]; the mask is [B, T] or, where there is no padding, ``None``.
    """
    from transformers import DynamicCache, EncoderDecoderCache

    given = inputs if isinstance(inputs, dict) else {model.main_input_name: inputs}
    for name, each in given.items():
        if isinstance(each, Tensor) and each.device != model.device:
            raise UsageError(f"{name} is on {each.device}, the model on {model.device}", hint="move the inputs")
    mask = given.get("attention_mask")
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    with torch.no_grad():
        outputs = model.get_encoder()(**given)
        rows = outputs.last_hidden_state.shape[0]
        start = torch.zeros(rows, 1, dtype=torch.int64, device=model.device)
        model(encoder_outputs=outputs, decoder_input_ids=start, past_key_values=cache, use_cache=True)
    layers: Any = cache.cross_attention_cache.layers
    padding = None if mask is None or bool(mask.all()) else mask
    return outputs, padding, [layer.keys.detach() for layer in layers], [layer.values.detach() for layer in layers]
