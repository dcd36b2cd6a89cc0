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
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from ..compiler import ops as _dialect  # noqa: F401  (registers the operators)
from ..compiler.errors import UsageError
from ..kernels.attention.lse import attention_lse
from .prefix_tree import PrefixGroups, group_by_prefix
from .shared_kv import SharedKV, attend, biased

__all__ = ["NAME", "PrefixGroups", "attention", "group_by_prefix", "register", "use"]

NAME = "regraft"
"""Name of the attention implementation, for ``set_attn_implementation`` and ``attn_implementation=``."""

_REFUSED = {
    "cache": "continuous batching with a paged cache",
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
    s_aux: Tensor | None = None,
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
    if (s_aux is not None or isinstance(key, SharedKV)) and dropout and module.training:
        raise NotImplementedError("attention sinks and shared prefixes are for attention without dropout")
    options: dict[str, Any] = {"scale": scaling, "softcap": softcap or 0.0}
    if isinstance(key, SharedKV) and isinstance(value, SharedKV):
        extra: dict[str, Any] = {"position_bias": position_bias, "sinks": s_aux}
        out = attend(query, key, value, attention_mask, causal=is_causal, **options, **extra)
        return out.transpose(1, 2).contiguous(), None
    causal = attention_mask is None and is_causal and query.shape[2] > 1
    operands = query, key, value, biased(attention_mask, position_bias)
    options["mask"] = "causal" if causal else "none"
    if query.shape[2] == 1 and s_aux is None and not softcap and not dropout and not _traced(query):
        out = _one_query(*operands, scaling)
    elif s_aux is None:
        out = torch.ops.regraft.attention(*operands, **options, dropout=dropout if module.training else 0.0)
    else:
        # A logit without a value takes its share of the mass, and gives nothing.
        out, lse = attention_lse(*operands, **options)
        out = out * torch.sigmoid(lse - s_aux.to(lse.dtype)[:, None]).unsqueeze(-1).to(out.dtype)
    return out.transpose(1, 2).contiguous(), None


def _one_query(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float | None) -> Tensor:
    """Attention of one query, at once: the query heads of a group as rows, as ``fold-grouped-queries`` has it."""
    batch, kv_heads = key.shape[:2]
    stacked = query.reshape(batch, kv_heads, -1, query.shape[3])
    if bias is not None and bias.shape[1] > 1:
        bias = bias.reshape(bias.shape[0], kv_heads, -1, bias.shape[3])
    out = F.scaled_dot_product_attention(stacked, key, value, bias, scale=scale)
    return out.reshape(batch, query.shape[1], 1, -1)


def _traced(tensor: Tensor) -> bool:
    return torch.compiler.is_compiling() or isinstance(tensor, FakeTensor)
