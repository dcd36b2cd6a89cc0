"""``aten.linear`` and ``aten.mm`` as tile programs that absorb the pointwise work round them.

cuBLAS multiplies matrices as fast as anything; what the tile kernel has over it is that bias, activation, gate and
residual are done while the product is in registers. So it is chosen where that traffic outweighs the difference, on
devices where both were measured. Work on the left operand is done again for every tile of columns: it is absorbed
before narrow products only.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from ...compiler.calls import bind
from ...compiler.ops.registry import known
from ...compiler.program import tensor_of
from ...compiler.rewriter import Edit
from ...compiler.rules import Decline, Match
from ...lowering.absorb import Absorbed, epilogue, prologue
from ...lowering.candidates import Call, Candidate, Config, Estimate, Reference, traffic
from ...lowering.pointwise import FLOATS
from ...lowering.targets import Target
from ...lowering.tile.chain import chain
from ...lowering.tile.ir import DTYPE_NAMES
from .program import MatmulTile

aten = torch.ops.aten

CUBLAS_SHARE = 0.9
"""The part of cuBLAS's rate that the tile kernel is held to."""

NARROW, COLUMNS = 256, 128
"""Most columns of a product with a prologue, and how many a tile is taken to have."""


@dataclass(frozen=True)
class MatmulReference(Reference):
    """cuBLAS, its result written to memory before anything is done with it."""

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """The roofline of the product."""
        return _estimate(call, target, 1.0)


@dataclass(frozen=True)
class LinearReference(MatmulReference):
    """``aten.linear`` as it is."""

    name: ClassVar[str] = "aten.linear.inductor"  # type: ignore[misc]
    operator: str = "aten.linear"


@dataclass(frozen=True)
class MmReference(MatmulReference):
    """``aten.mm`` as it is."""

    name: ClassVar[str] = "aten.mm.inductor"  # type: ignore[misc]
    operator: str = "aten.mm"


@dataclass(frozen=True)
class LinearTile(Candidate):
    """A linear layer over the last dimension, with what follows it."""

    name: ClassVar[str] = "aten.linear.tile"
    kinds: ClassVar[frozenset[str]] = frozenset({"cuda", "hip"})

    def supports(self, call: Call, target: Target) -> Decline | None:
        """Floating operands of one type on a GPU, outside autocast."""
        left, right = _operands(call)
        if target.kind not in self.kinds:
            return Decline("device", f"tile kernels run on GPUs, not on {target.name}")
        if call.autocast:
            return Decline("autocast", "autocast would cast the operands")
        if left.dtype not in FLOATS or left.dtype != right.dtype:
            return Decline("dtype", f"the operands are {left.dtype} and {right.dtype}")
        if left.dim() < 2 or right.dim() != 2:
            return Decline("rank", f"the operands have {left.dim()} and {right.dim()} dimensions")
        return None

    def configs(self, call: Call, target: Target) -> Sequence[Config]:
        """Large tiles for large products, within the shared memory of the target."""
        left, _ = _operands(call)
        element = left.element_size()
        fitting = [tile for tile in _TILES if tile.stages * _bytes(tile, element) <= target.shared_bytes]
        if target.capability[0] >= 9 and _aligned(call):
            fitting = [_with_descriptors(tile) for tile in fitting[:2]] + fitting
        return [_config(tile) for tile in fitting]

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """A share of the roofline of the product."""
        return _estimate(call, target, CUBLAS_SHARE)

    def run(self, call: Call, config: Config, *constants: Tensor) -> Tensor:
        """The product with its bias."""
        left, right = _operands(call)
        bias = call.arguments.get("bias")
        extras, text = ([], "x") if bias is None else ([bias], "x + row0")
        rows = left.reshape(-1, left.shape[-1])
        (made,) = _op()(rows, right, extras, self.weight, "x", text, DTYPE_NAMES[left.dtype], str(_tile(config)),
                        _precision(left.dtype))  # fmt: skip
        return made.reshape(*left.shape[:-1], made.shape[-1])

    @property
    def weight(self) -> bool:
        """Whether the right operand is [N, K]."""
        return True

    def match(self, node: fx.Node, *, training: bool = False) -> Match:
        """The product and the pointwise work behind it and before it; in training the product alone."""
        bound = bind(node)
        left: fx.Node = bound["input"] if "input" in bound else bound["self"]
        before, work = Absorbed(source=left), Absorbed(source=node, outputs=(node,))
        if not training:
            before, work = _before(left, node), epilogue(node, apart=True)
        root = work.nodes[-1] if work.nodes else node
        shared = tuple(output for output in work.outputs if output is not root)
        return Match(root, (*before.nodes, node, *work.nodes), {**bound, "before": before, "work": work}, shared)

    def absorbed(self, match: Match) -> str:
        """Both chains."""
        before, work = match["before"], match["work"]
        parts = f"{before.text} before it" * bool(before.nodes), f"{work.text} behind it" * bool(work.nodes)
        return " and ".join(filter(None, parts))

    def spared_bytes(self, match: Match) -> int:
        """What the reference would write and read again."""
        before, work = match["before"], match["work"]
        return work.spared_bytes(apart=True) + before.spared_before(_tiles(work.source))

    def rewrite(self, match: Match, edit: Edit, config: Config) -> fx.Node:
        """One kernel for the product, its prologue and its epilogue; all its outputs replace what they stand for."""
        before: Absorbed = match["before"]
        work: Absorbed = match["work"]
        left, right, tile = before.source, match.get("weight", match.get("mat2")), _tile(config)
        source, outside = tensor_of(work.source), tensor_of(left)
        assert source is not None
        assert outside is not None
        flat = outside.dim() == 2
        text, extras = work.text, dict(work.extras)
        if match.get("bias") is not None:
            name = f"row{sum(other.startswith('row') for other in extras)}"
            text = re.sub(r"\bx\b", f"(x + {name})", text) if work.nodes else f"x + {name}"
            extras[name] = match["bias"]
        first = dict(before.extras)
        operands = [_laid_out(edit, first[name], name, flat) for name in chain(before.text).extras]
        operands += [_laid_out(edit, extras[name], name, flat) for name in chain(text).extras]
        if before.nodes:
            # The left operand is another than the one whose rows were found to be aligned.
            tile = replace(tile, persistent=False, descriptors=False)
        rows = left if flat else edit.call(aten.reshape.default, left, [-1, outside.shape[-1]])
        results = [tensor_of(output) for output in work.outputs]
        types = " ".join(DTYPE_NAMES[result.dtype] for result in results if result is not None)
        _op()
        made = edit.call(
            torch.ops.regraft_tile.matmul.default,
            rows, right, operands, self.weight, before.text, text, types, str(tile), _precision(outside.dtype),
        )  # fmt: skip
        news: list[fx.Node] = []
        for at, output in enumerate(work.outputs):
            new = edit.call(operator.getitem, made, at)
            if not flat:
                leading = [size if isinstance(size, int) else edit.call(aten.sym_size.int, left, axis)
                           for axis, size in enumerate(outside.shape[:-1])]  # fmt: skip
                new = edit.call(aten.view.default, new, [*leading, source.shape[-1]])
            news.append(new)
            if output is not match.root:
                edit.replace(output, new)
        return news[work.outputs.index(match.root)]


@dataclass(frozen=True)
class MmTile(LinearTile):
    """A product of two matrices, with what follows it."""

    name: ClassVar[str] = "aten.mm.tile"

    @property
    def weight(self) -> bool:
        """The right operand is [K, N]."""
        return False


_TILES = (
    MatmulTile(128, 256, 64, 8, 8, 3),
    MatmulTile(128, 128, 64, 8, 8, 3),
    MatmulTile(128, 128, 32, 8, 4, 4),
    MatmulTile(64, 128, 64, 8, 4, 4),
    MatmulTile(64, 64, 64, 8, 4, 4),
)


def _operands(call: Call) -> tuple[Tensor, Tensor]:
    left = call["input"] if "input" in call.arguments else call["self"]
    return left, call["weight"] if "weight" in call.arguments else call["mat2"]


def _before(left: fx.Node, product: fx.Node) -> Absorbed:
    """The pointwise work that only makes the left operand, where doing it for every tile of columns is worth it."""
    made = tensor_of(product)
    if made is not None and isinstance(made.shape[-1], int) and made.shape[-1] <= NARROW:
        found = prologue(left, product)
        if known(found.spared_before(_tiles(product)) > 0):
            return found
    return Absorbed(source=left)


def _tiles(product: fx.Node | None) -> Any:
    """Of columns."""
    made = None if product is None else tensor_of(product)
    return 1 if made is None else -(-made.shape[-1] // COLUMNS)


def _estimate(call: Call, target: Target, share: float) -> Estimate | None:
    if not target.known:
        return None
    left, right = _operands(call)
    flops = 2.0 * left.numel() * call.result.shape[-1]
    moved = traffic(call)
    floor = max(moved / target.memory_rate, flops / target.matmul_rate(right.dtype))
    return Estimate(floor / share, flops, moved, floor)


def _bytes(tile: MatmulTile, element: int) -> int:
    return (tile.block_m + tile.block_n) * tile.block_k * element


def _aligned(call: Call) -> bool:
    """Whether every row starts at a multiple of 16 bytes, as descriptors need."""
    return all(
        isinstance(stride, int) and stride * tensor.element_size() % 16 == 0
        for tensor in _operands(call)
        for stride in tensor.stride()[:-1]
    ) and all(tensor.stride(-1) == 1 for tensor in _operands(call))


def _with_descriptors(tile: MatmulTile) -> MatmulTile:
    return MatmulTile(tile.block_m, tile.block_n, tile.block_k, tile.group, tile.warps, tile.stages, True, True)


def _config(tile: MatmulTile) -> Config:
    return {
        "block_m": tile.block_m,
        "block_n": tile.block_n,
        "block_k": tile.block_k,
        "group": tile.group,
        "num_warps": tile.warps,
        "num_stages": tile.stages,
        "persistent": tile.persistent,
        "descriptors": tile.descriptors,
    }


def _tile(config: Config) -> MatmulTile:
    return MatmulTile(
        **{{"num_warps": "warps", "num_stages": "stages"}.get(key, key): value for key, value in config.items()}
    )


def _precision(dtype: torch.dtype) -> str:
    """TF32 where the user allows it to ATen, as ``torch.set_float32_matmul_precision`` says."""
    if dtype != torch.float32:
        return ""
    return "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"


def _laid_out(edit: Edit, node: fx.Node, name: str, flat: bool) -> fx.Node:
    tensor = tensor_of(node)
    assert tensor is not None
    if name.startswith("full"):
        return node if flat else edit.call(aten.reshape.default, node, [-1, tensor.shape[-1]])
    return node if tensor.dim() == 1 else edit.call(aten.reshape.default, node, [-1])


@functools.cache
def _op() -> Any:
    from .op import tile_matmul

    return tile_matmul
