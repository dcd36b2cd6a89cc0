"""Bring a Dynamo graph to the normal form: pre-dispatch ATen, node by node.

Each torch-level node is traced alone (:mod:`~.recording`, on fake copies of its inputs) and its operators are spliced
in where it stood; equal nodes are traced once. Higher-order operators, mode switches, ``autograd.Function``
and functorch regions are copied as they are, and so is whatever cannot be traced alone, with a remark. Nothing is
removed or reordered: the graph is not functional, and an in-place write has no user.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx
from torch._dynamo.exc import TorchDynamoException
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from ..compiler.analysis.effects import ENTER_AUTOCAST, EXIT_AUTOCAST, GRAD_SWITCH, changes_mode
from ..compiler.program import Input, InputKind, Program, clean_path, copy_module, module_path, user_line, value_of
from ..compiler.remarks import Remark, RemarkLog
from ..compiler.values import same_type, type_text
from .recording import record

NORMALISED_BODIES = {"tag_activation_checkpoint", "invoke_subgraph", "cond", "wrap"}
"""Higher-order operators whose bodies are plain code of the user, and are normalised too."""

_USAGE_LOG = torch._C._log_api_usage_once
_INHERITED = ("nn_module_stack", "stack_trace", "source_fn_stack", "custom")
_ENTER_TRANSFORM = ("_vmap_increment_nesting", "_grad_increment_nesting", "_jvp_increment_nesting")
_EXIT_TRANSFORM = ("_vmap_decrement_nesting", "_grad_decrement_nesting", "_jvp_decrement_nesting")


def normalise(gm: fx.GraphModule, example_inputs: Sequence[Any] = (), remarks: RemarkLog | None = None) -> Program:
    """A program from a Dynamo graph, which is left as it was; nodes that had to be copied are told in ``remarks``.

    Weights are placeholders like the user's inputs, told apart by their Dynamo sources; the program holds no values.
    """
    inputs = [_input(node) for node in gm.graph.nodes if node.op == "placeholder"]
    module = _Normaliser(remarks if remarks is not None else RemarkLog()).module(gm)
    wants_gradients = any(isinstance(value, torch.Tensor) and value.requires_grad for value in example_inputs)
    return Program(module, inputs, "dynamo", ranges=_ranges(gm), training=torch.is_grad_enabled() and wants_gradients)


class _CannotTrace(Exception):
    """Why a node cannot be traced alone."""


@dataclass(frozen=True)
class _Traced:
    """The operators of one torch-level call, over placeholders for its tensor and symbol leaves."""

    graph: fx.Graph
    spec: pytree.TreeSpec
    """Structure of the call's result."""


@dataclass
class _Modes:
    """The flat grad-mode and autocast switches that are in force at a node, and open functorch transforms."""

    grad: bool = field(default_factory=torch.is_grad_enabled)
    autocasts: dict[fx.Node, tuple[Any, ...]] = field(default_factory=dict)
    transforms: int = 0

    def step(self, node: fx.Node) -> None:
        """Take in a node."""
        if node.target is GRAD_SWITCH:
            self.grad = bool(node.args[0])
        elif node.target is ENTER_AUTOCAST:
            self.autocasts[node] = node.args
        elif node.target is EXIT_AUTOCAST:
            self.autocasts.pop(node.args[0], None)  # type: ignore[arg-type]
        name = getattr(node.target, "__name__", "")
        self.transforms += (name in _ENTER_TRANSFORM) - (name in _EXIT_TRANSFORM)

    def enter(self, stack: ExitStack) -> None:
        """Put the modes in force until ``stack`` closes."""
        stack.enter_context(torch.set_grad_enabled(self.grad))
        for device, dtype, enabled, cache in self.autocasts.values():
            stack.enter_context(torch.autocast(device, dtype, enabled, cache))

    @property
    def key(self) -> tuple[Any, ...]:
        """What the trace of a node depends on."""
        return (self.grad, *self.autocasts.values())


@dataclass
class _Normaliser:
    remarks: RemarkLog
    traced: dict[Any, _Traced | _CannotTrace] = field(default_factory=dict)
    bodies: dict[int, fx.GraphModule] = field(default_factory=dict)

    def module(self, gm: fx.GraphModule) -> fx.GraphModule:
        """The normal form of one graph and of the bodies in it that are plain code."""
        graph = fx.Graph()
        mode = _fake_mode(gm)
        modes = _Modes()
        env: dict[fx.Node, Any] = {}
        unstable = _reshaped_in_place(gm.graph)
        for node in gm.graph.nodes:
            modes.step(node)
            if node.target is _USAGE_LOG:
                continue
            if _picks_part(node, env):
                env[node] = env[node.args[0]][node.args[1]]
                continue
            if _is_normal(node) or modes.transforms:
                env[node] = _copy(graph, node, env)
                continue
            try:
                if mode is None:
                    raise _CannotTrace("no input carries a fake value")
                if any(id(value_of(source)) in unstable for source in node.all_input_nodes):
                    raise _CannotTrace("the shape of an input is changed in place")
                env[node] = _splice(graph, node, self.trace(node, mode, modes), env)
            except _CannotTrace as reason:
                self.remark(node, str(reason))
                env[node] = _copy(graph, node, env)
        return self.wrap(gm, graph)

    def trace(self, node: fx.Node, mode: FakeTensorMode, modes: _Modes) -> _Traced:
        """The operators of a call; equal calls on equal types are traced once, failures included."""
        sources, leaves = _leaves(node)
        index = {source: f"%{at}" for at, source in enumerate(sources)}
        pattern = repr(map_arg((node.args, node.kwargs), index.__getitem__))
        key = (node.op, node.target, pattern, modes.key, *map(_type_key, (*leaves, value_of(node))))
        if key not in self.traced:
            try:
                self.traced[key] = _trace(node, sources, mode, modes)
            except TorchDynamoException:
                raise
            except _CannotTrace as reason:
                self.traced[key] = reason
            except Exception as error:
                self.traced[key] = _CannotTrace(f"{type(error).__name__}: {error}".split("\n", 1)[0])
        found = self.traced[key]
        if isinstance(found, _CannotTrace):
            raise found
        return found

    def wrap(self, gm: fx.GraphModule, graph: fx.Graph) -> fx.GraphModule:
        """A module for the new graph, over the old one's attributes and its own copies of the bodies."""
        plain = _plain_bodies(gm.graph)
        used = {str(node.target) for node in graph.nodes if node.op in ("get_attr", "call_module")}
        # Hooks on saved tensors hang on the module without a node.
        used |= {name for name, child in gm.named_children() if isinstance(child, fx.GraphModule)}
        attributes = {path: operator.attrgetter(path)(gm) for path in sorted(used)}
        for path, value in attributes.items():
            if isinstance(value, fx.GraphModule):
                if id(value) not in self.bodies:
                    self.bodies[id(value)] = self.module(value) if path in plain else copy_module(value)
                attributes[path] = self.bodies[id(value)]
        module = fx.GraphModule(attributes, graph, class_name=gm.__class__.__name__)
        for path, value in attributes.items():
            if "." not in path and not hasattr(module, path):
                setattr(module, path, value)
        module.meta = dict(gm.meta)
        module.train(gm.training)
        return module

    def remark(self, node: fx.Node, reason: str) -> None:
        """Record a node that was copied."""
        site = f"{module_path(node)}/{node.name}".lstrip("/")
        line = user_line(node) or ""
        message = f"{_callee(node)} was left as it is: {reason}"
        self.remarks.add(Remark("analysis", "normalise", site, "copied-verbatim", message, line=line))


def _is_normal(node: fx.Node) -> bool:
    """Whether a node is copied because it already is in the normal form, or must not be looked into."""
    if node.op not in ("call_function", "call_method"):
        return True
    target = node.target
    if isinstance(target, (torch._ops.HigherOrderOperator, torch._ops.OpOverload)) or changes_mode(node):
        return True
    if node.op == "call_function" and target is not operator.setitem and value_of(node) is None:
        return True
    # Arithmetic on sizes, and parts of a higher-order operator's result.
    sources = [value_of(source) for source in node.all_input_nodes]
    plain = getattr(target, "__module__", "") in ("_operator", "math") or target in (torch.sym_max, torch.sym_min)
    return plain and not any(isinstance(value, torch.Tensor) for value in sources)


def _picks_part(node: fx.Node, env: dict[fx.Node, Any]) -> bool:
    """Whether a node takes a part of a result that is known part by part."""
    if node.target is not operator.getitem or not isinstance(node.args[0], fx.Node):
        return False
    return isinstance(env[node.args[0]], (list, tuple)) and isinstance(node.args[1], (int, slice))


def _trace(node: fx.Node, sources: list[fx.Node], mode: FakeTensorMode, modes: _Modes) -> _Traced:
    values = [value_of(source) for source in sources]
    leaves, spec = pytree.tree_flatten(values)
    result_spec: list[pytree.TreeSpec] = []

    def call(*given: Any) -> list[Any]:
        by_source = dict(zip(sources, pytree.tree_unflatten(list(given), spec), strict=True))
        args, kwargs = map_arg((node.args, node.kwargs), by_source.__getitem__)
        function: Any = getattr(torch.Tensor, str(node.target)) if node.op == "call_method" else node.target
        results, structure = pytree.tree_flatten(function(*args, **kwargs))
        result_spec.append(structure)
        return results

    with mode, ExitStack() as stack:
        modes.enter(stack)
        graph, root = record(call, lambda: [_stand_in(leaf) for leaf in leaves], value_of(node))
    _tidy(graph, root, mode)
    _check(graph, node, result_spec[-1])
    return _Traced(graph, result_spec[-1])


def _tidy(graph: fx.Graph, root: torch.nn.Module, mode: FakeTensorMode) -> None:
    """Write scalars that were made into tensors (``x[0] = 3``) as operators, and leave out torch's usage log."""
    for inner in graph.nodes:
        if inner.target is _USAGE_LOG:
            graph.erase_node(inner)
        elif inner.op == "get_attr":
            value = getattr(root, str(inner.target))
            if isinstance(value, torch.Tensor) and value.dim() == 0 and not isinstance(value, FakeTensor):
                with graph.inserting_before(inner):
                    options = {"dtype": value.dtype, "device": value.device}
                    made = graph.call_function(torch.ops.aten.scalar_tensor.default, (value.item(),), options)
                made.meta["val"] = mode.from_tensor(value)
                inner.replace_all_uses_with(made)
                graph.erase_node(inner)


def _check(graph: fx.Graph, node: fx.Node, spec: pytree.TreeSpec) -> None:
    """Refuse a trace that holds a tensor of its own, or whose result is not what Dynamo saw."""
    if any(inner.op == "get_attr" for inner in graph.nodes):
        raise _CannotTrace("it holds a tensor constant")
    recorded = value_of(node)
    if recorded is None:
        return
    (results,) = next(inner for inner in reversed(graph.nodes) if inner.op == "output").args
    computed = [value_of(leaf) if isinstance(leaf, fx.Node) else leaf for leaf in results]
    if not same_type(recorded, pytree.tree_unflatten(computed, spec)):
        raise _CannotTrace(f"traced alone it gives {type_text(tuple(computed))}, not {type_text(recorded)}")


def _leaves(node: fx.Node) -> tuple[list[fx.Node], list[Any]]:
    """The nodes a call reads, each once, and the tensors and numbers their values consist of."""
    sources = node.all_input_nodes
    values = [value_of(source) for source in sources]
    for source, value in zip(sources, values, strict=True):
        if value is None:
            raise _CannotTrace(f"the value of {source.name} is not known")
    leaves = pytree.tree_leaves(values)
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor) and (type(leaf) is not FakeTensor or leaf.layout is not torch.strided):
            raise _CannotTrace(f"it reads a {type(leaf).__name__} of layout {leaf.layout}")
    return sources, leaves


def _type_key(value: Any) -> Any:
    """What a trace depends on in one value, hashable."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_type_key, value))
    if not isinstance(value, torch.Tensor):
        return (type(value).__name__, str(value))
    layout = (*map(str, value.shape), "/", *map(str, value.stride()))
    return (value.dtype, value.device, layout, value.is_conj(), value.is_neg())


def _stand_in(value: Any) -> Any:
    """A fresh tensor of the same type, so that tracing an in-place call leaves the recorded one alone."""
    if not isinstance(value, torch.Tensor) or value.is_conj() or value.is_neg():
        return value
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)


def _splice(graph: fx.Graph, node: fx.Node, traced: _Traced, env: dict[fx.Node, Any]) -> Any:
    """Insert the operators of ``node``; gives its result, as a node or as a structure of nodes."""
    inherited = {key: node.meta[key] for key in _INHERITED if key in node.meta}
    given = _given(node, env)
    inner: dict[fx.Node, Any] = {}
    result: Any = None
    for step in traced.graph.nodes:
        if step.op == "placeholder":
            inner[step] = next(given)
        elif step.op == "output":
            flat: Any = map_arg(step.args[0], inner.__getitem__)
            result = pytree.tree_unflatten(list(flat), traced.spec)
        else:
            inner[step] = new = graph.node_copy(step, inner.__getitem__)
            new.meta = dict(inherited)
            _set_value(new, value_of(step))
    recorded = value_of(node)
    if isinstance(result, fx.Node):
        made = result in inner.values() and not any(result is env[source] for source in node.all_input_nodes)
        if made and recorded is not None:
            _set_value(result, recorded)
            result._rename(node.name)
    elif isinstance(result, (list, tuple)):
        result = tuple(result)
    return result


def _given(node: fx.Node, env: dict[fx.Node, Any]) -> Any:
    """The new nodes that stand for the leaves of a call's inputs."""
    given: list[Any] = []
    for source in node.all_input_nodes:
        parts = pytree.tree_leaves(env[source])
        if len(parts) != len(pytree.tree_leaves(value_of(source))):
            raise _CannotTrace(f"it takes the tuple {source.name} as a whole")
        given += parts
    return iter(given)


def _copy(graph: fx.Graph, node: fx.Node, env: dict[fx.Node, Any]) -> fx.Node:
    new = graph.node_copy(node, env.__getitem__)
    if hasattr(node, "_dynamo_source"):
        new._dynamo_source = node._dynamo_source  # type: ignore[attr-defined]
    if "example_value" in node.meta or "val" in node.meta:
        _set_value(new, value_of(node))
    return new


def _set_value(node: fx.Node, value: Any) -> None:
    # AOTAutograd's cache looks at the second name, and silently gives up without it.
    node.meta["val"] = node.meta["example_value"] = value


def _reshaped_in_place(graph: fx.Graph) -> set[int]:
    """Identities of the values whose shape an in-place call changes: Dynamo recorded only their last shape."""
    found: set[int] = set()
    for node in graph.nodes:
        name = node.target if node.op == "call_method" else getattr(node.target, "__name__", "")
        packet = getattr(torch.ops.aten, name, None) if isinstance(name, str) and name.endswith("_") else None
        if packet is None or name.startswith("_"):
            continue
        if any(torch.Tag.inplace_view in getattr(packet, overload).tags for overload in packet.overloads()):
            found |= {id(value_of(source)) for source in node.all_input_nodes if value_of(source) is not None}
    return found


def _plain_bodies(graph: fx.Graph) -> set[str]:
    """Attribute paths of the bodies that may be normalised."""
    return {
        str(source.target)
        for node in graph.nodes
        if isinstance(node.target, torch._ops.HigherOrderOperator) and node.target.name() in NORMALISED_BODIES
        for source in node.all_input_nodes
        if source.op == "get_attr"
    }


def _fake_mode(gm: fx.GraphModule) -> FakeTensorMode | None:
    values = (value_of(node) for node in gm.graph.nodes)
    return next((leaf.fake_mode for leaf in pytree.tree_leaves(list(values)) if isinstance(leaf, FakeTensor)), None)


def _callee(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def _input(node: fx.Node) -> Input:
    """What a placeholder stands for, from where Dynamo read it."""
    value = value_of(node)
    source = getattr(getattr(node, "_dynamo_source", None), "name", "")
    source = source() if isinstance(source, Callable) else source  # type: ignore[arg-type]
    if not isinstance(value, torch.Tensor):
        symbolic = isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool))
        return Input(node.name, InputKind.SYMBOL if symbolic else InputKind.USER)
    kind = InputKind.USER
    if isinstance(_example(node), torch.nn.Parameter) or "._parameters[" in source:
        kind = InputKind.PARAMETER
    elif "._buffers[" in source:
        kind = InputKind.BUFFER
    elif source.startswith(("L['self']", "L['fn']")):
        kind = InputKind.CONSTANT
    return Input(node.name, kind, None if kind is InputKind.USER else clean_path(source) or node.name)


def _example(node: fx.Node) -> Any:
    try:
        return node.meta["grapharg"].example
    except (AttributeError, KeyError, AssertionError):
        return None


def _ranges(gm: fx.GraphModule) -> dict[str, tuple[int, int | None]]:
    """The values each symbolic size of the inputs may take, as Dynamo knows them so far."""
    from torch.fx.experimental.symbolic_shapes import free_symbols

    mode = _fake_mode(gm)
    known = getattr(getattr(mode, "shape_env", None), "var_to_range", {})
    values = [value_of(node) for node in gm.graph.nodes if node.op == "placeholder"]
    ranges: dict[str, tuple[int, int | None]] = {}
    for value in values:
        symbolic = isinstance(value, (torch.Tensor, torch.SymInt))
        for symbol in free_symbols(value) if symbolic else ():
            limits = known.get(symbol)
            if limits is not None and limits.lower.is_Integer:
                bounded = limits.upper.is_Integer and limits.upper < 2**62
                ranges[str(symbol)] = (int(limits.lower), int(limits.upper) if bounded else None)
    return ranges
