"""Writes the graph of a piece, and tells what it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from ...compiler.analysis.causality import Causality, expression
from ...compiler.calls import bind
from ...compiler.errors import UnsupportedModelError
from ...compiler.ops import is_semantic, op_name
from ...compiler.program import InputKind, Program, fake_of, is_operator, tensor_of, user_line, value_of
from . import pieces
from .exact_decode import Tiling
from .known import Known

aten = torch.ops.aten
Shape = tuple[Any, ...]


@dataclass(frozen=True)
class Slot:
    """One tensor of the state: sizes (numbers, and expressions of the batch), dtype, and the site it belongs to."""

    name: str
    shape: Shape
    dtype: torch.dtype
    site: str
    batch_dim: int


@dataclass
class Bank:
    """The long convolutions of one shape, whose blocks are closed together."""

    shape: Shape
    dtype: torch.dtype
    filters: list[Tensor] = field(default_factory=list[Tensor])
    sites: list[str] = field(default_factory=list[str])

    @property
    def key(self) -> str:
        """The name its slots and its taps begin with."""
        return self.sites[0]


@dataclass(frozen=True)
class Derived:
    """A value that is computed from others that are known, again whenever one of them changes."""

    function: Callable[..., Tensor]
    of: tuple[str, ...]
    """Their placeholders."""


@dataclass
class Recurrence:
    """What :func:`make_recurrent` derives. ``body(chunk, position, *slots, *known)`` gives the flat outputs."""

    body: fx.GraphModule
    slots: list[Slot]
    banks: dict[str, Bank]
    """By name; its slots are ``<name>.history`` and ``<name>.pending``, its taps the known value ``<name>.taps``."""
    known: dict[str, Tensor | str | Derived]
    """By placeholder: a tensor, the FQN of a weight of the model, or what is computed from those before it."""
    batch: Any
    """The symbol of the batch in the shapes of slots."""
    tiling: Tiling
    output_times: list[int | None]
    """The dimension of time of each flat output; ``None`` for one that is no tensor."""


_BROADCASTS = {"rotary"}


class Writer:
    """Writes the body node by node."""

    def __init__(self, program: Program, source: fx.Node, facts: Causality, max_length: int, tiling: Tiling) -> None:
        """Writing starts with :meth:`write`."""
        self.program, self.source, self.facts, self.tiling = program, source, facts, tiling
        self.values = Known(program, source, facts, max_length)
        self.length = max_length
        self.graph = fx.Graph()
        self.copies: dict[fx.Node, Any] = {source: self.graph.placeholder("chunk")}
        self.position = self.graph.placeholder("position")
        self.slots: list[Slot] = []
        self.banks: dict[str, Bank] = {}
        self.slot_nodes: dict[str, fx.Node] = {}
        self.known: dict[str, Tensor | str | Derived] = {}
        self.known_nodes: dict[Any, fx.Node] = {}
        self.count: fx.Node | None = None

    def write(self) -> Recurrence:
        """The body and what it takes."""
        self.count = self.graph.call_function(
            aten.sym_size.int, (self.copies[self.source], self.facts.time[self.source])
        )
        for node in self.program.graph.nodes:
            if node in self.facts.time and node is not self.source:
                copy = self._stateful(node) if node in self.facts.stateful else self._plain(node)
                copy.meta = {k: v for k, v in node.meta.items() if k in ("stack_trace", "nn_module_stack")}
                self.copies[node] = copy
        (outputs,) = self.program.graph.output_node().args
        flat = pytree.tree_leaves(outputs, is_leaf=lambda leaf: leaf is None)
        self.graph.output(tuple(map(self._output, flat)))
        for name, bank in self.banks.items():
            # Filters are aligned with the dimensions of the input from the right.
            rank = len(bank.shape)
            taps = torch.stack([k.reshape(*[1] * (rank - k.dim()), *k.shape) for k in bank.filters])
            self.known[f"{name}_taps"] = taps.to(bank.dtype)
            shape = (len(bank.filters), *bank.shape[:-1])
            self.slots += [
                Slot(f"{name}_history", (*shape, self.length), bank.dtype, bank.key, 1),
                Slot(f"{name}_pending", (*shape, self.tiling.ahead), bank.dtype, bank.key, 1),
            ]
        self._order()
        times = [self.facts.time[leaf] if isinstance(leaf, fx.Node) else None for leaf in flat]
        body = fx.GraphModule(torch.nn.Module(), self.graph, class_name="Piece")
        return Recurrence(body, self.slots, self.banks, self.known, self.values.batch, self.tiling, times)

    def _order(self) -> None:
        """Placeholders: chunk, position, then slots, then what is known, in the order of their tables."""
        at = self.position
        for name in (*(slot.name for slot in self.slots), *self.known):
            node = self.slot_nodes.get(name) or self.known_nodes[name]
            at.append(node)
            at = node

    def _output(self, node: Any) -> Any:
        if isinstance(node, fx.Node) and node not in self.facts.time:
            raise UnsupportedModelError(f"the model returns {node.name}, which does not depend on the input")
        return self.copies[node] if isinstance(node, fx.Node) else node

    def _plain(self, node: fx.Node) -> fx.Node:
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), lambda n: self._operand(n, node))  # type: ignore[misc]
        return self.graph.call_function(node.target, args, kwargs)  # type: ignore[arg-type]

    def _operand(self, node: fx.Node, user: fx.Node) -> Any:
        """A stream's piece, a size of the piece, or what is known at the positions of the piece."""
        if node in self.copies:
            return self.copies[node]
        if tensor_of(node) is None:
            if node.op == "placeholder":
                return value_of(node)
            args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), lambda n: self._operand(n, user))  # type: ignore[misc]
            self.copies[node] = self.graph.call_function(node.target, args, kwargs)  # type: ignore[arg-type]
            return self.copies[node]
        target = user.target
        broadcasts = is_operator(target) and (
            torch.Tag.pointwise in target.tags or (is_semantic(target) and op_name(target) in _BROADCASTS)
        )
        if self.values.per_row(node) and not broadcasts:
            raise UnsupportedModelError(
                f"{node.name} is repeated for every row of the batch before {user.name} uses it", where=user_line(user)
            )
        place = self.values.place(node)
        table = self._known(node)
        return (
            table
            if place is None
            else self.graph.call_function(torch.narrow, (table, place, self.position, self.count))
        )

    def _known(self, node: fx.Node) -> fx.Node:
        if node not in self.known_nodes:
            fqn = None
            if node.op == "placeholder":
                record = self.program.input_of(node)
                # A filter that was fixed and values that passes derived are not the model's.
                if record.kind in (InputKind.PARAMETER, InputKind.BUFFER):
                    fqn = record.fqn
            self.known_nodes[node] = self._add_known(node.name, fqn or self.values.value(node))
        return self.known_nodes[node]

    def _add_known(self, name: str, value: Tensor | str | Derived) -> fx.Node:
        with self.graph.inserting_after(self.position):
            placeholder = self.graph.placeholder(name)
        self.known_nodes[placeholder.name] = placeholder
        self.known[placeholder.name] = value.detach() if isinstance(value, Tensor) else value
        return placeholder

    def _slot(self, node: fx.Node, name: str, shape: Any, dtype: torch.dtype) -> fx.Node:
        with self.graph.inserting_after(self.position):
            placeholder = self.graph.placeholder(f"{node.name}_{name}")
        sizes = tuple(expression(size) for size in shape)
        batch = next((d for d, s in enumerate(sizes) if self.values.batch in getattr(s, "free_symbols", ())), None)
        if batch is None:
            raise UnsupportedModelError(
                f"the state of {node.name} has no dimension of the batch", where=user_line(node)
            )
        self.slots.append(Slot(placeholder.name, sizes, dtype, node.name, batch))
        self.slot_nodes[placeholder.name] = placeholder
        return placeholder

    def _stateful(self, node: fx.Node) -> fx.Node:
        call = bind(node)
        operands = {
            name: self._operand(value, node) if isinstance(value, fx.Node) else value
            for name, value in call.items()
            if not (self.facts.stateful[node] == "long_conv" and name in ("k", "fft_size"))
        }
        function, args, kwargs = getattr(self, f"_{self.facts.stateful[node]}")(node, call, operands)
        return self.graph.call_function(function, args, kwargs)

    def _short_conv(self, node: fx.Node, call: Any, operands: Any) -> Any:
        u, k = fake_of(call["u"]), fake_of(call["k"])
        recent = self._slot(node, "recent", (*u.shape[:-1], k.shape[-1] - 1), u.dtype)
        return (
            pieces.short_conv,
            (*(operands[x] for x in ("u", "k", "bias")), recent),
            {"activation": call["activation"]},
        )

    def _delay(self, node: fx.Node, call: Any, operands: Any) -> Any:
        source: Any = node.args[0]
        x, dim = fake_of(source), self.facts.time[node]
        by = call["pad"][2 * (x.dim() - 1 - dim)]
        recent = self._slot(node, "recent", (*x.shape[:dim], by, *x.shape[dim + 1 :]), x.dtype)
        return pieces.delay, (self.copies[source], recent), {"dim": dim}

    def _cumsum(self, node: fx.Node, call: Any, operands: Any) -> Any:
        source: Any = node.args[0]
        y, dim = fake_of(node), self.facts.time[node]
        total = self._slot(node, "total", (*y.shape[:dim], 1, *y.shape[dim + 1 :]), y.dtype)
        return pieces.cumsum, (self.copies[source], total), {"dim": dim, "dtype": call.get("dtype")}

    def _attention(self, node: fx.Node, call: Any, operands: Any) -> Any:
        buffers = []
        for name, argument in (("keys", "k"), ("values", "v")):
            x = fake_of(call[argument])
            buffers.append(self._slot(node, name, (*x.shape[:-2], self.length, x.shape[-1]), x.dtype))
        attributes = {name: call[name] for name in ("mask", "window", "scale", "softcap")}
        return pieces.attention, (*(operands[x] for x in "qkv"), *buffers, self.position), attributes

    def _ssm_scan(self, node: fx.Node, call: Any, operands: Any) -> Any:
        after = value_of(node)[1]
        state = self._slot(node, "state", after.shape, after.dtype)
        names = ("u", "log_radius", "angle", "residue_re", "residue_im", "skip")
        logarithms = tuple(operands[x].name for x in ("log_radius", "angle"))
        pole = self._add_known(f"{node.name}_pole", Derived(pieces.poles, logarithms))
        return pieces.ssm_scan, (*(operands[x] for x in names), pole, state), {"chunk": call["chunk"]}

    def _ssm_scan_companion(self, node: fx.Node, call: Any, operands: Any) -> Any:
        after = value_of(node)[1]
        state = self._slot(node, "state", after.shape, after.dtype)
        names = ("u", "denominator", "numerator", "skip")
        return pieces.ssm_scan_companion, (*(operands[x] for x in names), state), {"chunk": call["chunk"]}

    def _linear_attention(self, node: fx.Node, call: Any, operands: Any) -> Any:
        after = value_of(node)[1]
        state = self._slot(node, "state", after.shape, after.dtype)
        attributes = {name: call[name] for name in ("scale", "chunk")}
        return pieces.linear_attention, (*(operands[x] for x in ("q", "k", "v", "decay")), state), attributes

    def _long_conv(self, node: fx.Node, call: Any, operands: Any) -> Any:
        taps = self.values.value(call["k"])
        x = fake_of(call["u"])
        shape = tuple(expression(s) for s in x.shape)
        double = torch.float64 in (x.dtype, taps.dtype)
        dtype = call["compute_dtype"] or (torch.float64 if double else torch.float32)
        if taps.shape[-1] < self.length:
            taps = torch.nn.functional.pad(taps, (0, self.length - taps.shape[-1]))
        taps = taps[..., : self.length]
        kind = (shape, dtype, taps.shape)
        banks = self.banks.items()
        name = next((n for n, b in banks if (b.shape, b.dtype, b.filters[0].shape) == kind), f"bank_{len(self.banks)}")
        if name not in self.banks:
            self.banks[name] = Bank(shape, dtype)
            for part, nodes in (("history", self.slot_nodes), ("pending", self.slot_nodes), ("taps", self.known_nodes)):
                with self.graph.inserting_after(self.position):
                    nodes[f"{name}_{part}"] = self.graph.placeholder(f"{name}_{part}")
        bank = self.banks[name]
        bank.filters.append(taps)
        bank.sites.append(node.name)
        buffers = (self.slot_nodes[f"{name}_{part}"] for part in ("history", "pending"))
        args = (
            operands["u"],
            self.known_nodes[f"{name}_taps"],
            operands["skip"],
            operands["pre_gate"],
            operands["post_gate"],
        )
        return (
            pieces.long_conv,
            (*args, *buffers, self.position),
            {"index": len(bank.filters) - 1, "tiling": self.tiling},
        )
