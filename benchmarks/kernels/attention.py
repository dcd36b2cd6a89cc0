"""Attention in bf16 against every backend of SDPA that takes it, FlexAttention for masks, and merging of parts.

Goals on an H200: causal forward and backward at least 0.8 of the best SDPA; masks that SDPA has no fast path for
(sliding, block-sparse) at least 3x SDPA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from regraft.compiler.ops.merge_lse import merge_lse
from regraft.kernels.attention.blocks import tile_lists
from regraft.kernels.attention.op import attention_backward, attention_forward
from regraft.kernels.attention.program import Form
from regraft.kernels.attention.tiles import backward_tiles
from regraft.lowering.candidates import Call, call_with
from regraft.lowering.targets import target_of
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..results import Row
from .case import SECONDS, Case, Make, Run, backward, compiled, eager, edges, in_fp64, measure, nbytes, once, ours

BACKENDS = {"sdpa flash": SDPBackend.FLASH_ATTENTION, "sdpa cudnn": SDPBackend.CUDNN_ATTENTION}
BLOCK = 128
"""Queries and keys of one block of the sparse mask."""


def run(device: str, quick: bool, seconds: float = SECONDS) -> list[Row]:
    """Time causal attention both ways, the masks, decoding, and merging."""
    cases: list[tuple[str, Callable[[], Case]]] = []
    for width in (64,) if quick else (128, 64):
        shape = (2, 2, 128, width) if quick else (4, 32, 4096, width)
        cases.append((f"causal {shape}", partial(causal, shape, device)))
        cases.append((f"causal backward {shape}", partial(gradients, shape, device)))
    masked = (1, 2, 512, 64) if quick else (1, 16, 8192, 128)
    decoded = (2, 4, 2, 256, 64) if quick else (64, 32, 8, 8192, 128)
    parts = (1, 2, 64, 64) if quick else (8, 32, 4096, 128)
    cases += [
        ("sliding", partial(sliding, masked, 64 if quick else 512, device)),
        ("block-sparse", partial(sparse, masked, device)),
        ("decode", partial(decode, *decoded, device)),
        ("merge_lse", partial(merging, 4, parts, device)),
    ]
    return measure(cases, device, quick, seconds)


def causal(shape: tuple[int, ...], device: str) -> Case:
    """Causal forward; only what is visible counts as work."""
    q, k, v = tensors(shape, device)
    part = edges(1)
    return Case(
        f"causal {text(shape)}",
        {"eager": eager(sdpa, q, k, v), **backends(q, k, v)},
        {"ours": ours(call_with(ATTENTION, q, k, v, mask="causal"))},
        expected=in_fp64(sdpa, part(q), part(k), part(v)),
        part=part,
        bytes=nbytes(q, k, v, q),
        flops=products(shape) / 2,
    )


def gradients(shape: tuple[int, ...], device: str) -> Case:
    """The backward pass alone: five products where forward has two."""
    q, k, v = (tensor.requires_grad_() for tensor in tensors(shape, device))
    cotangent, scale, part = torch.randn_like(q), shape[-1] ** -0.5, edges(1)
    options = ("causal", 0, 0, scale, 0.0)
    with torch.no_grad():
        out, lse = attention_forward(q, k, v, None, None, [], *options, "")

    def tiled(tile: str) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return attention_backward(cotangent, None, q, k, v, out, lse, None, None, [], *options, tile)

    def in_full() -> Any:
        wide = [part(tensor).detach().double().requires_grad_() for tensor in (q, k, v)]
        return torch.autograd.grad(sdpa(*wide), wide, part(cotangent).double())

    def differentiated(forward: Run) -> Make:
        return backward(forward, [q, k, v], cotangent)

    tiles = backward_tiles(Form("bf16", shape[-1], shape[-1], mask="causal"), target_of(device))
    return Case(
        f"causal backward {text(shape)}",
        {"eager": differentiated(partial(sdpa, q, k, v))}
        | {name: differentiated(partial(on_backend, backend, q, k, v)) for name, backend in BACKENDS.items()},
        {"ours": {str(tile): partial(tiled, str(tile)) for tile in tiles}},
        expected=in_full,
        part=part,
        bytes=2 * nbytes(q, k, v, q),
        flops=2.5 * products(shape) / 2,
    )


def sliding(shape: tuple[int, ...], window: int, device: str) -> Case:
    """Each query sees the ``window`` keys up to its own."""
    q, k, v = tensors(shape, device)
    ages = torch.arange(shape[2], device=device)[:, None] - torch.arange(shape[2], device=device)
    visible = (ages >= 0) & (ages < window)

    def rule(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (i >= j) & (i - j < window)

    return Case(
        f"sliding {window}, {text(shape)}",
        {
            "eager": eager(sdpa, q, k, v, visible),
            "torch.compile": compiled(sdpa, q, k, v, visible),
            "flex_attention": partial(flex, q, k, v, rule),
        },
        {"ours": ours(call_with(ATTENTION, q, k, v, mask="sliding", window=window))},
        expected=in_fp64(sdpa, q, k, v, visible),
        bytes=nbytes(q, k, v, q),
        flops=products(shape) * window / shape[2],
    )


def sparse(shape: tuple[int, ...], device: str) -> Case:
    """Blocks on the diagonal, the first column of blocks, and one in eight of the others."""
    q, k, v = tensors(shape, device)
    blocks = -(-shape[2] // BLOCK)
    visible = torch.rand(blocks, blocks, device=device) < 1 / 8
    visible |= torch.eye(blocks, dtype=torch.bool, device=device)
    visible[:, 0] = True
    mask = visible.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)

    def rule(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return visible[i // BLOCK, j // BLOCK]

    def tiled(block_m: int, block_n: int, tile: str) -> Make:
        def make() -> Run:
            finer = visible.repeat_interleave(BLOCK // block_m, 0).repeat_interleave(BLOCK // block_n, 1)
            lists = tile_lists(finer)
            options = ("none", 0, 0, shape[-1] ** -0.5, 0.0)
            return lambda: attention_forward(q, k, v, None, None, lists, *options, tile)[0]

        return make

    tiles = [(128, 64, "128x64,w8,s3"), (128, 128, "128x128,w8,s2"), (64, 64, "64x64,w4,s2")]
    return Case(
        f"block-sparse {text(shape)}",
        {
            "eager": eager(sdpa, q, k, v, mask),
            "torch.compile": compiled(sdpa, q, k, v, mask),
            "flex_attention": partial(flex, q, k, v, rule),
        },
        {"ours": {tile: once(tiled(m, n, tile)) for m, n, tile in tiles}},
        expected=in_fp64(sdpa, q, k, v, mask),
        bytes=nbytes(q, k, v, q),
        flops=products(shape) * visible.float().mean().item(),
    )


def decode(batch: int, heads: int, kv_heads: int, keys: int, width: int, device: str) -> Case:
    """One query a sequence, grouped heads over a long cache: bound by reading it."""
    torch.manual_seed(0)
    q = torch.randn(batch, heads, 1, width, device=device, dtype=torch.bfloat16)
    k, v = (torch.randn(batch, kv_heads, keys, width, device=device, dtype=torch.bfloat16) for _ in range(2))
    grouped = partial(F.scaled_dot_product_attention, enable_gqa=True)
    part = edges(1)

    def on(backend: SDPBackend) -> Tensor:
        with sdpa_kernel(backend):
            return grouped(q, k, v)

    return Case(
        f"decode {batch} x {heads}/{kv_heads} heads of {width} x {keys}",
        {"eager": eager(grouped, q, k, v), "torch.compile": compiled(grouped, q, k, v)}
        | {name: eager(on, backend) for name, backend in BACKENDS.items()},
        {"ours": ours(call_with(ATTENTION, q, k, v))},
        expected=in_fp64(grouped, part(q), part(k), part(v)),
        part=part,
        bytes=nbytes(q, k, v, q),
        flops=4.0 * batch * heads * keys * width,
    )


def merging(count: int, shape: tuple[int, ...], device: str) -> Case:
    """Parts of one attention, and their log-sum-exps in fp32."""
    torch.manual_seed(0)
    outs = [torch.randn(shape, device=device, dtype=torch.bfloat16) for _ in range(count)]
    lses = [torch.randn(shape[:3], device=device) for _ in range(count)]
    part = edges(1)
    return Case(
        f"merge_lse of {count}, {text(shape)}",
        {"eager": eager(merge_lse, outs, lses), "torch.compile": compiled(merge_lse, outs, lses)},
        {"ours": ours(call_with(torch.ops.regraft.merge_lse.default, outs, lses))},
        expected=in_fp64(merge_lse, part(outs), part(lses)),
        part=part,
        bytes=nbytes(outs, lses, outs[0], lses[0]),
    )


def sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Causal, or with a mask in memory."""
    return F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None)


def on_backend(backend: SDPBackend, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal, by one kernel or not at all."""
    with sdpa_kernel(backend):
        return sdpa(q, k, v)


def backends(q: Tensor, k: Tensor, v: Tensor) -> dict[str, Make]:
    """Causal attention by each of SDPA's kernels."""
    return {name: eager(on_backend, backend, q, k, v) for name, backend in BACKENDS.items()}


def flex(q: Tensor, k: Tensor, v: Tensor, rule: Callable[..., Tensor]) -> Run:
    """FlexAttention, its block mask made beforehand."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    mask = create_block_mask(rule, None, None, q.shape[2], k.shape[2], device=q.device.type)
    attend: Any = torch.compile(flex_attention, dynamic=False)
    return lambda: attend(q, k, v, block_mask=mask)


def tensors(shape: tuple[int, ...], device: str) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v of one shape."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(shape, device=device, dtype=torch.bfloat16) for _ in range(3))
    return q, k, v


def products(shape: tuple[int, ...]) -> float:
    """FLOPs of both products over all pairs of a query and a key."""
    batch, heads, length, width = shape
    return 4.0 * batch * heads * length * length * width


def text(shape: tuple[int, ...]) -> str:
    """``4x32x4096x128``: batch, heads, time, features."""
    return "x".join(map(str, shape))


def tunable(device: str) -> Iterator[Call]:
    """Calls for the cost table; their references in fp64 are written out."""
    for width in (64, 128):
        for length in (1024, 4096):
            given = tensors((1, 16, length, width), device)
            yield call_with(ATTENTION, *given, mask="causal")
            yield call_with(ATTENTION, *given, mask="sliding", window=512)


ATTENTION = torch.ops.regraft.attention.default
