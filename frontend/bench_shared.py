"""One decode step of many rows after one prompt, every way there is: what ``regraft bench --shared-prompt`` times.

All ways hold the same keys and values, those of the prompt and those of each row's own tokens, and compute the same
logits. The fair rival is ``StaticCache`` in eager mode, where transformers stacks the query heads of a group; the
default cache is joined anew at every step. The last two compile one and the same step, whose keys the cache says are
shared: what lies between them is the pass ``share-prefix`` alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..compiler.errors import UsageError
from ..compiler.remarks import Remark
from .prefix_model import check_length, check_model
from .shared_prefix import SharedPrefix, share_prefix

STATIC = "transformers, static cache"
DEFAULT = "transformers, default cache"
DECLARED = "share_prefix, eager"
WITHOUT = "compiled, without the pass"
WITH = "compiled, with the pass"


@dataclass(frozen=True)
class Way:
    """A step that can be called again and again."""

    call: Callable[[], Tensor]
    """Logits [V] of the last row."""
    kv_bytes: int
    """Keys and values that are held from step to step."""


@dataclass(frozen=True)
class SharedPromptSteps:
    """The ways that fit into memory, and the truth they are held against."""

    ways: dict[str, Way]
    reference: Tensor
    """What the model gives for that row as a whole text, without a cache."""
    left_out: dict[str, str]
    """Why a way is not there."""
    remarks: list[Remark]
    """Of ``share-prefix``, once the way with the pass has been called."""


def shared_prompt_steps(
    model: Any, prompt: int, batch: int, suffix: int, *, compiled: bool = True, passes: str = "default", seed: int = 0
) -> SharedPromptSteps:
    """Prepare one step of ``batch`` rows after ``prompt`` random tokens they share and ``suffix`` of each one's own.

    ``model`` is a causal model of transformers in evaluation mode and is left as it is. Raises :class:`UsageError` for
    a model whose prefixes cannot be shared, sizes below 1, or more tokens than its context has.
    """
    if min(prompt, batch, suffix) < 1:
        raise UsageError(f"a prompt of {prompt}, a batch of {batch} and {suffix} own tokens must each be at least 1")
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        raise UsageError(f"{type(model).__name__} is no decoder", hint="a shared prompt is that of a causal model")
    check_model(model)
    own_model = _copy(model)
    draw = torch.Generator().manual_seed(seed)
    size = model.config.get_text_config(decoder=True).vocab_size
    ids = torch.randint(size, (1, prompt), generator=draw).to(model.device)
    rows = torch.randint(size, (batch, suffix + 1), generator=draw).to(model.device)
    check_length(model, prompt + suffix + 1)
    handle: SharedPrefix = share_prefix(own_model, ids)
    with torch.no_grad():
        reference = model(torch.cat([ids, rows[-1:]], 1), use_cache=False, logits_to_keep=1).logits[-1, -1]
    declared = _filled(handle, rows)
    # What is compiled is left to the pass, which judges for itself.
    judged_not_to_pay = declared.remark is not None and declared.remark.kind == "missed"
    cache = _filled(replace(handle, min_gain=0), rows) if judged_not_to_pay else declared
    step = _Step(rows[:, -1:], prompt + suffix)
    ways = {DECLARED: Way(_kept(step, own_model, declared), handle.nbytes + _nbytes(declared))}
    left_out, remarks = _rivals(step, model, handle, cache, ways), []
    if compiled:
        for name, skip in ((WITHOUT, ["share-prefix"]), (WITH, [])):
            options = {"passes": passes, "skip": skip, "report": _listener(remarks)}
            module = torch.compile(_copy(own_model), backend=_backend(), dynamic=False, options=options)
            ways[name] = Way(_kept(step, module, cache), handle.nbytes + _nbytes(cache))
    order = [name for name in (STATIC, DEFAULT, DECLARED, WITHOUT, WITH) if name in ways]
    return SharedPromptSteps({name: ways[name] for name in order}, reference, left_out, remarks)


@dataclass(frozen=True)
class _Step:
    ids: Tensor
    position: int

    def __call__(self, model: Any, cache: Any) -> Tensor:
        at = torch.full((1, 1), self.position, device=self.ids.device)
        with torch.no_grad():
            logits = model(input_ids=self.ids, past_key_values=cache, position_ids=at, use_cache=True).logits
        return logits[-1, -1]


def _filled(handle: SharedPrefix, rows: Tensor) -> Any:
    """A cache after all tokens of the rows but the last, with room for that."""
    cache, start = handle.new_cache(), handle.levels[0].length
    with torch.no_grad():
        at = torch.arange(start, start + rows.shape[1], device=rows.device)[None]
        handle.model(input_ids=rows, past_key_values=cache, position_ids=at, logits_to_keep=1)
    cache.crop(-1)
    return cache


def _kept(step: _Step, model: Any, cache: Any) -> Callable[[], Tensor]:
    """The step on a cache that is as it was afterwards."""
    held = [[copy.copy(each) for each in layer.suffix] for layer in cache.layers]

    def call() -> Tensor:
        out = step(model, cache)
        for layer, suffix in zip(cache.layers, held, strict=True):
            layer.suffix = tuple(copy.copy(each) for each in suffix)
        return out

    return call


def _rivals(step: _Step, model: Any, handle: SharedPrefix, own: Any, ways: dict[str, Way]) -> dict[str, str]:
    """Add the caches of transformers where they fit; gives why they do not."""
    from transformers import DynamicCache
    from transformers.cache_utils import Cache, StaticLayer

    batch, length = len(step.ids), step.position
    whole = (handle.nbytes // handle.levels[0].length) * (length + 1) * batch
    left_out: dict[str, str] = {}
    free = _free_bytes(model.device)
    # The default cache makes new keys and values of all layers before the old ones go; they are the static one's here.
    for name, needed in ((STATIC, whole), (DEFAULT, 2 * whole)):
        if free is not None and needed > free * 2 / 3:
            left_out[name] = f"needs {needed / 1e9:.1f} GB for keys and values, {free / 1e9:.1f} GB are free"
    if STATIC in left_out:
        return left_out
    # As StaticCache, but for the layers of a sliding window, which covers all positions here.
    static: Any = Cache(layers=[StaticLayer(length + 1) for _ in own.layers])
    default: Any = DynamicCache()
    level = handle.levels[0]
    for at, (layer, suffix) in enumerate(zip(static.layers, own.layers, strict=True)):
        layer.lazy_initialization(suffix.keys, suffix.values)
        for states, shared, rest in (
            (layer.keys, level.keys[at], suffix.suffix[0].states),
            (layer.values, level.values[at], suffix.suffix[1].states),
        ):
            states[:, :, : level.length] = shared
            states[:, :, level.length : length] = rest
        layer.cumulative_length.fill_(length)
        default.update(layer.keys[:, :, :0], layer.values[:, :, :0], at)

    def with_static() -> Tensor:
        out = step(model, static)
        for layer in static.layers:
            layer.cumulative_length.fill_(length)
        return out

    def with_default() -> Tensor:
        for layer, filled in zip(default.layers, static.layers, strict=True):
            layer.keys, layer.values = filled.keys[:, :, :length], filled.values[:, :, :length]
        out = step(model, default)
        for layer in default.layers:
            layer.keys = layer.values = None
        return out

    ways[STATIC] = Way(with_static, whole)
    if DEFAULT not in left_out:
        ways[DEFAULT] = Way(with_default, whole)
    return left_out


def _copy(model: Any) -> Any:
    """Another model over the same weights, whose attention can be switched."""
    return copy.deepcopy(model, {id(each): each for each in (*model.parameters(), *model.buffers())})


def _nbytes(cache: Any) -> int:
    states: Sequence[Tensor] = [each.states for layer in cache.layers for each in layer.suffix]
    return sum(each.nbytes for each in states)


def _backend() -> Callable[..., Any]:
    from .backend import regraft

    return regraft


def _listener(remarks: list[Remark]) -> Callable[[Any], None]:
    return lambda report: remarks.extend(each for each in report.remarks if each.pass_name == "share-prefix")


def _free_bytes(device: torch.device) -> int | None:
    """Memory that can be had without swapping; ``None`` where that cannot be told."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    info = Path("/proc/meminfo")
    if device.type != "cpu" or not info.exists():
        return None
    return next(1024 * int(line.split()[1]) for line in info.read_text().splitlines() if line.startswith("MemAvail"))
