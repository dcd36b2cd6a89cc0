"""FLOPs, bytes and parameters of every call of a program, symbolic in the dynamic sizes.

Conventions, the same for every operator:

- A multiply-add is two FLOPs; any other scalar function, a transcendental one too, is one. Softmax is 5 an element,
  layer norm 7, RMS norm 4, a complex FFT of size n 5 n log2 n and a real one half of that.
- Masks are not subtracted: causal attention counts every query and key, as ``torch.utils.flop_counter`` does.
- Bytes are what the call reads and writes by itself, nothing fused. A tensor expanded from size 1 is read once, a
  lookup reads the rows it takes, a view is free (``reshape`` counts as one). What an operator keeps to itself, such as
  the logits of attention, is not traffic.
- A nested body counts where it is called; of ``cond`` both branches count, of a loop one turn.

An operator without a rule is listed in :attr:`ProgramCost.unknown`; its bytes count, its FLOPs cannot.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sympy
import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from ..calls import bind, op_base_name
from ..program import InputKind, Program, is_operator, module_path, tensor_of, value_of
from ..sites import op_name
from ..values import same_layout
from .cost_rules import CONTRACTIONS, COPIES, LOOKUPS, OTHERS, REDUCTIONS, elements, is_plain
from .effects import aliases, changes_mode

Size = sympy.Expr


@dataclass(frozen=True)
class NodeCost:
    """What one call costs."""

    node: str
    op: str
    path: str
    """FQN of the module that made the call."""
    flops: Size
    matmul_flops: Size
    """The part of ``flops`` that is matrix multiplication or convolution."""
    bytes_read: Size
    bytes_written: Size
    parameters: Size
    """Elements of the parameters it reads."""
    known: bool = True
    """Whether there is a rule for the operator; without one ``flops`` is 0 and means nothing."""


@dataclass(frozen=True)
class Totals:
    """Sums over a set of calls."""

    flops: Size
    matmul_flops: Size
    bytes: Size
    parameters: Size
    """Elements of parameters, counted once for each call that reads them; see :attr:`ProgramCost.parameters`."""

    def at(self, sizes: Mapping[str, int]) -> dict[str, float]:
        """The numbers for given values of the symbolic sizes, by symbol name."""
        return {name: _number(getattr(self, name), sizes) for name in ("flops", "matmul_flops", "bytes", "parameters")}


@dataclass(frozen=True)
class ProgramCost:
    """The cost of a program, call by call."""

    nodes: tuple[NodeCost, ...]
    parameters: int
    """Elements of all distinct parameters; tied ones count once."""

    @property
    def total(self) -> Totals:
        """The whole program."""
        return _sum(self.nodes)

    @property
    def unknown(self) -> dict[str, int]:
        """Operators without a rule, and how often each is called."""
        return dict(Counter(cost.op for cost in self.nodes if not cost.known))

    def floor(self, flops_per_byte: float, sizes: Mapping[str, int]) -> float:
        """Least time of all calls one after the other, in the time one byte takes to move (roofline, unfused).

        ``flops_per_byte`` is the machine's balance: its arithmetic rate over its memory bandwidth.
        """
        return sum(
            max(_number(cost.flops, sizes) / flops_per_byte, _number(cost.bytes_read + cost.bytes_written, sizes))
            for cost in self.nodes
        )

    def by_module(self) -> dict[str, Totals]:
        """Totals of every module, its submodules included, by FQN; ``""`` is the whole program."""
        members: dict[str, list[NodeCost]] = {}
        for cost in self.nodes:
            for path in _ancestors(cost.path):
                members.setdefault(path, []).append(cost)
        return {path: _sum(tuple(costs)) for path, costs in members.items()}


def cost(program: Program) -> ProgramCost:
    """The cost of every call, in graph order, nested bodies in the place of their call."""
    weights = {
        node: record
        for record, node in zip(program.inputs, program.placeholders(), strict=True)
        if record.kind is InputKind.PARAMETER
    }
    owned = [tensor_of(node) for node, record in weights.items() if record.tied_to is None]
    parameters = sum(int(tensor.numel()) for tensor in owned if tensor is not None)
    return ProgramCost(tuple(_costs(program.module, set(weights))), parameters)


def node_cost(node: fx.Node, weights: set[fx.Node] | None = None) -> NodeCost:
    """The cost of one call of an operator; ``weights`` are the placeholders that are parameters."""
    flops, matmul, known = _flops(node)
    read, written = (sympy.Integer(0), sympy.Integer(0)) if _is_free(node) else _traffic(node)
    held = [tensor_of(source) for source in node.all_input_nodes if source in (weights or ())]
    return NodeCost(
        node.name,
        op_name(node.target),
        module_path(node),
        flops + matmul,
        matmul,
        read,
        written,
        sympy.Add(*(elements(tensor) for tensor in held if tensor is not None)),
        known,
    )


def _costs(module: fx.GraphModule, weights: set[fx.Node]) -> Iterator[NodeCost]:
    for node in module.graph.nodes:
        if node.op != "call_function" or node.target is operator.getitem or changes_mode(node):
            continue
        if isinstance(node.target, torch._ops.HigherOrderOperator):
            bodies = [body for source in node.all_input_nodes if (body := _body(source)) is not None]
            for body in bodies:
                yield from _costs(body, _handed_down(node, body, weights))
            if bodies:
                continue
        yield node_cost(node, weights)


def _handed_down(call: fx.Node, body: fx.GraphModule, weights: set[fx.Node]) -> set[fx.Node]:
    """The placeholders of a body that stand for parameters: operands come last and in order."""
    inside = [node for node in body.graph.nodes if node.op == "placeholder"]
    operands = [leaf for leaf in pytree.tree_leaves(call.args) if isinstance(leaf, fx.Node) and _body(leaf) is None]
    return {inner for inner, outer in zip(reversed(inside), reversed(operands), strict=False) if outer in weights}


def _flops(node: fx.Node) -> tuple[Size, Size, bool]:
    """``(other FLOPs, those of matrix multiplications, whether the operator is known)``."""
    zero = sympy.Integer(0)
    outputs = _tensors(value_of(node))
    if not outputs or _is_free(node):
        return zero, zero, True
    target, name = node.target, op_base_name(node)
    if not is_operator(target):
        return zero, zero, False
    out = outputs[0]
    if name == "einsum" and not is_plain(bind(node)["equation"]):
        return zero, zero, False
    if (target.namespace, name) in OTHERS:
        rest, matmul = OTHERS[target.namespace, name](_values(node), out)
        return rest, matmul, True
    if target.namespace != "aten":
        return zero, zero, False
    name = name.removesuffix("_")
    if name in CONTRACTIONS:
        rest, matmul = CONTRACTIONS[name](_values(node), out)
        return rest, matmul, True
    if name in COPIES or name in LOOKUPS or not _tensors(_arguments(node)):
        return zero, zero, True
    if name in REDUCTIONS:
        return REDUCTIONS[name] * elements(_tensors(_arguments(node))[0]), zero, True
    if torch.Tag.pointwise in target.tags:
        return elements(out), zero, True
    return zero, zero, False


def _is_free(node: fx.Node) -> bool:
    """Whether a call only makes a view, or gives its argument back."""
    if op_base_name(node) in ("dropout", "feature_dropout", "alpha_dropout"):
        return not bind(node)["train"]
    if op_base_name(node) in ("real", "imag", "view_as_real", "view_as_complex"):
        return True
    out = tensor_of(node)
    viewed = aliases(node)
    if not viewed or _writes(node):
        return False
    source = tensor_of(viewed[0])
    if source is None or out is None:
        return True
    if op_base_name(node) == "contiguous":
        return same_layout(source, out)
    return source.dtype == out.dtype and source.device == out.device


def _traffic(node: fx.Node) -> tuple[Size, Size]:
    written = sympy.Add(*map(_bytes, _tensors(value_of(node))))
    inputs = [value_of(source) for source in node.all_input_nodes]
    tensors = [tensor for value in inputs for tensor in _tensors(value)]
    name = op_base_name(node)
    if name in LOOKUPS:
        # The rows taken are as large as the result; of the tables nothing else is read.
        tensors = [tensor for tensor in tensors if not (tensor.is_floating_point() or tensor.is_complex())]
        return written + sympy.Add(*map(_bytes, tensors)), written
    if name.removesuffix("_") in ("fill", "zero", "copy") and _writes(node):
        tensors = tensors[1:]
    return sympy.Add(*map(_bytes, tensors)), written


def _bytes(tensor: Tensor) -> Size:
    return elements(tensor, stored=True) * tensor.element_size()


def _writes(node: fx.Node) -> bool:
    return is_operator(node.target) and node.target._schema.is_mutable


def _values(node: fx.Node) -> Callable[[str], Any]:
    """Arguments by schema name, nodes replaced by their values."""
    bound = bind(node)
    return lambda name: pytree.tree_map_only(fx.Node, value_of, bound[name])


def _arguments(node: fx.Node) -> Any:
    return [value_of(source) for source in node.all_input_nodes]


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor)]


def _body(node: fx.Node) -> fx.GraphModule | None:
    owner: Any = node.graph.owning_module
    if node.op != "get_attr" or owner is None:
        return None
    for part in str(node.target).split("."):
        owner = getattr(owner, part, None)
    return owner if isinstance(owner, fx.GraphModule) else None


def _sum(costs: tuple[NodeCost, ...]) -> Totals:
    def add(*names: str) -> Size:
        return sympy.Add(*(getattr(cost, name) for cost in costs for name in names))

    return Totals(add("flops"), add("matmul_flops"), add("bytes_read", "bytes_written"), add("parameters"))


def _ancestors(path: str) -> list[str]:
    parts = path.split(".") if path else []
    return [".".join(parts[:count]) for count in range(len(parts) + 1)]


def _number(expression: Size, sizes: Mapping[str, int]) -> float:
    # The symbols of a shape environment carry assumptions, so they are found by name.
    named = [(symbol, sympy.Integer(sizes[str(symbol)])) for symbol in expression.free_symbols if str(symbol) in sizes]
    value = expression.subs(named)
    if value.free_symbols:
        missing = ", ".join(sorted(map(str, value.free_symbols)))
        raise KeyError(f"no value for the symbolic size {missing}")
    return float(value)
