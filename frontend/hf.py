"""The Hugging Face door: transformers models whose attention is one dialect operator from the start.

transformers looks attention up by name, and the mask that goes with it by the same name. Registering the first without
the second would leave a model without its causal mask, so :func:`register` always registers both:

>>> from regraft.frontend import hf
>>> hf.use(model)            # model.set_attn_implementation("regraft"), after registering
>>> fast = regraft.optimize(model, {"input_ids": ids, "use_cache": False})

Against ``"sdpa"``, grouped keys and values are never repeated and Gemma's logit soft cap stays one operator.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..compiler import ops as _dialect  # noqa: F401  (registers the operators)
from ..compiler.errors import UsageError
from .prefix_tree import PrefixGroups, group_by_prefix
from .shared_kv import SharedKV, attend

__all__ = ["NAME", "PrefixGroups", "attention", "group_by_prefix", "register", "use"]

NAME = "regraft"
"""Name of the attention implementation, for ``set_attn_implementation`` and ``attn_implementation=``."""

_REFUSED = {
    "cache": "continuous batching with a paged cache",
    "s_aux": "attention sinks",
    "output_attentions": "returning the attention weights",
}


def register() -> None:
    """Make ``attn_implementation="regraft"`` known to transformers; safe to call again."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(NAME, attention)
    # As SDPA's, it leaves the mask out only where `attention` below knows to be causal without one.
    AttentionMaskInterface.register(NAME, sdpa_mask)


def use(model: nn.Module) -> nn.Module:
    """Switch a transformers model to regraft's attention, in place; gives the model back.

    Raises :class:`UsageError` for a model whose attention transformers cannot switch.
    """
    from transformers import PreTrainedModel

    if not isinstance(model, PreTrainedModel):
        raise UsageError(f"{type(model).__name__} is not a transformers model")
    # `_supports_attention_backend` promises more: Whisper and BART read the interface and do not declare it.
    if not (model._supports_attention_backend or (model._supports_sdpa and model._can_set_attn_implementation())):
        raise UsageError(
            f"{type(model).__name__} does not take its attention from AttentionInterface",
            hint="leave it on 'sdpa' or 'eager': raise-attention reads both",
        )
    register()
    model.set_attn_implementation(NAME)
    return model


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    softcap: float | None = None,
    position_bias: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: query [B, Hq, Tq, D], key and value [B, Hkv, Tk, D]; gives [B, Tq, Hq, D].

    ``attention_mask`` is what the registered mask function gave: a boolean mask, or ``None`` where attention is causal
    by ``is_causal`` (or the module's own flag) or sees one query at a time. Raises ``NotImplementedError`` for what the
    operator does not cover, naming it.
    """
    for name, what in _REFUSED.items():
        if kwargs.get(name) is not None and kwargs[name] is not False:
            raise NotImplementedError(f"attn_implementation={NAME!r} does not support {what}; use 'eager' or 'sdpa'")
    if is_causal is None:
        is_causal = bool(getattr(module, "is_causal", True))
    if isinstance(key, SharedKV) and isinstance(value, SharedKV):
        if position_bias is not None or (dropout and module.training):
            raise NotImplementedError("a shared prefix is for attention without position bias and dropout")
        out = attend(query, key, value, attention_mask, causal=is_causal, scale=scaling, softcap=softcap or 0.0)
        return out.transpose(1, 2).contiguous(), None
    causal = attention_mask is None and is_causal and query.shape[2] > 1
    out = torch.ops.regraft.attention(
        query,
        key,
        value,
        _with_position_bias(attention_mask, position_bias),
        mask="causal" if causal else "none",
        scale=scaling,
        softcap=softcap or 0.0,
        dropout=dropout if module.training else 0.0,
    )
    return out.transpose(1, 2).contiguous(), None


def _with_position_bias(mask: Tensor | None, position_bias: Tensor | None) -> Tensor | None:
    """One additive or boolean mask from a mask and a learned position bias."""
    if position_bias is None or mask is None:
        return mask if position_bias is None else position_bias
    if mask.dtype == torch.bool:
        return position_bias.masked_fill(~mask, -torch.inf)
    return mask + position_bias
