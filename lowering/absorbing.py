"""Candidates that take over the pointwise work behind their call: what they share.

:class:`Absorbing` finds the work (:mod:`.absorb`), says it in the remark, counts the traffic it spares, and puts one
call of the candidate's kernel operator into the graph, whose results replace every value of the work that others use.
"""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, fx
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.fx.node import map_arg

from ..compiler.calls import bind, is_call, permutation_of
from ..compiler.inline import inline
from ..compiler.program import tensor_of
from ..compiler.rewriter import Edit
from ..compiler.rules import Match
from ..compiler.values import type_text
from .absorb import COPIES, Absorbed, epilogue
from .candidates import Call, Candidate, Config, call_of
from .pointwise import same_shape
from .tile.chain import chain
from .tile.ir import DTYPE_NAMES

aten = torch.ops.aten


@dataclass(frozen=True)
class Epilogue:
    """Work behind a call, as kernel operators take it."""

    text: str
    """The chain."""
    outputs: str
    """Types of its results, ``"bf16 f32"``."""
    extras: Sequence[Tensor]
    """Its operands, in the order of :attr:`.tile.chain.Chain.extras`."""


class Absorbing(Candidate):
    """A candidate with a kernel operator that does pointwise work on its one result."""

    apart: ClassVar[bool] = False
    """Whether the reference is a kernel of a library, with which Inductor fuses nothing."""
    strided: ClassVar[bool] = True
    """Whether operands are read by strides, as :func:`.absorb.epilogue` has it, or by rows."""

    @abstractmethod
    def run_with(self, call: Call, config: Config, work: Epilogue, *constants: Tensor) -> Sequence[Tensor]:
        """Compute the call and work behind it: the results of one operator, each of the shape of the call's."""

    def takes_work(self, node: fx.Node) -> bool:
        """Whether :meth:`run_with` is for a call."""
        return True

    def match(self, node: fx.Node, *, training: bool = False) -> Match:
        """The call and the pointwise work behind it; in training the call alone."""
        work = Absorbed(source=node, outputs=(node,))
        if not training and self.takes_work(node):
            work = epilogue(node, apart=self.apart, strided=self.strided)
        root = work.nodes[-1] if work.nodes else node
        shared = tuple(output for output in work.outputs if output is not root)
        return Match(root, (node, *work.nodes), {"work": work}, shared)

    def absorbed(self, match: Match) -> str:
        """The chain."""
        work: Absorbed = match["work"]
        return f"{work.text} behind it" if work.nodes else ""

    def spared_bytes(self, match: Match) -> int:
        """What lies between the call and the work, or what Inductor would have fused and this does not."""
        work: Absorbed = match["work"]
        return work.spared_bytes(apart=self.apart)

    def operands(self, work: Absorbed) -> tuple[list[fx.Node], str]:
        """The operands of the work in the order of its chain's, and the types of its results."""
        named = dict(work.extras)
        types = " ".join(DTYPE_NAMES[tensor.dtype] for tensor in map(tensor_of, work.outputs) if tensor is not None)
        return [named[name] for name in chain(work.text).extras], types

    def rewrite(self, match: Match, edit: Edit, config: Config) -> fx.Node:
        """One operator; all its results replace what they stand for."""
        work: Absorbed = match["work"]
        if not work.nodes or work.source is None:
            return super().rewrite(Match(match.root, match.nodes, bind(match.root)), edit, config)
        call, bound = call_of(work.source), bind(work.source)
        with unset_fake_temporarily():
            constants = [edit.constant("kernel_constant", tensor) for tensor in self.constants(call, config)]
        sources = work.source.all_input_nodes
        extras, types = self.operands(work)
        extras = [lifted(edit, extra, work.views) for extra in extras]

        def compute(*values: Any) -> Any:
            given = dict(zip(sources, values, strict=False))
            actual = replace(call, arguments=map_arg(bound, given.__getitem__))
            beside = values[len(sources) : len(sources) + len(extras)]
            epilogue = Epilogue(work.text, types, beside)
            return self.run_with(actual, config, epilogue, *values[len(sources) + len(extras) :])

        places = {source: at for at, source in enumerate(sources)}
        spelled = map_arg(bound, lambda source: f"%{places[source]}")
        beside = [(type_text(tensor), str(tensor.stride())) for tensor in map(tensor_of, extras) if tensor is not None]
        key = (self, str(config), call.key, str(spelled), work.text, types, str(beside))
        made = inline(edit, compute, *sources, *extras, *constants, key=key)
        news = [seen(edit, edit.call(operator.getitem, made, at), work.views) for at in range(len(work.outputs))]
        for output, new in zip(work.outputs[:-1], news, strict=False):
            edit.replace(output, new)
        return news[-1]


def seen(edit: Edit, node: fx.Node, views: Sequence[fx.Node]) -> fx.Node:
    """A value through the views that a call's result goes through."""
    for view in views:
        if is_call(view, *COPIES):
            node = edit.call(aten.contiguous.default, node)
        else:
            target = aten.reshape.default if view.target is aten.view.default else view.target
            node = edit.call(target, node, *view.args[1:], **view.kwargs)
    return node


def lifted(edit: Edit, node: fx.Node, views: Sequence[fx.Node]) -> fx.Node:
    """An operand beside the last of some views, as it lies beside what the first is of."""
    whole, tensor = tensor_of(views[-1]) if views else None, tensor_of(node)
    if whole is not None and tensor is not None and not same_shape(tensor.shape, whole.shape):
        node = edit.call(aten.expand.default, node, list(whole.shape))
    for view in reversed(views):
        permuted, before = permutation_of(view), tensor_of(view.args[0])
        if permuted is not None:
            order = permuted[1]
            node = edit.call(aten.permute.default, node, [order.index(axis) for axis in range(len(order))])
        elif not is_call(view, *COPIES) and before is not None:
            node = edit.call(aten.reshape.default, node, [n if isinstance(n, int) else -1 for n in before.shape])
    return node
