"""Standing in for a module's ``forward``: look a call up by its signature, run the rewritten graph, or the original.

A :class:`Variant` is one rewritten graph together with everything that must hold of a call for it to apply. A
:class:`Dispatch` sits in the module's ``forward`` attribute and holds the variants; a call that fits none runs the
original forward, is counted by reason, and is spoken of once per reason.
"""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from itertools import chain
from typing import Any

import sympy
import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx._graph_pickler import GraphPickler, Options
from torch.utils import _pytree as pytree

from ..compiler.execute import prelude_sources
from ..compiler.program import InputKind, Program, copy_module, value_of
from ..lowering.dissolve import dissolve


@dataclass(frozen=True)
class TensorGuard:
    """What a tensor argument must look like; a dimension is a size, or an expression over symbols."""

    dtype: torch.dtype
    device: torch.device
    shape: tuple[int | str, ...]
    contiguous: bool

    def mismatch(self, value: Any, symbols: dict[str, int]) -> str | None:
        """Why ``value`` does not fit, if it does not; fills in the symbols it is the first to show."""
        if not isinstance(value, Tensor):
            return f"a tensor was traced, {type(value).__name__} was given"
        if value.dtype != self.dtype or value.device != self.device:
            return f"traced as {self.dtype} on {self.device}, given {value.dtype} on {value.device}"
        if value.dim() != len(self.shape):
            return f"traced with {len(self.shape)} dimensions, given {value.dim()}"
        if self.contiguous and not value.is_contiguous():
            return "traced contiguous, given strided"
        for wanted, size in zip(self.shape, value.shape, strict=True):
            expected = wanted if isinstance(wanted, int) else _symbolic_size(wanted, size, symbols)
            if expected != size:
                return f"traced with shape {list(self.shape)}, given {list(value.shape)}"
        return None


@dataclass
class Variant:
    """One rewritten graph and the calls it stands for."""

    module: fx.GraphModule
    prelude: fx.GraphModule | None
    weight_names: tuple[str | None, ...]
    """Per placeholder: FQN of a weight, ``"*"`` for a derived value, or ``None`` for a value of the call."""
    positional: tuple[str, ...]
    keywords: tuple[str, ...]
    in_spec: pytree.TreeSpec
    out_spec: pytree.TreeSpec
    guards: tuple[Any, ...]
    """Per leaf of the call: a :class:`TensorGuard`, or the very value that was traced."""
    ranges: Mapping[str, tuple[int, int | None]]
    training: bool
    constants: Mapping[str, Tensor] = field(default_factory=dict)
    """Tensors the trace made itself, by the name the graph knows them by."""
    compile_options: Mapping[str, Any] | None = None
    """Arguments of ``torch.compile`` for the graph, or ``None`` to run it eagerly."""
    _run: Callable[..., Any] | None = field(default=None, repr=False)
    _derived: tuple[Any, Sequence[Tensor]] | None = field(default=None, repr=False)

    def fit(self, bound: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[list[Any] | None, str]:
        """The leaves of a call in order, or ``None`` and why the call does not fit."""
        wanted = {*self.positional, *self.keywords}
        bound = {**{name: defaults[name] for name in wanted & defaults.keys()}, **bound}
        if set(bound) != wanted:
            return None, f"arguments {sorted(bound)} were given, {sorted(wanted)} were traced"
        call = (tuple(bound[name] for name in self.positional), {name: bound[name] for name in self.keywords})
        leaves, spec = pytree.tree_flatten(call)
        if spec != self.in_spec:
            return None, "the arguments have another structure"
        symbols: dict[str, int] = {}
        for at, (guard, leaf) in enumerate(zip(self.guards, leaves, strict=True)):
            if isinstance(guard, TensorGuard):
                problem = guard.mismatch(leaf, symbols)
                if problem:
                    return None, f"input {at}: {problem}"
            elif isinstance(leaf, Tensor) or type(leaf) is not type(guard) or leaf != guard:
                return None, f"input {at}: traced as {guard!r}, given {type(leaf).__name__}"
        for name, size in symbols.items():
            lower, upper = self.ranges.get(name, (0, None))
            if size < lower or (upper is not None and size > upper):
                return None, f"size {size} of {name} is outside the traced range [{lower}, {upper}]"
        return leaves, ""

    def run(self, leaves: list[Any], weights: Mapping[str, Tensor]) -> Any:
        """Call the graph over live weights and rebuild the original's return structure."""
        derived, given = iter(self._derive(weights)), iter(leaves)
        if self.constants:
            weights = {**weights, **self.constants}
        flat = [
            next(given) if name is None else next(derived) if name == "*" else weights[name]
            for name in self.weight_names
        ]
        if self._run is None:
            options = self.compile_options
            self._run = self.module if options is None else torch.compile(self.module, **options)
        return pytree.tree_unflatten(self._run(*flat), self.out_spec)

    def _derive(self, weights: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Values folded from weights: kept until a weight changes, computed live where gradients are wanted."""
        if self.prelude is None:
            return ()
        sources = [weights[name] for name in prelude_sources(self.prelude)]
        if torch.is_grad_enabled() and any(source.requires_grad for source in sources):
            return self.prelude(*sources)
        key = tuple((id(source), source.data_ptr(), source._version) for source in sources)
        if self._derived is None or self._derived[0] != key:
            with torch.no_grad():
                self._derived = (key, tuple(self.prelude(*sources)))
        return self._derived[1]

    def __getstate__(self) -> dict[str, Any]:
        """Graphs as bytes, without their fake values; what is rebuilt on first use is left out."""
        graphs = {"module": _dump(self.module), "prelude": None if self.prelude is None else _dump(self.prelude)}
        return {**self.__dict__, **graphs, "_run": None, "_derived": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Read the graphs back; the operators in them must be registered for that."""
        for registers in ("..compiler.ops", "..passes.distill_ssm.op"):
            import_module(registers, __package__)
        self.__dict__.update(state)
        self.module = _load(state["module"])
        self.prelude = None if state["prelude"] is None else _load(state["prelude"])

    def __deepcopy__(self, memo: dict[int, Any]) -> Variant:
        """Graphs are shared between copies, which never change them; caches are not."""
        return Variant(**{**self.__dict__, "_run": None, "_derived": None})


class Dispatch:
    """Callable that stands in for ``module.forward``."""

    def __init__(self, module: nn.Module) -> None:
        """Take over ``module.forward``; the module's class is untouched."""
        self.module = module
        self.variants: list[Variant] = []
        self.hits: Counter[int] = Counter()
        """Calls answered by each variant."""
        self.misses: Counter[str] = Counter()
        """Calls that ran the original forward, by reason."""
        self._baseline: _State | None = None

    @property
    def original(self) -> Callable[..., Any]:
        """The forward the class defines, bound to the module."""
        return type(self.module).forward.__get__(self.module)

    @property
    def __signature__(self) -> inspect.Signature:
        """That of the original, for those who inspect ``forward``."""
        return inspect.signature(self.original)

    def add(self, variant: Variant) -> None:
        """Hold one more variant; the state of the module now is the one it was traced in."""
        self.variants.append(variant)
        self._baseline = _State.of(self.module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the first variant that fits, or the original."""
        if self._baseline is None:
            self._baseline = _State.of(self.module)
        reason = self._baseline.changed()
        if not reason:
            signature = self.__signature__
            bound = call_by_name(signature, args, kwargs)
            defaults = {name: p.default for name, p in signature.parameters.items() if p.default is not p.empty}
            for at, variant in enumerate(self.variants):
                if variant.training != self.module.training:
                    reason = f"the module is in {'training' if self.module.training else 'eval'} mode"
                    continue
                leaves, why = variant.fit(bound, defaults)
                if leaves is not None:
                    self.hits[at] += 1
                    return variant.run(leaves, self._baseline.weights())
                reason = why
        self._miss(reason)
        return self.original(*args, **kwargs)

    def _miss(self, reason: str) -> None:
        self.misses[reason] += 1
        if self.misses[reason] == 1:
            warnings.warn(
                f"{type(self.module).__name__}: this call runs the original forward, because {reason}; "
                "give regraft.optimize() such inputs too if they matter",
                stacklevel=4,
            )

    def __getstate__(self) -> dict[str, Any]:
        """Without facts about live modules, which are taken again after loading."""
        return {**self.__dict__, "_baseline": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> Dispatch:
        """A dispatch for the copied module."""
        from copy import deepcopy

        fresh = Dispatch.__new__(Dispatch)
        memo[id(self)] = fresh
        fresh.__dict__.update({key: deepcopy(value, memo) for key, value in self.__getstate__().items()})
        return fresh


class _State:
    """What of a module a trace depends on, in a form that is quick to compare at every call."""

    def __init__(self, module: nn.Module) -> None:
        self._modules = list(module.modules())
        self._children = [owner._modules for owner in self._modules]
        hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
        # The root's own hooks run round this dispatch, as they did round the original.
        self._hooks = [getattr(owner, kind) for owner in self._modules[1:] for kind in hooks]
        self._holders: dict[str, tuple[dict[str, Any], str]] = {}
        for prefix, owner in module.named_modules(remove_duplicate=False):
            loose = {name: value for name, value in owner.__dict__.items() if isinstance(value, Tensor)}
            for table, names in ((owner.__dict__, loose), (owner._buffers,) * 2, (owner._parameters,) * 2):
                self._holders |= {f"{prefix}.{name}".lstrip("."): (table, name) for name in names}
        self._facts = self._now()

    @classmethod
    def of(cls, module: nn.Module) -> _State:
        return cls(module)

    def weights(self) -> dict[str, Tensor]:
        """Live weights by FQN."""
        return {name: table[key] for name, (table, key) in self._holders.items()}

    def changed(self) -> str:
        """What changed since the trace, in words, or an empty string."""
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            return "autocast is on, and was off when the model was traced"
        now = self._now()
        if now == self._facts:
            return ""
        children, hooks, training, _ = (a == b for a, b in zip(now, self._facts, strict=True))
        if not children:
            return "a submodule was replaced"
        if not hooks:
            return "a submodule has hooks, which a rewritten graph would pass by"
        return "some submodules changed between training and eval mode" if not training else "a weight changed its type"

    def _now(self) -> tuple[list[Any], ...]:
        tensors = [table.get(key) for table, key in self._holders.values()]
        return (
            list(chain.from_iterable(map(dict.values, self._children))),
            list(map(len, self._hooks)),
            [owner.training for owner in self._modules[1:]] if len(set(map(_is_training, self._modules))) > 1 else [],
            [None if t is None else (t.dtype, t.device, t.shape) for t in tensors],
        )


def variant_of(
    program: Program,
    positional: Sequence[str],
    keywords: Sequence[str],
    constants: Mapping[str, Tensor],
    compile_options: Mapping[str, Any] | None,
) -> Variant:
    """The variant of an exported program, for calls with these argument names.

    ``constants`` are the tensors the trace made itself, which the module does not hold.
    """
    assert program.in_spec is not None
    assert program.out_spec is not None
    names = [("*" if r.kind is InputKind.DERIVED else r.fqn) if r.is_weight else None for r in program.inputs]
    return Variant(
        module=program.module if compile_options is not None else dissolve(program),
        prelude=program.prelude,
        weight_names=tuple(names),
        positional=tuple(positional),
        keywords=tuple(keywords),
        in_spec=program.in_spec,
        out_spec=program.out_spec,
        guards=tuple(_guard(node) for node in program.user_inputs()),
        ranges=program.ranges,
        training=program.training,
        constants=dict(constants),
        compile_options=compile_options,
    )


@contextmanager
def original_forward(model: nn.Module) -> Iterator[None]:
    """Inside, the model and its submodules run the forward of their class, whatever variants they have."""
    held = [(owner, owner.__dict__["forward"]) for owner in model.modules() if "forward" in owner.__dict__]
    taken = [(owner, forward) for owner, forward in held if isinstance(forward, Dispatch)]
    for owner, _ in taken:
        del owner.__dict__["forward"]
    try:
        yield
    finally:
        for owner, dispatch in taken:
            owner.__dict__["forward"] = dispatch


def call_by_name(
    signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any], *, partial: bool = False
) -> dict[str, Any]:
    """Arguments of a call by parameter name; those equal to their default are left out, as if not given."""
    bound: dict[str, Any] = {}
    binding = signature.bind_partial(*args, **kwargs) if partial else signature.bind(*args, **kwargs)
    for name, value in binding.arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            bound |= value
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            bound |= {f"{name}[{at}]": item for at, item in enumerate(value)}
        elif not (value is parameter.default or (value is None and parameter.default is None)):
            bound[name] = value
    return bound


def _guard(node: fx.Node) -> Any:
    value = value_of(node)
    if not isinstance(value, Tensor):
        return value
    shape = tuple(size if isinstance(size, int) else str(size) for size in value.shape)
    return TensorGuard(value.dtype, value.device, shape, value.is_contiguous())


def _symbolic_size(expression: str, size: int, symbols: dict[str, int]) -> int | None:
    """The size an expression demands, given the symbols seen so far; a bare new symbol takes ``size``."""
    if expression.isidentifier():
        return symbols.setdefault(expression, size)
    parsed: Any = sympy.sympify(expression)
    value = parsed.subs(symbols)
    return int(value) if value.is_Integer else None


def _dump(module: fx.GraphModule) -> bytes:
    bare = copy_module(module)
    for graph in (bare, *(child for child in bare.modules() if isinstance(child, fx.GraphModule))):
        graph.meta = {}
        for node in graph.graph.nodes:
            node.meta = {"fqn": node.meta["fqn"]} if "fqn" in node.meta else {}
    # Operators of ours are registered again by whoever reads it.
    return GraphPickler.dumps(bare, Options(ops_filter=None))


def _load(data: bytes) -> fx.GraphModule:
    module = GraphPickler.loads(data, FakeTensorMode())
    assert isinstance(module, fx.GraphModule)
    for graph in module.modules():
        if isinstance(graph, fx.GraphModule):
            graph.recompile()
    return module


def _is_training(module: nn.Module) -> bool:
    return module.training
