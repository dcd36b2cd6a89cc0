"""The kernel operators ``regraft_tile::attention_forward`` and ``regraft_tile::attention_backward``.

q [B, Hq, Tq, D], k [B, Hkv, Tk, D] and v [B, Hkv, Tk, Dv] in fp32, fp16 or bf16, of any strides, D and Dv up to 256;
out [B, Hq, Tq, Dv] in the order of q's dimensions in memory, lse [B, Hq, Tq] contiguous in fp32, as
:mod:`regraft.compiler.ops.attention` defines them. Backward recomputes the logits from the log-sum-exp
(FlashAttention-2, arXiv 2307.08691, section 3.1.2); it is deterministic, takes gradients of both results, and gives
those of q, k and v.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...lowering.targets import target_of
from ...lowering.tile import Program, TileError
from ...lowering.tile.ir import DTYPE_NAMES
from ..support import execute
from .backward import backward_keys, backward_queries, row_terms
from .program import LOG2E, AttentionTile, Form, forward
from .tiles import FEW, backward_tiles, forward_tiles

MOST_FEATURES = 256
"""Of a head."""


@torch.library.custom_op("regraft_tile::attention_forward", mutates_args=())
def attention_forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    lists: Sequence[Tensor],
    mask: str,
    offset: int,
    window: int,
    scale: float,
    softcap: float,
    tile: str,
) -> tuple[Tensor, Tensor]:
    """Attention and its natural log-sum-exp.

    ``bias`` broadcasts to [B, Hq, Tq, Tk], ``key_lengths`` is int64 [B], ``lists`` is empty or what
    :func:`.blocks.tile_lists` gives. ``scale`` has to be positive; ``softcap`` 0 is none. ``tile`` is an
    :class:`.program.AttentionTile` as text, "" for the default of the device.

    Raises :class:`TileError` for shapes and numbers it does not take.
    """
    out, lse = _results(q, v)
    if 0 in (k.shape[2], out.numel()):
        return out.zero_(), lse.fill_(-torch.inf)
    form = form_of(q, k, v, bias, key_lengths, lists, mask, softcap)
    given = {"q": q, "k": k, "v": v, **operands(q, k, bias, key_lengths)}
    if lists:
        given |= {"key_tiles_count": lists[0], "key_tiles": lists[1]}
    attend(form, given, {"out": out}, lse, {}, forward, (offset, window, scale, softcap), tile)
    return out, lse


def attend(
    form: Form,
    given: Mapping[str, Tensor],
    outs: Mapping[str, Tensor],
    lse: Tensor | None,
    extras: Mapping[str, Tensor],
    program: Callable[[Form, AttentionTile], Program],
    numbers: tuple[int, int, float, float],
    tile: str,
) -> None:
    """Run a program of attention over ``given`` and ``extras``, of the shape of ``outs``, into those and ``lse``.

    Few queries of a group of heads are packed as rows of their key head. ``numbers`` are offset, window, scale, cap.
    """
    q, bias = given["q"], given.get("bias")
    group, (batch, heads, queries, _) = form.group, q.shape
    packed = group > 1 and group * queries <= FEW and not form.listed and (bias is None or queries == 1)
    rows = group * queries if packed else queries
    tensors: dict[str, Tensor] = {**given, **extras, **outs, **({} if lse is None else {"lse": lse})}
    if packed:
        form = Form(**{**form.__dict__, "group": 1, "packed": True})
        shape = (batch, heads // group, rows)
        tensors |= {name: tensor.reshape(*shape, tensor.shape[-1]) for name, tensor in extras.items()}
        tensors["q"] = q.reshape(*shape, q.shape[-1])
        # Written in one piece, and given the order of q's dimensions afterwards.
        tensors |= {name: out.new_empty(*shape, out.shape[-1]) for name, out in outs.items()}
        if lse is not None:
            tensors["lse"] = lse.view(shape)
        if bias is not None:
            tensors["bias"] = bias.reshape(*shape, bias.shape[-1])
    chosen = AttentionTile.parse(tile) if tile else forward_tiles(form, target_of(q.device), rows)[0]
    scalars, sizes = _numbers(form, queries, *numbers)
    execute(program(form, chosen), tensors, scalars, sizes)
    for name, out in outs.items() if packed else ():
        out.copy_(tensors[name].view(out.shape))


@attention_forward.register_fake
def _(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    lists: Sequence[Tensor],
    mask: str,
    offset: int,
    window: int,
    scale: float,
    softcap: float,
    tile: str,
) -> tuple[Tensor, Tensor]:
    return _results(q, v)


@torch.library.custom_op("regraft_tile::attention_backward", mutates_args=())
def attention_backward(
    dout: Tensor,
    dlse: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    lists: Sequence[Tensor],
    mask: str,
    offset: int,
    window: int,
    scale: float,
    softcap: float,
    tile: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v, laid out as these are; arguments as for ``attention_forward``."""
    dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
    if 0 in (k.shape[2], out.numel()):
        return dq.zero_(), dk.zero_(), dv.zero_()
    form = form_of(q, k, v, bias, key_lengths, lists, mask, softcap)
    chosen = AttentionTile.parse(tile) if tile else backward_tiles(form, target_of(q.device))[0]
    scalars, sizes = _numbers(form, q.shape[2], offset, window, scale, softcap)
    scalars["scale"] = scale
    delta, base = torch.empty_like(lse), torch.empty_like(lse)
    rows = {"dout": dout, "out": out, "lse": lse, "delta": delta, "base": base}
    if dlse is not None:
        rows["dlse"] = dlse
    execute(row_terms(form.dtype, form.value_dim, dlse is not None), rows)
    common = {"q": q, "k": k, "v": v, "dout": dout, "delta": delta, "base": base}
    common |= operands(q, k, bias, key_lengths)
    by_query, by_key = {"dq": dq}, {"dk": dk, "dv": dv}
    if lists:
        by_query |= {"key_tiles_count": lists[0], "key_tiles": lists[1]}
        by_key |= {"query_tiles_count": lists[2], "query_tiles": lists[3]}
    if bias is not None:
        by_key["bias"] = common["bias"].mT
    execute(backward_keys(form, chosen), common | by_key, scalars, sizes)
    execute(backward_queries(form, chosen), common | by_query, scalars, sizes)
    return dq, dk, dv


@attention_backward.register_fake
def _(
    dout: Tensor,
    dlse: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    lists: Sequence[Tensor],
    mask: str,
    offset: int,
    window: int,
    scale: float,
    softcap: float,
    tile: str,
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, bias, key_lengths, lists, *options = inputs
    ctx.save_for_backward(q, k, v, *output, bias, key_lengths, *lists)
    # The tile was chosen for the forward pass; lists are made for one.
    ctx.options = [*options[:-1], options[-1] if lists else ""]
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, dout: Tensor | None, dlse: Tensor | None) -> tuple[Any, ...]:
    q, k, v, out, lse, bias, key_lengths, *lists = ctx.saved_tensors
    if ctx.needs_input_grad[3]:
        raise TileError("attention_forward has no gradient of its bias; use regraft::attention, or detach the bias")
    dout = torch.zeros_like(out) if dout is None else dout
    grads = attention_backward(dout, dlse, q, k, v, out, lse, bias, key_lengths, lists, *ctx.options)
    return *grads, None, None, [None] * len(lists), *([None] * 6)


attention_forward.register_autograd(_backward, setup_context=_save)


def empty_out(q: Tensor, v: Tensor, dtype: torch.dtype) -> Tensor:
    """For a result, in the order of q's dimensions."""
    batch, heads, queries, _ = q.shape
    if q.stride(1) < q.stride(2):
        return q.new_empty(batch, queries, heads, v.shape[-1], dtype=dtype).transpose(1, 2)
    return q.new_empty(batch, heads, queries, v.shape[-1], dtype=dtype)


def _results(q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    return empty_out(q, v, q.dtype), q.new_empty(q.shape[:-1], dtype=torch.float32)


def form_of(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    key_lengths: Tensor | None,
    lists: Sequence[Tensor],
    mask: str,
    softcap: float,
) -> Form:
    """What is computed; raises :class:`TileError` where the kernels cannot."""
    if max(q.shape[-1], v.shape[-1]) > MOST_FEATURES:
        raise TileError(f"attention takes up to {MOST_FEATURES} features a head, not {q.shape[-1]} and {v.shape[-1]}")
    if q.shape[1] % k.shape[1]:
        raise TileError(f"{q.shape[1]} query heads are no multiple of {k.shape[1]} key heads")
    return Form(
        DTYPE_NAMES[q.dtype],
        q.shape[-1],
        v.shape[-1],
        q.shape[1] // k.shape[1],
        mask,
        key_lengths is not None,
        "" if bias is None else DTYPE_NAMES[bias.dtype],
        bool(softcap),
        listed=bool(lists),
    )


def operands(q: Tensor, k: Tensor, bias: Tensor | None, key_lengths: Tensor | None) -> dict[str, Tensor]:
    """The optional ones, as programs take them."""
    made: dict[str, Tensor] = {}
    if bias is not None:
        made["bias"] = bias.expand(*q.shape[:3], k.shape[2])
    if key_lengths is not None:
        made["key_lengths"] = key_lengths.clamp(0, k.shape[2]).to(torch.int32)
    return made


def _numbers(
    form: Form, queries: int, offset: int, window: int, scale: float, softcap: float
) -> tuple[dict[str, float], dict[str, int]]:
    if scale <= 0:
        raise TileError(f"attention takes a scale above 0, not {scale}")
    scalars = {"factor": (softcap or scale) * LOG2E}
    if softcap:
        scalars["inner"] = scale / softcap
    return scalars, {"OFFSET": offset, "WINDOW": window, "QUERIES": queries}
