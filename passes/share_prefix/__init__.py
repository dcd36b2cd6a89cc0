"""Attend keys that rows of the batch share once, for all of those rows together (Hydragen, arXiv 2402.05099).

Many completions of one prompt, beams over encoder states, few-shot batches: the keys of the prompt are the same for
every row, yet attention reads a copy of them for each. Where :mod:`regraft.compiler.analysis.sharing` proves it, keys
are taken apart into what rows share and what they own, level by level of a prefix tree; each shared part becomes a
product of matrices over the stacked queries of its rows; parts are merged by their log-sum-exp. The value that joined
and repeated the keys is no longer read, so it is never made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor, fx

from ...compiler.analysis.sharing import Layout, Sharing, sharing
from ...compiler.calls import bind
from ...compiler.ops.registry import known
from ...compiler.passes import Numerics, PassContext
from ...compiler.program import Program, tensor_of, value_of
from ...compiler.rules import Decline, Match, Rule, RulePass, apply_rules
from ...compiler.sizes import expressible
from .examples import EXAMPLES
from .merging import best
from .parts import Mask, Part, join, joinable, plan
from .profit import MIN_ROWS, Level, Shape, predicted_gain, rates_of
from .split import ATTENTION, ATTENTION_LSE, Split


class SplitKeys(Rule):
    """One attention over keys of which some are shared."""

    name = "split-keys"
    targets = frozenset({ATTENTION, ATTENTION_LSE})
    site = "attention"

    def __init__(self, facts: Sharing | None = None, min_prefix: int = 256, min_gain: float = 1.2) -> None:
        """Look up what is shared in ``facts``; leave alone what is shorter, or promises less."""
        self.facts, self.min_prefix, self.min_gain = facts, min_prefix, min_gain

    def match(self, node: fx.Node) -> Match | Decline | None:
        """Any attention with a batch; what is in the way is said in words."""
        bound = bind(node)
        q, k, v = (tensor_of(bound[name]) for name in "qkv")
        if self.facts is None or q is None or k is None or v is None or q.dim() != 4 or known(q.shape[0] == 1):
            return None
        if not self.facts.covers(node):
            return Decline("nested", "what rows share is not followed into nested graphs")
        layouts = [self.facts.layout(bound[name], batch=0, axis=2) for name in "kv"]
        if known(k.shape[0] == 1) and known(v.shape[0] == 1):
            layouts = [_one_copy(layout, q.shape[0]) for layout in layouts]
        if not all(layout.shared for layout in layouts):
            why = next(layout.why for layout in layouts if not layout.shared)
            return Decline("not-shared", f"nothing of keys and values is the same for several rows: {why}")
        if bound.get("dropout"):
            return Decline("dropout", "parts would draw other random numbers", unblock="eval()", nearness=4)
        if not all(isinstance(size, int) for size in (q.shape[1], q.shape[3], k.shape[1], v.shape[3])):
            return Decline("heads-dynamic", "the number of heads or of their features is not fixed", nearness=3)
        mask = Mask(bound["mask"], *(_size(bound[name]) for name in ("offset", "window")))
        keys, values = (layout.segments for layout in layouts)
        parts = plan(keys, values, mask, q.shape[0], q.shape[2])
        if isinstance(parts, Decline):
            return parts
        parts = self._joined(parts, mask, q, _shape(q, k, v))
        sizes = [size for part in parts for size in (part.start, part.length, part.groups, part.mask.offset)]
        if not all(expressible(size, node.graph) for size in sizes):
            return Decline("sizes-dynamic", "a length is no sum or product of sizes of inputs", nearness=4)
        return Match(node, (node,), bound | {"parts": parts, "levels": _levels(parts), "shape": _shape(q, k, v)})

    def check(self, match: Match, ctx: PassContext) -> Decline | None:
        """Enough shared positions, and a gain worth the change."""
        levels: list[Level] = match["levels"]
        shape: Shape = match["shape"]
        prefix = sum(level.length for level in levels if level.copies < shape.rows)
        if prefix < self.min_prefix:
            return Decline(
                "short-prefix",
                f"{prefix} shared positions are fewer than {self.min_prefix}",
                {"prefix": prefix, "min_prefix": self.min_prefix},
                f"share-prefix{{min-prefix={prefix}}}",
                nearness=5,
            )
        if self.min_gain and shape.rows < MIN_ROWS:
            return Decline(
                "few-rows",
                f"{shape.rows} rows share too little for the parts to be worth their merge",
                {"rows": shape.rows, "min_rows": MIN_ROWS},
                "share-prefix{min-gain=0}",
                nearness=5,
            )
        gain = self._gain(match, ctx)
        if gain is None or gain >= self.min_gain:
            return None
        return Decline(
            "no-gain",
            f"attention in parts is predicted to be {gain:.2f}x as fast",
            {"predicted_gain": gain, "min_gain": self.min_gain, "prefix": prefix, "rows": shape.rows},
            f"share-prefix{{min-gain={gain:.2f}}}",
            nearness=5,
        )

    def rewrite(self, match: Match, edit: Any) -> fx.Node:
        """The parts and their merge."""
        options = {"scale": match["scale"]} if match["scale"] is not None else {}
        options |= {"softcap": match["softcap"]} if match["softcap"] else {}
        split = Split(edit, match["q"], match["bias"], match["key_lengths"], options)
        return split.write(match["parts"], with_lse=match.root.target is ATTENTION_LSE)

    def describe(self, match: Match) -> str:
        """The levels, with the number of copies of each."""
        shape: Shape = match["shape"]
        levels = " + ".join(f"{level.length} x {level.copies}" for level in match["levels"])
        return f"{shape.rows} rows of keys became {levels} (positions x copies)"

    def _joined(self, parts: list[Part], mask: Mask, q: Tensor, shape: Shape) -> list[Part]:
        """With the levels that are too short for a part of their own in those below them."""
        rates = rates_of(q.device, q.dtype)
        if not self.min_gain or rates is None:
            return parts
        fixed = [at for at, may in enumerate(joinable(parts, mask)) if not may]
        return join(parts, best(shape, _levels(parts), rates, fixed)[0], mask)

    def _gain(self, match: Match, ctx: PassContext) -> float | None:
        rates = rates_of(ctx.device, _tensor(match["q"]).dtype)
        return None if rates is None else predicted_gain(match["shape"], match["levels"], rates)

    examples = EXAMPLES


@dataclass(frozen=True)
class SharePrefix(RulePass):
    """Split attention over keys that are the same for several rows from attention over the rest (Hydragen)."""

    name: ClassVar[str] = "share-prefix"
    numerics: ClassVar[Numerics] = Numerics.EXACT
    rules: ClassVar[tuple[Rule, ...]] = (SplitKeys(),)
    min_prefix: int = 256
    """Fewer shared positions than this are left as they are."""
    min_gain: float = 1.2
    """What the attention must be predicted to gain; 0 splits wherever it is right to."""

    def run(self, program: Program, ctx: PassContext) -> None:
        """Apply the rule with what this program is known to share."""
        apply_rules((SplitKeys(sharing(program), self.min_prefix, self.min_gain),), program, ctx)


def _one_copy(layout: Layout, rows: Any) -> Layout:
    """Keys with one row, which attention itself shows to every row of the queries."""
    return replace(layout, rows=rows)


def _levels(parts: list[Part]) -> list[Level]:
    return [Level(_hint(part.length), _hint(part.groups)) for part in parts]


def _shape(q: Tensor, k: Tensor, v: Tensor) -> Shape:
    features = q.shape[3] + v.shape[3]
    return Shape(_hint(q.shape[0]), q.shape[1], k.shape[1], _hint(q.shape[2]), features, k.element_size())


def _hint(size: Any) -> int:
    """A size as it was when the model was traced."""
    return size if isinstance(size, int) else int(size.node.hint)


def _size(value: Any) -> Any:
    return value_of(value) if isinstance(value, fx.Node) else value


def _tensor(node: fx.Node) -> Tensor:
    tensor = tensor_of(node)
    assert tensor is not None
    return tensor
