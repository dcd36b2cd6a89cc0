"""Find the pointwise work round a call that a kernel can do while the values are in registers.

:func:`epilogue` grows from a call's result through pointwise calls, as far as everything they need is there when the
kernel runs; :func:`prologue` grows from an operand up through pointwise calls that only feed it. Both give an
:class:`Absorbed`: the chain as text (:mod:`.tile.chain`), its extra operands, and the calls that go away. Work is
absorbed in graph order and up to a limit of operands and outputs; what is left stays where it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from ..compiler.calls import bind, cast_of, number
from ..compiler.program import is_operator, tensor_of
from .tile.chain import PLACEMENTS

aten = torch.ops.aten

_UNARY = {
    "abs": "abs", "cos": "cos", "erf": "erf", "exp": "exp", "exp2": "exp2", "log": "log", "log2": "log2", "neg": "neg",
    "relu": "relu", "rsqrt": "rsqrt", "sigmoid": "sigmoid", "silu": "silu", "sin": "sin", "sqrt": "sqrt",
    "tanh": "tanh",
}  # fmt: skip
_BINARY = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
FLOATS = frozenset({torch.float32, torch.float16, torch.bfloat16})


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
    """The values that others use, in the order of the chain's outputs."""

    @property
    def saved_bytes(self) -> int:
        """What is no longer written and read again between the call and the work, a fused one by itself."""
        tensor = None if self.source is None or not self.nodes else tensor_of(self.source)
        return 0 if tensor is None else 2 * tensor.numel() * tensor.element_size()


def epilogue(call: fx.Node, *, most_extras: int = 4, most_outputs: int = 2) -> Absorbed:
    """The pointwise work that follows ``call``; nothing absorbed where nothing can be."""
    found = Absorbed(source=call, outputs=(call,))
    group: list[fx.Node] = []
    late: set[fx.Node] = set()
    """Values that need the call but are not absorbed: what needs them comes too late."""
    node = call.next
    while node.op != "root":
        sources = node.all_input_nodes
        if any(source is call or source in group or source in late for source in sources):
            inside = {call, *group}
            if not any(source in late for source in sources) and _step(node, call, inside) is not None:
                group.append(node)
                grown = _absorbed(call, group, most_extras, most_outputs)
                found = grown or found
            else:
                late.add(node)
        node = node.next
    return found


def prologue(operand: fx.Node, consumer: fx.Node, *, most_extras: int = 2) -> Absorbed:
    """The pointwise work that only makes ``operand`` of ``consumer``; its ``x`` is the first operand of full shape."""
    nodes: list[fx.Node] = []

    def grow(node: fx.Node) -> None:
        if any(user is not consumer and user not in nodes for user in node.users) or _step(node, operand, None) is None:
            return
        nodes.append(node)
        for source in node.all_input_nodes:
            if tensor_of(source) is not None:
                grow(source)

    grow(operand)
    order = {node: at for at, node in enumerate(operand.graph.nodes)}
    while nodes:
        made = _written(operand, sorted(nodes, key=order.__getitem__), most_extras)
        if made is not None:
            return made
        nodes.pop()
    return Absorbed(source=operand)


def _absorbed(call: fx.Node, group: Sequence[fx.Node], most_extras: int, most_outputs: int) -> Absorbed | None:
    """The work of a group of calls, or ``None`` where it needs too much, or is needed before it can be done."""
    inside = {call, *group}
    outputs = [node for node in (call, *group) if any(user not in inside for user in node.users)]
    last = group[-1]
    early = any(user not in inside and user < last for node in outputs for user in node.users)
    if early or not outputs or last not in outputs or len(outputs) > most_outputs:
        return None
    writer = _Writer(call)
    names = {call: "x"}
    lines: list[str] = []
    for at, node in enumerate(group):
        names[node] = f"v{at}"
        lines.append(f"{names[node]} = {_step(node, call, inside, lambda value: writer.operand(value, names))}")
    if len(writer.extras) > most_extras:
        return None
    text = _inlined(lines, [names[node] for node in outputs])
    return Absorbed(text, call, tuple(writer.extras.items()), tuple(group), tuple(outputs))


def _written(operand: fx.Node, nodes: Sequence[fx.Node], most_extras: int) -> Absorbed | None:
    shape = tensor_of(operand)
    leaves = [source for node in nodes for source in node.all_input_nodes if source not in nodes]
    main = next((leaf for leaf in leaves if _placement(leaf, shape) == "full"), None)
    if main is None:
        return None
    writer = _Writer(operand)
    names = {main: "x"}
    lines: list[str] = []
    for at, node in enumerate(nodes):
        names[node] = f"v{at}"
        step = _step(node, operand, None, lambda value: writer.operand(value, names))
        lines.append(f"{names[node]} = {step}")
    if len(writer.extras) > most_extras:
        return None
    return Absorbed(_inlined(lines, [names[operand]]), main, tuple(writer.extras.items()), tuple(nodes), (operand,))


class _Writer:
    """Names the operands of a chain as they turn up."""

    def __init__(self, like: fx.Node) -> None:
        self.like = tensor_of(like)
        self.extras: dict[str, fx.Node] = {}

    def operand(self, value: Any, names: dict[fx.Node, str]) -> str:
        constant = number(value)
        if constant is not None:
            return repr(constant)
        if value in names:
            return names[value]
        for name, node in self.extras.items():
            if node is value:
                return name
        placement = _placement(value, self.like)
        assert placement is not None
        name = f"{placement}{sum(other.startswith(placement) for other in self.extras)}"
        self.extras[name] = value
        return name


def _step(
    node: fx.Node,
    like: fx.Node,
    inside: set[fx.Node] | None,
    operand: Callable[[Any], str] | None = None,
) -> str | None:
    """The expression of a pointwise call whose result has the shape of ``like``; ``None`` for any other node."""
    shape, made = tensor_of(like), tensor_of(node)
    if shape is None or made is None or not is_operator(node.target) or node.op != "call_function":
        return None
    if made.dtype not in FLOATS or tuple(made.shape) != tuple(shape.shape):
        return None
    write = operand or (lambda _: "x")
    cast = cast_of(node)
    arguments = {"self": cast[0]} if cast is not None else bind(node)
    values = [value for name, value in arguments.items() if name in ("self", "other")]
    for value in values:
        if isinstance(value, fx.Node) and not (inside and value in inside) and _placement(value, shape) is None:
            return None
        if not isinstance(value, fx.Node) and number(value) is None:
            return None
    if cast is not None:
        return write(cast[0])
    name = node.target.overloadpacket.__name__
    if name in _UNARY and set(arguments) == {"self"}:
        return f"{_UNARY[name]}({write(values[0])})"
    if name == "gelu":
        return f"{'gelu_tanh' if arguments['approximate'] == 'tanh' else 'gelu'}({write(values[0])})"
    if name == "dropout" and (arguments["train"] is False or arguments["p"] == 0) and "input" in arguments:
        return write(arguments["input"]) if _placement(arguments["input"], shape) else None
    if name in _BINARY and arguments.get("alpha", 1) == 1 and len(values) == 2 and "rounding_mode" not in arguments:
        return f"({write(values[0])} {_BINARY[name]} {write(values[1])})"
    return None


def _placement(node: fx.Node, like: torch.Tensor | None) -> str | None:
    """How a value lies against a tensor of rows and columns, all its leading dimensions being rows."""
    tensor = tensor_of(node)
    if like is None or tensor is None or tensor.dtype not in FLOATS or tensor.dim() > like.dim() or tensor.dim() == 0:
        return None
    shape, whole = tuple(tensor.shape), tuple(like.shape)
    if shape == whole:
        return PLACEMENTS[0]
    if shape[-1] == whole[-1] and all(n == 1 for n in shape[:-1]):
        return PLACEMENTS[1]
    return PLACEMENTS[2] if shape[:-1] == whole[:-1] and shape[-1] == 1 else None


def _inlined(lines: list[str], outputs: list[str]) -> str:
    """The chain's text, with every intermediate that is used once written where it is used."""
    steps = dict(line.split(" = ", 1) for line in lines)
    for name in list(steps):
        uses = sum(len(re.findall(rf"\b{name}\b", text)) for text in steps.values()) + outputs.count(name)
        if uses == 1:
            text = steps.pop(name)
            steps = {other: re.sub(rf"\b{name}\b", text, step) for other, step in steps.items()}
            outputs = [text if output == name else output for output in outputs]
    return "; ".join((*(f"{name} = {step}" for name, step in steps.items()), ", ".join(map(_bare, outputs))))


def _bare(text: str) -> str:
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[1:-1] if at and at == len(text) - 1 and text[0] == "(" else text
    return text
