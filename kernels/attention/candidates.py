"""``attention`` and ``attention_lse`` as tile programs, and what they have to beat.

Where SDPA has a fast kernel, for no mask and for upper-left causality, only a measurement can tell; the estimate
abstains. Masks that it takes as a tensor only, grouped queries beside those, and soft caps are where a kernel that
visits just what is visible has less to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from ...compiler.analysis.cost_rules import SOFTMAX
from ...compiler.calls import bind
from ...compiler.program import tensor_of
from ...compiler.rules import Decline
from ...lowering.absorbing import Absorbing, Epilogue
from ...lowering.candidates import REFERENCE, Call, Config, Estimate, Reference, traffic
from ...lowering.targets import Target
from ...lowering.tile.ir import DTYPE_NAMES
from . import cost
from .masks import Visible
from .program import AttentionTile, Form
from .tiles import FEW, forward_tiles

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
MOST_FEATURES = 256
FUSED_SHARE = 0.5
"""Of the eager definition of ``attention_lse`` on a CPU, what Inductor takes that fuses what is between its products:
measured 0.58 to 0.74 at 16 to 1024 rows (``python -m benchmarks.attention_parts compiled``)."""


@dataclass(frozen=True)
class AttentionReference(Reference):
    """SDPA, or what is written out where SDPA does not apply."""

    name: ClassVar[str] = "attention.inductor"  # type: ignore[misc]
    operator: str = "attention"

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """Products over all keys; the mask as a tensor; logits in memory where no fused kernel takes the call."""
        if not target.known:
            return None
        q, k = call["q"], call["k"]
        logits = q.shape[:-1].numel() * k.shape[-2]
        visited = logits // 2 if call["mask"] == "causal" and fast(call) else logits
        written_out = not fast(call) and (call["softcap"] or call.op == "attention_lse" or _group(call) > 1)
        wide = 4 if call.op == "attention_lse" else q.element_size()
        rows = q.shape[:-3].numel() if call["key_lengths"] is not None else 1
        moved = traffic(call)
        moved += 0 if fast(call) else 2 * rows * q.shape[-2] * k.shape[-2] * q.element_size()
        moved += 4 * logits * wide if written_out else 0
        dtype = torch.float32 if call.op == "attention_lse" else call.dtype
        return _estimate(call, target, visited, dtype, moved)


@dataclass(frozen=True)
class AttentionLseReference(AttentionReference):
    """Written out in fp32."""

    name: ClassVar[str] = "attention_lse.inductor"  # type: ignore[misc]
    operator: str = "attention_lse"

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """On a CPU a share of what it takes eagerly."""
        if target.kind == "cpu":
            return on_cpu(call, target, REFERENCE, FUSED_SHARE)
        return super().estimate(call, target, config)

    def bucket(self, call: Call) -> str:
        """Stacked rows, keys and features; measurements on CPUs are of calls without a mask, and stand for all."""
        return cost.bucket(*_stacked(call)[1:])


@dataclass(frozen=True)
class AttentionTiles(Absorbing):
    """One kernel that visits the tiles of keys that a tile of queries sees, and does the work behind it."""

    name: ClassVar[str] = "attention.tile"
    apart: ClassVar[bool] = True
    kinds: ClassVar[frozenset[str]] = frozenset({"cuda", "hip"})
    features: ClassVar[frozenset[str]] = frozenset({"several-dots"})

    def supports(self, call: Call, target: Target) -> Decline | None:
        """Every mask; heads of up to 256 fixed features, one dtype, no dropout, no gradient of a bias."""
        q, v, bias = call["q"], call["v"], call["bias"]
        if target.kind not in self.kinds:
            return Decline("device", f"tile kernels run on GPUs, not on {target.name}")
        decline = foreign(call, DTYPES)
        if decline is not None:
            return decline
        features = max(q.shape[-1], v.shape[-1])
        if features > MOST_FEATURES:
            return Decline("head-dim", f"{features} features a head are more than {MOST_FEATURES}")
        if call.arguments.get("dropout"):
            return Decline("dropout", "the kernel does not drop probabilities", unblock="eval()")
        if _scale(call) <= 0:
            return Decline("scale", f"a scale of {_scale(call)} is not above 0")
        if bias is not None and bias.dtype not in (torch.bool, *DTYPES):
            return Decline("dtype", f"the bias is {bias.dtype}")
        if bias is not None and bias.dtype != torch.bool and call.training:
            return Decline("bias-gradient", "the kernel gives no gradient of a bias", unblock="a boolean mask")
        return None

    def configs(self, call: Call, target: Target) -> Sequence[Config]:
        """What fits the target, the likely best first."""
        q, rows = call["q"], call["q"].shape[-2]
        if isinstance(rows, int) and rows * _group(call) <= FEW:
            rows *= _group(call)
        many = rows if isinstance(rows, int) else FEW + 1
        form = Form(DTYPE_NAMES[q.dtype], q.shape[-1], call["v"].shape[-1])
        return [_config(tile) for tile in forward_tiles(form, target, many)]

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """The roofline of the tiles visited, on as many processors as there are tasks."""
        if not target.known or (call.op == "attention" and fast(call)):
            return None
        q, tile = call["q"], _tile(config)
        heads, rows = q.shape[:-2].numel(), q.shape[-2]
        if rows * _group(call) <= FEW:
            heads, rows = heads // _group(call), rows * _group(call)
        tasks = heads * -(-rows // tile.block_m)
        pairs = heads * rows * visited(call, tile) // max(q.shape[-2], 1)
        made = _estimate(call, target, pairs, call.dtype, traffic(call))
        busy = min(1.0, tasks / target.multiprocessors)
        return Estimate(made.seconds / max(busy, 1e-3), made.flops, made.bytes, made.floor_seconds)

    def run(self, call: Call, config: Config, *constants: Tensor) -> Any:
        """The result without the log-sum-exp."""
        return self.results(call, config)[0]

    def results(self, call: Call, config: Config) -> tuple[Tensor, Tensor]:
        """Out and log-sum-exp."""
        from .op import attention_forward

        q, k, v, lengths = call["q"], call["k"], call["v"], call["key_lengths"]
        single = q.dim() == 3
        if single:
            q, k, v = q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0)
            lengths = None if lengths is None else lengths.unsqueeze(0)
        k, v = (tensor.expand(q.shape[0], -1, -1, -1) for tensor in (k, v))
        out, lse = attention_forward(q, k, v, call["bias"], lengths, [], *_options(call, config))
        return (out.squeeze(0), lse.squeeze(0)) if single else (out, lse)

    def takes_work(self, node: fx.Node) -> bool:
        """With a batch dimension."""
        q = tensor_of(bind(node)["q"])
        return q is not None and q.dim() == 4

    def run_with(self, call: Call, config: Config, work: Epilogue, *constants: Tensor) -> Sequence[Tensor]:
        """The result and what is behind it."""
        from .epilogue import attention_epilogue

        q, bias, lengths = call["q"], call["bias"], call["key_lengths"]
        k, v = (tensor.expand(q.shape[0], -1, -1, -1) for tensor in (call["k"], call["v"]))
        return attention_epilogue(q, k, v, bias, lengths, work.extras, work.text, work.outputs, *_options(call, config))


@dataclass(frozen=True)
class AttentionLseTiles(AttentionTiles):
    """The same, with the log-sum-exp."""

    name: ClassVar[str] = "attention_lse.tile"

    def takes_work(self, node: fx.Node) -> bool:
        """Two results are not one."""
        return False

    def run(self, call: Call, config: Config, *constants: Tensor) -> Any:
        """Both results."""
        return self.results(call, config)


def foreign(call: Call, dtypes: tuple[torch.dtype, ...]) -> Decline | None:
    """What no kernel for attention takes: other dtypes or several, many batch dimensions, heads of unknown sizes."""
    q, k, v = call["q"], call["k"], call["v"]
    if call.autocast:
        return Decline("autocast", "autocast would cast the operands")
    if q.dtype not in dtypes or {q.dtype, k.dtype, v.dtype} != {q.dtype}:
        return Decline("dtype", f"q, k and v are {q.dtype}, {k.dtype} and {v.dtype}")
    if q.dim() > 4:
        return Decline("rank", f"there are {q.dim() - 3} batch dimensions", unblock="flatten them into one")
    if not all(isinstance(size, int) for size in (q.shape[-1], v.shape[-1], q.shape[-3], k.shape[-3])):
        return Decline("heads-dynamic", "the number of heads or of their features is symbolic")
    return None


def fast(call: Call) -> bool:
    """Whether SDPA has a fused kernel that takes the call without a mask in memory."""
    plain = call["bias"] is None and call["key_lengths"] is None and not call["softcap"]
    return plain and (call["mask"] == "none" or (call["mask"] == "causal" and call["offset"] == 0))


def visited(call: Call, tile: AttentionTile) -> int:
    """Pairs of a query and a key in the tiles that a static call visits, for one head; key lengths are not known."""
    queries, keys = call["q"].shape[-2], call["k"].shape[-2]
    seen, pairs = Visible(call["mask"], call["offset"], call["window"]), 0
    for start in range(0, queries, tile.block_m):
        stop = min(start + tile.block_m, queries)
        first, last = seen.first(start), seen.last(stop - 1)
        begin = 0 if first is None else max(int(first), 0) // tile.block_n * tile.block_n
        end = keys if last is None else min(int(last) + 1, keys)
        pairs += (stop - start) * max(end - begin, 0)
    return pairs


def _estimate(call: Call, target: Target, pairs: int, dtype: torch.dtype, moved: float) -> Estimate:
    products = 2.0 * pairs * (call["q"].shape[-1] + call["v"].shape[-1])
    rest = pairs * (SOFTMAX + 1.0 + 3 * bool(call["softcap"]) + (call["bias"] is not None))
    busy = products / target.matmul_rate(dtype) + rest / target.general_rate
    floor = traffic(call) / target.memory_rate
    return Estimate(max(moved / target.memory_rate, busy), products + rest, moved, floor)


def on_cpu(call: Call, target: Target, lowering: str, share: float = 1.0) -> Estimate | None:
    """What a lowering of ``attention_lse`` should take compiled or in training, from what it was measured eagerly."""
    stacks, rows, keys, features = _stacked(call)
    seconds = cost.attention_seconds(stacks, rows, max(keys, 1), features, call.dtype, target, lowering)
    if seconds is None:
        return None
    return Estimate(share * seconds, 4.0 * stacks * rows * keys * features, traffic(call), 0.0)


def _stacked(call: Call) -> tuple[int, int, int, int]:
    """Stacks, rows of each, keys and features of a static call."""
    q, k = call["q"], call["k"]
    masked = call["mask"] != "none" or call["bias"] is not None or call["key_lengths"] is not None
    shared = q.shape[:-3].numel() if k.shape[:-3].numel() == 1 and not masked else 1
    rows = max(shared * _group(call) * q.shape[-2], 1)
    return q.shape[:-1].numel() // rows, rows, k.shape[-2], q.shape[-1]


def _group(call: Call) -> int:
    return call["q"].shape[-3] // call["k"].shape[-3]


def _scale(call: Call) -> float:
    return call["q"].shape[-1] ** -0.5 if call["scale"] is None else float(call["scale"])


def _options(call: Call, config: Config) -> tuple[Any, ...]:
    """The last arguments of the operators."""
    tile = str(_tile(config))
    return call["mask"], call["offset"], call["window"], _scale(call), float(call["softcap"]), tile


def _config(tile: AttentionTile) -> Config:
    return {
        "block_m": tile.block_m,
        "block_n": tile.block_n,
        "num_warps": tile.warps,
        "num_stages": tile.stages,
    }


def _tile(config: Config) -> AttentionTile:
    return AttentionTile(config["block_m"], config["block_n"], config["num_warps"], config["num_stages"])
