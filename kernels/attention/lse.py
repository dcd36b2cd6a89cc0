"""``attention_lse`` for eager callers: the lowering is picked when it is called, and remembered.

The choice is that of the pass ``select-kernels`` (:func:`regraft.lowering.select.decide`), made anew when anything
changes that a lowering may look at; lengths of keys count by powers of two, so that a growing cache asks rarely.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from ...compiler.ops.attention import ATTENTION_LSE
from ...lowering.candidates import Call, Candidate, Config, call_with, power_of_two
from ...lowering.select import decide
from ...lowering.targets import target_of
from .rows import without_padding

_OPERATOR, _definition = ATTENTION_LSE.overload, ATTENTION_LSE.reference
_chosen: dict[Hashable, tuple[Candidate, Config] | None] = {}


def attention_lse(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None = None,
    key_lengths: Tensor | None = None,
    *,
    mask: str = "none",
    offset: int = 0,
    window: int = 0,
    scale: float | None = None,
    softcap: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Attention and its natural log-sum-exp, by the lowering that is predicted to be fastest here.

    q [B, Hq, Tq, D], k [B or 1, Hkv, Tk, D], v [B or 1, Hkv, Tk, Dv] to out [B, Hq, Tq, Dv] and lse [B, Hq, Tq],
    contiguous in fp32 (fp64 for fp64) and -inf for a row that sees no key; Tk may be 0. Arguments and errors are those
    of :func:`regraft.compiler.ops.attention.attention_lse`. Beyond it, keys and values past ``key_lengths`` may be NaN,
    unless one k stands for the whole batch. While a graph is traced this is the operator ``regraft::attention_lse``.
    """
    arguments: dict[str, Any] = {
        "q": q, "k": k, "v": v, "bias": bias, "key_lengths": key_lengths,
        "mask": mask, "offset": offset, "window": window, "scale": scale, "softcap": softcap,
    }  # fmt: skip
    if torch.compiler.is_compiling() or isinstance(q, FakeTensor):
        return _OPERATOR(**arguments)
    signature = _signature(arguments)
    if signature not in _chosen:
        _chosen[signature] = _choose(arguments)
    chosen = _chosen[signature]
    if key_lengths is not None and q.dim() == 4 and (chosen is None or getattr(chosen[0], "reads_padding", True)):
        arguments["k"], arguments["v"] = without_padding(k, v, key_lengths)
    if chosen is None:
        return _definition(**arguments)
    candidate, config = chosen
    return candidate.run(Call("attention_lse", _OPERATOR, arguments, None), config)


def _choose(arguments: dict[str, Any]) -> tuple[Candidate, Config] | None:
    """The candidate to use; ``None`` for the definition."""
    from .. import candidates

    call = call_with(_OPERATOR, **arguments, training=_training(arguments))
    found = decide(call, target_of(arguments["q"].device), candidates).chosen
    return None if found is None else (found.candidate, found.config)


def _signature(arguments: dict[str, Any]) -> Hashable:
    """Equal for calls that every lowering treats alike."""
    q, k, bias, offset = (arguments[name] for name in ("q", "k", "bias", "offset"))
    queries, keys = q.shape[-2], k.shape[-2]
    tensors = tuple(
        (each.dtype, each.shape[:-2], each.shape[-1], each.shape[-2] == keys) for each in (k, arguments["v"])
    )
    others = tuple(None if each is None else (each.dtype, each.shape) for each in (q, arguments["key_lengths"]))
    added = None if bias is None else (bias.dtype, bias.shape[:-1], bias.shape[-1] == keys)
    ends = keys == 0, power_of_two(keys), keys == queries, offset == 0, offset >= keys - 1, offset == keys - queries
    rest = tuple(arguments[name] for name in ("mask", "window", "scale", "softcap"))
    return tensors, others, added, ends, rest, q.device, _training(arguments), torch.is_autocast_enabled(q.device.type)


def _training(arguments: dict[str, Any]) -> bool:
    tensors = (arguments[name] for name in ("q", "k", "v", "bias"))
    return torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in tensors)
