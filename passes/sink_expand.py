"""Compute what is the same for several rows once: move the making of rows behind work that treats each row alone.

``linear(expand(x))`` becomes ``expand(linear(x))``: encoder states repeated for beams are projected once, a prompt
repeated for its completions is embedded once. What makes the rows (``expand`` and ``repeat`` of one row,
``repeat_interleave``) goes on behind reshapes and transposes until it stands before what needs rows, where
``share-prefix`` finds it (Hydragen, arXiv 2402.05099, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import fx
from torch.fx.node import map_arg

from ..compiler.calls import bind, cast_of, is_call, permutation_of, reshape_of
from ..compiler.ops import OPS
from ..compiler.ops.registry import known
from ..compiler.passes import Numerics
from ..compiler.program import is_operator, tensor_of
from ..compiler.rewriter import Edit, provenance
from ..compiler.rules import Decline, Example, Match, Rule, RulePass

aten = torch.ops.aten

# The operand that has the rows, and how many last dimensions are worked on together.
_ROWWISE = {
    aten.linear.default: ("input", 1),
    aten.layer_norm.default: ("input", None),
    aten.rms_norm.default: ("input", None),
    aten.embedding.default: ("indices", 0),
    OPS["rms_norm"].overload: ("x", 1),
    OPS["layer_norm"].overload: ("x", 1),
}
_VIEWS = (
    aten.view.default,
    aten.reshape.default,
    aten._unsafe_view.default,
    aten.unflatten.int,
    aten.permute.default,
    aten.transpose.int,
    aten.to.dtype,
)
_MAKERS = (aten.expand.default, aten.repeat.default, aten.repeat_interleave.self_int)
_NAME = "sink-expand"


class ComputeOnce(Rule):
    """Work on rows of which several are the same."""

    name = "compute-once"
    targets = frozenset((*_ROWWISE, *_VIEWS))

    def match(self, node: fx.Node) -> Match | Decline | None:
        """Work on rows made just before, or a view of rows that were made behind some work."""
        target: Any = node.target
        if target in _VIEWS:
            return _match_view(node)
        bound = bind(node)
        operand, together = _ROWWISE[target]
        rows = bound[operand]
        source = _made_from(rows)
        if source is None:
            return None
        if together is None:
            together = len(bound["normalized_shape"])
        if _rank(rows) <= together:
            return Decline("batch-mixed", "the batch is worked on together with the features")
        written = [name for name, value in bound.items() if name != operand and value is rows]
        if written:
            return Decline("rows-used-twice", f"the rows are also its {written[0]}")
        return Match(node, (rows, node), {"rows": rows, "seen": rows, "source": source}, shared=(rows,))

    def rewrite(self, match: Match, edit: Edit) -> fx.Node:
        """The same call on fewer rows, and the rows made of its result."""
        sizes = match.get("sizes")
        if sizes is not None:
            return _behind(match, edit, edit.call(aten.reshape.default, match["source"], [-1, *sizes[1:]]))
        return _behind(match, edit, _again(match.root, match["seen"], match["source"], edit))

    def describe(self, match: Match) -> str:
        """From how many rows to how many."""
        before, after = (_tensor(match[name]).shape[0] for name in ("rows", "source"))
        return f"computed for {after} rows instead of {before}"

    examples = (
        Example("projected", lambda x, w: F.linear(x.expand(3, -1, -1), w), ("f32[1, 5, 4]", "f32[6, 4]")),
        Example("beams", lambda x, w: F.linear(x.repeat_interleave(3, 0), w), ("f32[2, 5, 4]", "f32[6, 4]")),
        Example("repeated", lambda x, w: F.layer_norm(x.repeat(3, 1, 1), (4,), w), ("f32[1, 5, 4]", "f32[4]")),
        Example("dynamic", lambda x, y, w: F.linear(x.expand(y.shape[0], -1), w),
                ("f32[1, 4]", "f32[b=3, 2]", "f32[6, 4]")),
        Example("heads", lambda x, w: F.linear(x.expand(3, -1, -1), w).view(3, 5, 2, 3).transpose(1, 2),
                ("f32[1, 5, 4]", "f32[6, 4]"), fires=3),
        Example("one row of features", lambda x, w: F.layer_norm(x.expand(3, -1), (3, 4), w),
                ("f32[1, 4]", "f32[3, 4]"), declines="batch-mixed"),
    )  # fmt: skip


@dataclass(frozen=True)
class SinkExpand(RulePass):
    """Compute what is the same for several rows once, and make the rows of the result."""

    name: ClassVar[str] = _NAME
    numerics: ClassVar[Numerics] = Numerics.EXACT
    rules: ClassVar[tuple[Rule, ...]] = (ComputeOnce(),)
    fixpoint: ClassVar[bool] = True


def _match_view(node: fx.Node) -> Match | None:
    """A view that leaves the batch where it is; the views of the user are not worth a word."""
    if _is_ours(node):
        return None
    rows: Any = node.args[0]
    between: tuple[fx.Node, ...] = ()
    if is_call(rows, aten.clone.default) and _is_ours(rows):
        # The layout that a view asked for, which a reshape does not.
        between, rows = (rows,), rows.args[0]
    source = _made_from(rows)
    if source is None or not _is_ours(rows):
        return None
    found: dict[str, Any] = {"rows": rows, "seen": node.args[0], "source": source}
    permuted, reshaped = permutation_of(node), reshape_of(node)
    if permuted is not None and permuted[1][0] != 0:
        return None
    if reshaped is not None:
        found["sizes"] = sizes = reshaped[1]
        kept = known(sizes[0] == _tensor(rows).shape[0])
        if not kept or not all(isinstance(size, int) for size in sizes[1:]):
            return None
    elif permuted is None and cast_of(node) is None:
        return None
    return Match(node, (rows, *between, node), found, shared=(rows, *between))


def _is_ours(node: fx.Node) -> bool:
    made = provenance(node)
    return made is not None and made.pass_name == _NAME


def _made_from(rows: Any) -> fx.Node | None:
    """The value with fewer rows that a call makes more of, dimension 0 being the rows."""
    if not is_call(rows, *_MAKERS) or not is_operator(rows.target):
        return None
    bound = bind(rows)
    source = bound["self"]
    before, after = _tensor(source), _tensor(rows)
    if before.dim() != after.dim() or before.dim() == 0 or known(after.shape[0] == before.shape[0]):
        return None
    if not all(known(a == b) for a, b in zip(before.shape[1:], after.shape[1:], strict=True)):
        return None
    if rows.target is aten.repeat_interleave.self_int:
        return source if bound["dim"] == 0 else None
    return source if known(before.shape[0] == 1) else None


def _again(node: fx.Node, rows: fx.Node, source: fx.Node, edit: Edit) -> fx.Node:
    args, kwargs = map_arg((node.args, dict(node.kwargs)), lambda x: source if x is rows else x)
    return edit.call(node.target, *args, **kwargs)


def _behind(match: Match, edit: Edit, made: fx.Node) -> fx.Node:
    """The rows of ``match`` made of another value."""
    rows = match["rows"]
    if rows.target is aten.repeat_interleave.self_int:
        bound = bind(rows)
        return edit.call(rows.target, made, bound["repeats"], 0, output_size=bound["output_size"])
    count = rows.args[1][0]
    return edit.call(aten.expand.default, made, [count, *[-1] * (_rank(made) - 1)])


def _rank(node: fx.Node) -> int:
    return _tensor(node).dim()


def _tensor(node: fx.Node) -> torch.Tensor:
    tensor = tensor_of(node)
    assert tensor is not None
    return tensor
