"""A traced model: one ``torch.fx`` graph in pre-dispatch ATen words, and what is known about its inputs.

Every door ends here: ``torch.export``, Dynamo, and text. Parameters, buffers and constants are graph *inputs*
(placeholders), so the graph owns no weights; :attr:`Program.weights` holds the real tensors where they are at hand.
Nested bodies (autocast regions, ``cond`` branches, checkpointed regions) are child graph modules reached by
``get_attr``, and :meth:`Program.graphs` walks them all.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, TypeGuard, cast

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils import _pytree as pytree

_TORCH = os.path.dirname(torch.__file__) + os.sep


class InputKind(str, Enum):
    """What a placeholder stands for."""

    PARAMETER = "parameter"
    BUFFER = "buffer"
    CONSTANT = "constant"
    """A tensor the model owns that is neither parameter nor buffer."""
    DERIVED = "derived"
    """A value computed from other weights by :attr:`Program.prelude`."""
    USER = "user"
    SYMBOL = "symbol"
    """A symbolic size handed in by Dynamo."""


@dataclass(frozen=True)
class Input:
    """One placeholder: its node ``name``, ``kind``, and for weights the fully qualified name in the model."""

    name: str
    kind: InputKind
    fqn: str | None = None
    tied_to: str | None = None
    """FQN of the first weight that shares this one's storage, when it is not the first itself."""

    @property
    def is_weight(self) -> bool:
        """Whether the value belongs to the model rather than to the call."""
        return self.kind not in (InputKind.USER, InputKind.SYMBOL)


@dataclass
class Program:
    """A graph, its inputs in placeholder order, and the calling convention around them."""

    module: fx.GraphModule
    inputs: list[Input]
    door: str
    """``"export"``, ``"dynamo"`` or ``"text"``."""
    in_spec: pytree.TreeSpec | None = None
    """Structure of ``(args, kwargs)`` whose leaves are the USER inputs in order (export only)."""
    out_spec: pytree.TreeSpec | None = None
    weights: Mapping[str, torch.Tensor] | None = None
    """Real tensors by FQN; ``None`` when the graph was captured without them (Dynamo, text)."""
    prelude: fx.GraphModule | None = None
    """Computes the DERIVED inputs, in order, from the weights named by its placeholders' ``meta["fqn"]``."""
    ranges: dict[str, tuple[int, int | None]] = field(default_factory=dict[str, tuple[int, "int | None"]])
    """Allowed values of each symbolic size, by symbol name; ``None`` means unbounded."""
    training: bool = False

    @property
    def graph(self) -> fx.Graph:
        """The outermost graph."""
        return self.module.graph

    @property
    def fake_mode(self) -> FakeTensorMode | None:
        """The fake mode the values live in; Dynamo's tracing context may already hold another one."""
        for node in self.graph.nodes:
            for leaf in pytree.tree_leaves(value_of(node)):
                if isinstance(leaf, FakeTensor):
                    return leaf.fake_mode
        return None

    def graphs(self) -> Iterator[tuple[str, fx.GraphModule]]:
        """Every graph with its path, outermost (``""``) first, nested bodies after it, each once."""
        yield from _walk("", self.module, set())

    def placeholders(self) -> list[fx.Node]:
        """The placeholder nodes, in the order of :attr:`inputs`."""
        return [node for node in self.graph.nodes if node.op == "placeholder"]

    def input_of(self, node: fx.Node) -> Input:
        """The record of a placeholder; raises ``KeyError`` for any other node."""
        for record, placeholder in zip(self.inputs, self.placeholders(), strict=True):
            if placeholder is node:
                return record
        raise KeyError(node.name)

    def user_inputs(self) -> list[fx.Node]:
        """The placeholders the caller fills, in order."""
        pairs = zip(self.inputs, self.placeholders(), strict=True)
        return [node for record, node in pairs if not record.is_weight]

    def copy(self) -> Program:
        """An independent program: graphs are copied, tensors and fake values are shared."""
        prelude = None if self.prelude is None else copy_module(self.prelude)
        return replace(self, module=copy_module(self.module), inputs=list(self.inputs), prelude=prelude)

    def recompile(self) -> None:
        """Regenerate the Python code of every graph after edits."""
        for _, module in self.graphs():
            module.recompile()


def is_operator(target: object) -> TypeGuard[torch._ops.OpOverload[..., Any]]:
    """Whether what a node calls is an operator with a schema."""
    return isinstance(target, torch._ops.OpOverload)


def value_of(node: fx.Node) -> Any:
    """The fake value of a node: a FakeTensor, a SymInt, a number, a tuple of these, or ``None`` when unknown."""
    meta = node.meta
    return meta["val"] if "val" in meta else meta.get("example_value")


def tensor_of(node: Any) -> torch.Tensor | None:
    """The fake tensor of a node, or ``None`` for anything that is not a node with one tensor value."""
    value = value_of(node) if isinstance(node, fx.Node) else None
    return value if isinstance(value, torch.Tensor) else None


def fake_of(node: Any) -> torch.Tensor:
    """The fake tensor of a node that is known to have one; raises ``TypeError`` for any other."""
    tensor = tensor_of(node)
    if tensor is None:
        raise TypeError(f"{node} has no tensor value")
    return tensor


def module_path(node: fx.Node) -> str:
    """FQN of the innermost module that made the node, ``""`` for the root, in one spelling for both captures."""
    stack = cast("dict[str, tuple[str, Any]] | None", node.meta.get("nn_module_stack"))
    if not stack:
        return ""
    path = clean_path(next(reversed(stack.values()))[0])
    # torch.export's mark on nodes that no module made.
    return "" if path == "_empty_nn_module_stack_from_metadata_hook" else path


def clean_path(source: str) -> str:
    """``L['self']._modules['layers']._modules['0']`` and ``L['self'].layers[0]`` both become ``layers.0``."""
    for noise in ("_modules", "_parameters", "_buffers", "__dict__"):
        source = source.replace(f".{noise}[", "[")
    source = source.replace("['", ".").replace("']", "").replace('["', ".").replace('"]', "")
    source = source.replace("[", ".").replace("]", "")
    parts = [part for part in source.split(".") if part]
    if parts and parts[0] == "L":
        parts = parts[2:]
    return ".".join(parts)


def user_line(node: fx.Node) -> str | None:
    """``file:line: code`` of the innermost frame outside PyTorch that made the node, or else of the innermost."""
    trace = cast("str | None", node.meta.get("stack_trace"))
    if not trace:
        return None
    lines = [line.strip() for line in trace.splitlines() if line.strip() and set(line.strip()) - set("^~")]
    innermost = None
    for at in range(len(lines) - 1, -1, -1):
        if lines[at].startswith('File "'):
            file, _, rest = lines[at][6:].partition('", line ')
            code = lines[at + 1] if at + 1 < len(lines) else ""
            found = f"{file}:{rest.split(',')[0]}: {code}"
            if not file.startswith(_TORCH):
                return found
            innermost = innermost or found
    return innermost


def copy_module(module: fx.GraphModule) -> fx.GraphModule:
    """Copy a graph module and its nested bodies; tensors it holds and fake values of its nodes are shared."""
    graph = fx.Graph()
    mapping: dict[fx.Node, fx.Node] = {}
    result = graph.graph_copy(module.graph, mapping)
    outputs = [node for node in module.graph.nodes if node.op == "output"]
    if outputs:
        node = graph.output(result)
        node.meta = copy.copy(outputs[0].meta)
    for old, new in mapping.items():
        # fx would rename inputs called as Python's builtins are, such as "input".
        if new.name != old.name:
            new.name = old.name
        if hasattr(old, "_dynamo_source"):
            new._dynamo_source = old._dynamo_source  # type: ignore[attr-defined]
    attributes = {
        str(node.target): _attribute(module, str(node.target)) for node in module.graph.nodes if node.op == "get_attr"
    }
    for name, value in attributes.items():
        if isinstance(value, fx.GraphModule):
            attributes[name] = copy_module(value)
    new_module = fx.GraphModule(attributes, graph, class_name=module.__class__.__name__)
    new_module.meta = dict(module.meta)
    new_module.training = module.training
    return new_module


def _walk(path: str, module: fx.GraphModule, seen: set[int]) -> Iterator[tuple[str, fx.GraphModule]]:
    if id(module) in seen:
        return
    seen.add(id(module))
    yield path, module
    for node in module.graph.nodes:
        if node.op == "get_attr":
            child = _attribute(module, str(node.target))
            if isinstance(child, fx.GraphModule):
                yield from _walk(f"{path}.{node.target}".lstrip("."), child, seen)


def _attribute(module: torch.nn.Module, path: str) -> Any:
    value: Any = module
    for part in path.split("."):
        value = getattr(value, part)
    return value
