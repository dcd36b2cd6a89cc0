"""Candidates: the ways there are to compute one operator, for :mod:`.select` to choose from and :mod:`.tune` to time.

A candidate is a frozen dataclass derived from :class:`Candidate` with a dotted ``name``, ``"long_conv.direct"``: the
operator, then its own. It says where it is legal (:meth:`Candidate.supports`), which configurations it has, what it
should cost, and how it is computed (:meth:`Candidate.run`); by default that computation is also what it puts into a
graph. An ATen operator is named with its namespace: ``"aten.linear.tile"``.

The way Inductor computes an operator, when its node is left as it is, is a candidate like the others, the
:class:`Reference`. An operator whose reference costs more than its roofline, or whose sizes should be put into other
buckets, has its own, registered as ``"<op>.inductor"``.

A :class:`Call` is what candidates are asked about: the arguments by schema name, tensors in place of nodes. Its sizes
may be symbolic; a candidate that cannot prove what it needs for every value declines.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, fx
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from ..compiler.analysis.cost_rules import OTHERS
from ..compiler.calls import bind
from ..compiler.inline import inline
from ..compiler.ops import is_semantic, op_name
from ..compiler.program import is_operator, value_of
from ..compiler.registry import Registry
from ..compiler.rewriter import Edit
from ..compiler.rules import Decline, Match
from ..compiler.values import dtype_text, type_text
from .targets import Target

Config = Mapping[str, Any]
"""Choices of a candidate, such as ``{"block_m": 64, "num_warps": 4}``: names and JSON values."""

REFERENCE = "inductor"
"""The reference's own name."""

TILE = "tile"
"""The own name of a tile kernel. Those are for :data:`GPUS`, and are not loaded for other targets."""

GPUS = frozenset({"cuda", "hip"})
"""Kinds of target that run tile kernels."""


@dataclass(frozen=True)
class Call:
    """One call of an operator and the circumstances it runs in."""

    op: str
    target: Any = field(repr=False)
    """The ``OpOverload``."""
    arguments: Mapping[str, Any] = field(repr=False, hash=False)
    """By schema name, defaults filled: fake, meta or real tensors, sizes, strings, ``None``."""
    result: Any = field(repr=False, hash=False)
    """The fake value of the result."""
    compiled: bool = False
    """Whether Inductor compiles the program around it."""
    training: bool = False
    """Whether gradients will be asked for."""
    autocast: bool = False
    """Whether it is under autocast, which would cast the operands of ATen's matrix products and convolutions."""

    def __getitem__(self, name: str) -> Any:
        """An argument."""
        return self.arguments[name]

    @cached_property
    def tensors(self) -> list[Tensor]:
        """Every tensor among the arguments."""
        return [leaf for leaf in pytree.tree_leaves(dict(self.arguments)) if isinstance(leaf, Tensor)]

    @property
    def dtype(self) -> torch.dtype:
        """That of the first tensor."""
        return self.tensors[0].dtype

    @cached_property
    def free_sizes(self) -> dict[str, torch.SymInt]:
        """The sizes that are symbolic, by expression; empty for a static call."""
        sizes = [*self.arguments.values(), *(size for tensor in self.tensors for size in tensor.shape)]
        return {str(size): size for size in sizes if isinstance(size, torch.SymInt)}

    @cached_property
    def key(self) -> str:
        """Equal for calls about which every question has the same answer."""
        values = {**self.arguments, "->": self.result}
        parts = [f"{name}={_described(value)}" for name, value in values.items() if value is not None]
        return f"{self.op}({', '.join(parts)}) {self.compiled} {self.training} {self.autocast}"

    def at(self, size_of: Callable[[torch.SymInt], int]) -> Call:
        """The same call with every symbolic size replaced; tensors become meta tensors."""

        def settle(value: Any) -> Any:
            if isinstance(value, torch.SymInt):
                return size_of(value)
            if not isinstance(value, Tensor):
                return value
            shape, strides = ([size_of(n) if isinstance(n, torch.SymInt) else n for n in numbers]
                              for numbers in (value.shape, value.stride()))  # fmt: skip
            return torch.empty_strided(shape, strides, dtype=value.dtype, device="meta")

        arguments = {name: pytree.tree_map(settle, value) for name, value in self.arguments.items()}
        return replace(self, arguments=arguments, result=pytree.tree_map(settle, self.result))


@dataclass(frozen=True)
class Estimate:
    """What a call should take on a target, from its work and its traffic."""

    seconds: float
    flops: float
    bytes: float
    """To and from device memory."""
    floor_seconds: float
    """What no implementation can beat: inputs read once, results written once."""


class Candidate(ABC):
    """One way to compute an operator. Instances are frozen dataclasses without required fields."""

    name: ClassVar[str]
    """``"<op>.<own name>"``, as it is registered."""
    kinds: ClassVar[frozenset[str]] = frozenset({"cpu", "cuda", "hip"})
    """Kinds of target it is for; on others it is not even spoken of."""
    proven: ClassVar[frozenset[str]] = frozenset()
    """GPU architectures on which its results have been checked. Elsewhere an estimate does not count: compilers get
    kernels wrong where nobody has looked, and a measurement looks first."""
    features: ClassVar[frozenset[str]] = frozenset()
    """What :mod:`.known_bad` asks about: ``"several-dots"``, ``"transposed-accumulator"``, ``"chunk-scan"``."""

    @property
    def op(self) -> str:
        """The operator."""
        return self.name.rpartition(".")[0]

    @property
    def own_name(self) -> str:
        """The name among the candidates of the operator."""
        return self.name.rpartition(".")[2]

    @abstractmethod
    def supports(self, call: Call, target: Target) -> Decline | None:
        """Why the call is not taken: shapes, dtypes, device, options. Nothing about speed."""

    def configs(self, call: Call, target: Target) -> Sequence[Config]:
        """Configurations a tuner may try, the one to use without a measurement first."""
        return ({},)

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """Predicted cost of a static call; ``None`` abstains, as everything must on a target that is not known."""
        return None

    def constants(self, call: Call, config: Config) -> tuple[Tensor, ...]:
        """Real tensors that :meth:`run` takes besides the call, such as DFT matrices; a graph will own them."""
        return ()

    @abstractmethod
    def run(self, call: Call, config: Config, *constants: Tensor) -> Any:
        """Compute the call on its tensors, which may be real or fake: ATen, or a kernel operator."""

    def match(self, node: fx.Node, *, training: bool = False) -> Match:
        """What of the graph the candidate computes: the call, or with neighbours it absorbs.

        In ``training`` nothing should be absorbed that a backward has to compute again.
        """
        return Match(node, (node,), bind(node))

    def absorbed(self, match: Match) -> str:
        """What it computes besides the call, for a remark; empty for nothing."""
        return ""

    def spared_bytes(self, match: Match) -> int:
        """What the reference and its neighbours write and read again, and the candidate, absorbing them, does not.

        Below 0 where the candidate has traffic that Inductor, fusing the reference with its neighbours, has not.
        """
        return 0

    def rewrite(self, match: Match, edit: Edit, config: Config) -> fx.Node:
        """Insert what :meth:`run` computes. A candidate with its own :meth:`match` has its own of this, too."""
        call = call_of(match.root)
        with unset_fake_temporarily():
            constants = [edit.constant("kernel_constant", tensor) for tensor in self.constants(call, config)]
        sources = match.root.all_input_nodes

        def compute(*values: Any) -> Any:
            given = dict(zip(sources, values, strict=False))
            actual = replace(call, arguments=map_arg(dict(match.bindings), given.__getitem__))
            return self.run(actual, config, *values[len(sources) :])

        # Which source is which argument is part of the question: k and k_rev may be one value.
        places = {source: at for at, source in enumerate(sources)}
        spelled = map_arg(dict(match.bindings), lambda source: f"%{places[source]}")
        return inline(edit, compute, *sources, *constants, key=(self, str(config), call.key, str(spelled)))


@dataclass(frozen=True)
class Reference(Candidate):
    """The node as it is: what Inductor makes of the operator's definition, or what eager execution runs."""

    fused: ClassVar[bool] = True
    """Whether Inductor makes code of its own for it. Where it calls the same library as eager execution does, one
    measurement serves both."""
    operator: str = ""

    @property
    def name(self) -> str:  # type: ignore[override]
        """``"<op>.inductor"``."""
        return f"{self.operator}.{REFERENCE}"

    def supports(self, call: Call, target: Target) -> Decline | None:
        """Everything."""
        return None

    def estimate(self, call: Call, target: Target, config: Config) -> Estimate | None:
        """The roofline, as if Inductor fused the whole operator: a kernel must beat that to be worth taking."""
        rule = OTHERS.get(("regraft", call.op))
        if not target.known or rule is None:
            return None
        rest, matmul = (float(flops) for flops in rule(call.arguments.__getitem__, first_tensor(call.result)))
        moved = traffic(call)
        floor = moved / target.memory_rate
        busy = matmul / target.matmul_rate(call.dtype) + rest / target.general_rate
        return Estimate(max(floor, busy), rest + matmul, moved, floor)

    def bucket(self, call: Call) -> str:
        """Calls of one bucket share a measurement: by default every size rounded up to a power of two."""
        named = ((name, value) for name, value in call.arguments.items() if isinstance(value, Tensor))
        return " ".join(f"{name}:{'x'.join(str(power_of_two(n)) for n in tensor.shape)}" for name, tensor in named)

    def run(self, call: Call, config: Config, *constants: Tensor) -> Any:
        """Call the operator."""
        return call.target(**call.arguments)


def candidate_registry(builtin: Mapping[str, str]) -> Registry[Candidate]:
    """A table of candidates by full name: these import paths, and the entry points of ``regraft.kernels``."""
    return Registry(builtin, "regraft.kernels", Candidate, "kernel")


@dataclass(frozen=True)
class Candidates:
    """The candidates of every operator, loaded when the operator is asked for."""

    registry: Registry[Candidate]

    @cached_property
    def by_op(self) -> dict[str, list[str]]:
        """Full names, without references, by operator; loads nothing."""
        found: dict[str, list[str]] = {}
        for name in self.registry.names():
            op, _, own = name.rpartition(".")
            if own != REFERENCE:
                found.setdefault(op, []).append(name)
        return found

    def of(self, op: str, kind: str) -> list[Candidate]:
        """The candidates of an operator for a kind of target, besides its reference."""
        names = (name for name in self.by_op.get(op, ()) if kind in GPUS or not name.endswith(f".{TILE}"))
        classes = map(self.registry.get, names)
        return [candidate() for candidate in classes if kind in candidate.kinds]

    def reference(self, op: str) -> Reference:
        """The reference of an operator."""
        name = f"{op}.{REFERENCE}"
        found = self.registry.get(name)() if name in self.registry else Reference(op)
        assert isinstance(found, Reference)
        return found


def operator_of(node: fx.Node) -> str:
    """How candidates name what a node calls: ``"long_conv"``, ``"aten.linear"``; ``""`` for anything else."""
    if is_semantic(node.target):
        return op_name(node.target)
    target = node.target
    return f"{target.namespace}.{target.overloadpacket.__name__}" if is_operator(target) else ""


def call_of(node: fx.Node, *, compiled: bool = False, training: bool = False, autocast: bool = False) -> Call:
    """The call a node makes."""
    arguments = map_arg(bind(node), value_of)
    return Call(operator_of(node), node.target, arguments, value_of(node), compiled, training, autocast)


def call_with(target: Any, *args: Any, compiled: bool = False, training: bool = False, **kwargs: Any) -> Call:
    """A call of an ``OpOverload`` with values at hand; its result is computed on meta tensors."""
    graph = fx.Graph()
    schema = [argument.name for argument in target._schema.arguments]
    given = {**dict(zip(schema, args, strict=False)), **kwargs}
    arguments = bind(graph.call_function(target, (), given))
    meta = pytree.tree_map_only(Tensor, lambda tensor: tensor.to("meta"), arguments)
    name = operator_of(graph.call_function(target))
    return Call(name, target, arguments, target(**meta), compiled, training)


def traffic(call: Call) -> float:
    """Bytes of a static call's tensors, each read or written once."""
    results = [leaf for leaf in pytree.tree_leaves(call.result) if isinstance(leaf, Tensor)]
    return float(sum(tensor.numel() * tensor.element_size() for tensor in [*call.tensors, *results]))


def first_tensor(value: Any) -> Tensor:
    """The first tensor of a result."""
    return next(leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor))


def power_of_two(size: int) -> int:
    """The least power of two that is not below ``size``."""
    return 1 << max(int(size) - 1, 0).bit_length()


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{type_text(value)}/{','.join(map(str, value.stride()))}"
    if isinstance(value, torch.dtype):
        return dtype_text(value)
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(_described, value))})"
    return str(value)
