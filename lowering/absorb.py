"""Find the pointwise work round a call that a kernel can do while the values are in registers.

:func:`epilogue` grows from a call's result through pointwise calls, as far as everything they need is there when the
kernel runs; :func:`prologue` grows from an operand up through pointwise calls that only feed it. Both give an
:class:`Absorbed`: the chain as text (:mod:`.tile.chain`), its extra operands, and the calls that go away. Work is
absorbed in graph order and up to a limit of operands and outputs; what is left stays where it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx
from torch.fx.node import map_arg

from ..compiler.analysis.effects import aliases
from ..compiler.calls import is_call, permutation_of, reshape_of
from ..compiler.ops.registry import known
from ..compiler.program import is_operator, tensor_of
from .pointwise import Place, Write, by_rows, by_strides, expression, finite, same_shape

aten = torch.ops.aten

COPIES = (aten.contiguous.default, aten.clone.default)
"""Calls that change how a value lies in memory and nothing else."""


class _Unreadable(Exception):
    """An operand that a kernel cannot read."""


@dataclass(frozen=True)
class Absorbed:
    """Pointwise work a kernel takes over."""

    text: str = "x"
    """The chain."""
    source: fx.Node | None = None
    """What ``x`` is: the call whose result the epilogue starts from, or the operand the prologue ends at."""
    extras: tuple[tuple[str, fx.Node], ...] = ()
    """Operands by their names in the chain."""
    nodes: tuple[fx.Node, ...] = ()
    """The calls that go away, in graph order."""
    outputs: tuple[fx.Node, ...] = ()
    """The values that others use, in the order of the chain's outputs; the last call is the last of them."""
    views: tuple[fx.Node, ...] = ()
    """Those of the nodes that are between the call and the work and only change its shape."""

    def spared_bytes(self, *, apart: bool) -> int:
        """Of the traffic round the call, what Inductor would have and the kernel has not; less what only it has.

        ``apart``: Inductor leaves the call to a library, whose result its code reads from memory. Otherwise it fuses
        the call with all pointwise work, and a kernel can only lose by what it does not absorb.
        """
        result, before = self.views[-1] if self.views else self.source, severed_bytes(self.nodes, self.nodes)
        outside = {output: [user for user in output.users if user not in self.nodes] for output in self.outputs}
        fused = [output for output, users in outside.items() if users and all(map(pointwise, users))]
        if not apart:
            return -sum(map(_round_trip, fused)) - before
        if not self.nodes or result is None:
            return 0
        cut = before + sum(_round_trip(output) for output in fused if output is not result)
        if result not in outside:
            return _round_trip(result) - cut
        # What others read has to be written; what Inductor's code reads is read once, for all of it.
        return (0 if any(map(pointwise, outside[result])) else _round_trip(result) // 2) - cut

    def spared_before(self, times: int) -> int:
        """The same for a prologue that is done ``times`` times over, each reading all its operands."""
        if not self.nodes:
            return 0
        beside = [node for name, node in self.extras if name.startswith("full")]
        cut = severed_bytes(self.nodes, self.nodes)
        return _round_trip(self.outputs[0]) - cut - (times - 1) * sum(_round_trip(node) // 2 for node in beside)


def epilogue(
    call: fx.Node, *, apart: bool, strided: bool = False, most_extras: int = 4, most_outputs: int = 2
) -> Absorbed:
    """The pointwise work that follows ``call``; nothing absorbed where nothing can be, or where nothing is spared.

    A kernel goes through its result by rows, or ``strided``: then it reads operands that broadcast in any way, and
    the work may be on the result seen in another shape. ``apart`` is as in :meth:`Absorbed.spared_bytes`.
    """
    start, views = call, ()
    while True:
        found = _grown(start, strided, most_extras, most_outputs)
        if found.nodes:
            found = replace(found, source=call, nodes=(*views, *found.nodes), views=views)
            worth = not apart or not known(found.spared_bytes(apart=True) <= 0)
            return found if worth and all(_liftable(node, views) for _, node in found.extras) else _none(call)
        following = _viewed(start) if strided else None
        if following is None:
            return _none(call)
        start, views = following, (*views, following)


def prologue(operand: fx.Node, consumer: fx.Node, *, most_extras: int = 2) -> Absorbed:
    """The pointwise work that only makes ``operand`` of ``consumer``; its ``x`` is an operand of its shape and type."""
    like = tensor_of(operand)
    used: list[fx.Node] = []
    map_arg((consumer.args, consumer.kwargs), used.append)
    if like is None or used.count(operand) != 1:
        return Absorbed(source=operand)
    place, nodes = by_rows(like), []

    def grow(node: fx.Node) -> None:
        if any(user is not consumer and user not in nodes for user in node.users):
            return
        if _step(node, like.shape, {}, place) is None:
            return
        nodes.append(node)
        for source in node.all_input_nodes:
            grow(source)

    grow(operand)
    while nodes:
        made = _written(operand, sorted(nodes), place, most_extras)
        if made is not None:
            return made
        nodes.pop()
    return Absorbed(source=operand)


def pointwise(node: fx.Node) -> bool:
    """Whether Inductor fuses a call with the pointwise work that it feeds and that feeds it."""
    return node.op == "call_function" and is_operator(node.target) and torch.Tag.pointwise in node.target.tags


def severed_bytes(nodes: Sequence[fx.Node], inside: Sequence[fx.Node]) -> int:
    """Of what some calls read, what Inductor would have fused with them: pointwise, and only for those ``inside``."""
    sources = {source: None for node in nodes for source in node.all_input_nodes if source not in inside}
    return sum(_round_trip(source) for source in sources if pointwise(source) and {*source.users} <= {*inside})


def _none(call: fx.Node) -> Absorbed:
    return Absorbed(source=call, outputs=(call,))


def _round_trip(node: fx.Node | None) -> int:
    """Bytes of a value, written and read again."""
    tensor = None if node is None else tensor_of(node)
    return 0 if tensor is None else 2 * tensor.numel() * tensor.element_size()


def _grown(call: fx.Node, strided: bool, most_extras: int, most_outputs: int) -> Absorbed:
    found, like = _none(call), tensor_of(call)
    if like is None:
        return found
    place = (by_strides if strided else by_rows)(like)
    group: list[fx.Node] = []
    late: set[fx.Node] = set()
    """Values that need the call but are not absorbed: what needs them comes too late."""
    node, awaited = call.next, {*call.users}
    while awaited:
        awaited.discard(node)
        sources = node.all_input_nodes
        if any(source is call or source in group or source in late for source in sources):
            names = dict.fromkeys((call, *group), "x")
            if not any(source in late for source in sources) and _step(node, like.shape, names, place) is not None:
                group.append(node)
                awaited |= {*node.users}
                found = _absorbed(call, group, place, most_extras, most_outputs) or found
            else:
                late.add(node)
        node = node.next
    return _with_sides(call, found, place, most_extras, most_outputs)


def _with_sides(call: fx.Node, found: Absorbed, place: Place, most_extras: int, most_outputs: int) -> Absorbed:
    """With what only makes an operand that lies beside the result element by element, such as a gate's activation."""
    like = tensor_of(call)
    tried: set[fx.Node] = set()
    while like is not None:
        sides = (node for _, node in found.extras if node not in tried and {*node.users} <= {*found.nodes})
        side = next(sides, None)
        if side is None:
            return found
        tried.add(side)
        if _step(side, like.shape, {}, place) is not None:
            found = _absorbed(call, sorted((side, *found.nodes)), place, most_extras, most_outputs) or found
    return found


def _absorbed(
    call: fx.Node, group: Sequence[fx.Node], place: Place, most_extras: int, most_outputs: int
) -> Absorbed | None:
    """The work of a group of calls, or ``None`` where it needs too much, or is needed before it can be done."""
    inside = {call, *group}
    outputs = [node for node in (call, *group) if any(user not in inside for user in node.users)]
    last = group[-1]
    early = any(user not in inside and user < last for node in outputs for user in node.users)
    if early or not outputs or last not in outputs or len(outputs) > most_outputs:
        return None
    # A cast that need not copy: results of a kernel never share memory.
    if len({_memory(node, inside) for node in outputs}) < len(outputs):
        return None
    writer = _Writer(place, {call: "x"})
    steps = writer.steps(group)
    if len(writer.extras) > most_extras:
        return None
    text = _inlined(steps, [writer.names[node] for node in outputs])
    return Absorbed(text, call, tuple(writer.extras.items()), tuple(group), tuple(outputs))


def _memory(node: fx.Node, inside: set[fx.Node]) -> fx.Node:
    """The first value whose memory a value may share."""
    shared = [source for source in aliases(node) if source in inside]
    return _memory(shared[0], inside) if shared else node


def _written(operand: fx.Node, nodes: Sequence[fx.Node], place: Place, most_extras: int) -> Absorbed | None:
    leaves = [source for node in nodes for source in node.all_input_nodes if source not in nodes]
    main = next((leaf for leaf in leaves if place(leaf) == "full" and _same_dtype(leaf, operand)), None)
    if main is None:
        return None
    writer = _Writer(place, {main: "x"})
    steps = writer.steps(nodes)
    if len(writer.extras) > most_extras:
        return None
    text = _inlined(steps, [writer.names[operand]])
    return Absorbed(text, main, tuple(writer.extras.items()), tuple(nodes), (operand,))


def _same_dtype(one: fx.Node, other: fx.Node) -> bool:
    return getattr(tensor_of(one), "dtype", None) == getattr(tensor_of(other), "dtype", None)


class _Writer:
    """Names the operands of a chain as they turn up."""

    def __init__(self, place: Place, names: dict[fx.Node, str]) -> None:
        self.place, self.names = place, names
        self.extras: dict[str, fx.Node] = {}

    def steps(self, nodes: Sequence[fx.Node]) -> dict[str, str]:
        """What each of some nodes, in graph order, is; they get names."""
        found: dict[str, str] = {}
        for at, node in enumerate(nodes):
            tensor = tensor_of(node)
            text = None if tensor is None else expression(node, tensor.shape, self.operand)
            assert text is not None
            self.names[node] = f"v{at}"
            found[f"v{at}"] = text
        return found

    def operand(self, value: Any) -> str:
        """A number, a value of the chain, or a tensor to be read beside it."""
        constant = finite(value)
        if constant is not None:
            return repr(constant)
        if value in self.names:
            return self.names[value]
        placement = self.place(value) if isinstance(value, fx.Node) else None
        if placement is None:
            raise _Unreadable
        name = next((name for name, node in self.extras.items() if node is value), "")
        name = name or f"{placement}{sum(other.startswith(placement) for other in self.extras)}"
        self.extras[name] = value
        return name


def _step(node: fx.Node, shape: Sequence[Any], names: dict[fx.Node, str], place: Place) -> str | None:
    """The expression of a call whose operands are values of the chain or can be read beside it, else ``None``."""
    write: Write = _Writer(place, names).operand
    try:
        return expression(node, shape, write)
    except _Unreadable:
        return None


def _viewed(node: fx.Node) -> fx.Node | None:
    """The one user of a value, if it only changes its shape."""
    if len(node.users) != 1:
        return None
    (user,) = node.users
    if permutation_of(user) is not None or is_call(user, *COPIES):
        return user
    # Sizes that are symbolic are inferred, which only one can be.
    before, after = tensor_of(node), tensor_of(user)
    symbolic = (sum(not isinstance(n, int) for n in tensor.shape) for tensor in (before, after) if tensor is not None)
    return user if reshape_of(user) is not None and all(count <= 1 for count in symbolic) else None


def _liftable(node: fx.Node, views: Sequence[fx.Node]) -> bool:
    """Whether an operand can be seen as the call's result is before the views."""
    whole, tensor = tensor_of(views[-1]) if views else None, tensor_of(node)
    if whole is None or tensor is None:
        return True
    return same_shape(tensor.shape, whole.shape) or all(isinstance(size, int) for size in whole.shape)


def _inlined(steps: dict[str, str], outputs: list[str]) -> str:
    """The chain's text, with every intermediate that is used once written where it is used."""
    for name in list(steps):
        uses = sum(len(re.findall(rf"\b{name}\b", text)) for text in steps.values()) + outputs.count(name)
        if uses == 1:
            text = steps.pop(name)
            alone = rf"(?<=\w)\({name}\)"
            steps = {other: re.sub(alone, f"({_bare(text)})", step) for other, step in steps.items()}
            steps = {other: re.sub(rf"\b{name}\b", text, step) for other, step in steps.items()}
            outputs = [text if output == name else output for output in outputs]
    return "; ".join((*(f"{name} = {_bare(step)}" for name, step in steps.items()), ", ".join(map(_bare, outputs))))


def _bare(text: str) -> str:
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[1:-1] if at and at == len(text) - 1 and text[0] == "(" else text
    return text
