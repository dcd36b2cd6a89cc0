"""Causality: which dimension of every value is time, and what a step has to remember of the past.

Works on a program captured with a symbolic length, so that time is found by its symbol and never by its size. Every
node of the outermost graph gets one of three facts, by forward dataflow with one rule for each family of operators:

- *settled*: depends on weights and sizes alone (filters, positions, cos and sin), known before the first sample;
- *stream*: position t along :attr:`Causality.time` depends on inputs up to t only. It is either computed position by
  position, or by one of the operators in :data:`STATEFUL`, which need a state to be run piece by piece;
- *blocked*: anything else, and anything not understood. The :class:`Obstacle` names the first such operators.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import fx
from torch.utils import _pytree as pytree

from ..calls import bind
from ..ops import is_semantic
from ..ops import op_name as semantic_name
from ..program import Program, is_operator, tensor_of, user_line, value_of
from ..sites import sites
from .effects import is_random, mutated

aten = torch.ops.aten

STATEFUL = (
    *("short_conv", "long_conv", "ssm_scan", "ssm_scan_companion", "linear_attention", "attention"),
    *("delay", "cumsum"),
)
"""What remembers the past; ``delay`` is a pad by (n, -n) along time."""

_VIEWS = {aten.view, aten.reshape, aten._unsafe_view, aten.unflatten, aten.flatten, aten.unsqueeze, aten.squeeze}
_MOVES = {
    aten.transpose,
    aten.permute,
    aten.t,
    aten.mT,
    aten.movedim,
    aten.swapaxes,
    aten.expand,
    aten.repeat_interleave,
}
_COPIES = {aten.clone, aten.contiguous, aten.to, aten._to_copy, aten.type_as, aten.alias, aten.detach, aten.dropout}
_ALONG = {
    *(aten.split, aten.split_with_sizes, aten.chunk, aten.unbind, aten.select, aten.flip, aten.glu),
    *(aten.softmax, aten._softmax, aten.log_softmax, aten.logsumexp, aten.linalg_vector_norm, aten.norm),
    *(aten.sum, aten.mean, aten.var, aten.amax, aten.amin, aten.any, aten.all),
}
_JOINS = {aten.cat, aten.stack}


@dataclass(frozen=True)
class Obstacle:
    """A node that keeps a program from being run piece by piece."""

    site: str
    reason: str
    line: str

    def __str__(self) -> str:
        """``site: reason (file:line: code)``."""
        return f"{self.site}: {self.reason}" + (f" ({self.line})" if self.line else "")


@dataclass
class Causality:
    """What is known of every node; a stream with an obstacle before it has no facts."""

    symbol: Any
    """The length of the sequence, a sympy symbol."""
    time: dict[fx.Node, int] = field(default_factory=dict[fx.Node, int])
    """For every stream, its dimension of time; for a tuple of streams, that of each."""
    settled: dict[fx.Node, None] = field(default_factory=dict[fx.Node, None])
    stateful: dict[fx.Node, str] = field(default_factory=dict[fx.Node, str])
    """The streams that need a state, with their name in :data:`STATEFUL`."""
    obstacles: list[Obstacle] = field(default_factory=list[Obstacle])


class _Blocked(Exception):
    """Why a node is not causal."""


def causality(program: Program, source: fx.Node, time: int) -> Causality:
    """Follow time from dimension ``time`` of the input ``source``, whose size is symbolic, through the outermost graph.

    Other inputs of the call that are tensors are obstacles where they are used.
    """
    value = tensor_of(source)
    size = None if value is None else value.shape[time]
    if not isinstance(size, torch.SymInt):
        raise ValueError(f"dimension {time} of {source.name} has no symbolic size")
    facts = Causality(expression(size))
    handles = {site.node: str(site) for site in sites(program, lambda _: True)}
    users = {node for node in program.user_inputs() if tensor_of(node) is not None}
    for node in program.graph.nodes:
        if node is source:
            facts.time[node] = time
        elif node.op == "placeholder" and node in users:
            if node.users:
                facts.obstacles.append(Obstacle(str(node), "a second input is not followed along time", ""))
        elif node.op in ("placeholder", "get_attr"):
            facts.settled[node] = None
        elif node.op == "call_function" and all(s in facts.time or s in facts.settled for s in node.all_input_nodes):
            try:
                _judge(node, facts)
            except _Blocked as reason:
                facts.obstacles.append(Obstacle(handles.get(node, str(node)), str(reason), user_line(node) or ""))
    return facts


def expression(size: Any) -> Any:
    """What a symbolic size stands for, a sympy expression; a number stands for itself."""
    return cast(Any, size).node.expr if isinstance(size, torch.SymInt) else size


def time_of(value: Any, symbol: Any) -> int | None:
    """The one dimension of a tensor whose size is ``symbol``; ``None`` if no size depends on it, ``_Blocked`` else."""
    if not isinstance(value, torch.Tensor):
        return None
    sizes = [expression(size) for size in value.shape]
    found = [dim for dim, size in enumerate(sizes) if symbol in getattr(size, "free_symbols", ())]
    if not found:
        return None
    if len(found) > 1:
        raise _Blocked(f"{len(found)} of its dimensions are time: all pairs of positions at once")
    if sizes[found[0]] != symbol:
        raise _Blocked(f"mixes time with another dimension, or changes its length to {sizes[found[0]]}")
    return found[0]


def _judge(node: fx.Node, facts: Causality) -> None:
    if is_random(node) or mutated(node):
        raise _Blocked("draws random numbers" if is_random(node) else "writes in place")
    streams = [source for source in node.all_input_nodes if source in facts.time]
    if not streams or node.target is aten.sym_size.int:
        facts.settled[node] = None
        return
    name, target = _rule(node, facts)
    times = {time_of(leaf, facts.symbol) for leaf in pytree.tree_leaves(value_of(node)) if _is_tensor(leaf)}
    if name in ("ssm_scan", "ssm_scan_companion", "linear_attention"):
        # The other result is the state after the last position.
        times.discard(None)
    if len(times) != 1 or None in times:
        raise _Blocked("its result has no dimension of time")
    facts.time[node] = next(time for time in times if time is not None)
    if name in STATEFUL:
        facts.stateful[node] = name
    target(node, facts)


def _rule(node: fx.Node, facts: Causality) -> tuple[str, Callable[[fx.Node, Causality], None]]:
    """The name of the state a node needs, if any, and the check of its arguments."""
    target = node.target
    if target is operator.getitem:
        return "", _getitem
    if not is_operator(target):
        raise _Blocked("is not understood")
    if is_semantic(target):
        name = semantic_name(target)
        if name not in _SEMANTIC:
            raise _Blocked("has no form that runs piece by piece")
        return name, _SEMANTIC[name]
    packet = target.overloadpacket
    if packet in (aten.pad, aten.constant_pad_nd):
        return ("delay" if _delays(node, facts) else ""), _pad
    if packet is aten.cumsum:
        at = _dims(node, facts)
        return ("cumsum" if facts.time[_stream(node, facts)] in at else ""), _nothing
    if packet in _VIEWS:
        return "", _view
    if packet in _MOVES or packet in _COPIES:
        return "", _nothing
    if packet in _ALONG:
        return "", _along
    if packet in _JOINS:
        return "", _join
    if packet is aten.slice:
        return "", _slice
    if torch.Tag.pointwise in target.tags or packet in (aten.where, aten.masked_fill):
        return "", _aligned
    if packet in (aten.linear, aten.layer_norm, aten.rms_norm, aten.embedding, aten.matmul):
        return "", _features
    raise _Blocked("is not understood")


def _nothing(node: fx.Node, facts: Causality) -> None:
    """Nothing to check: where time is in the result is what its symbol says."""


def _getitem(node: fx.Node, facts: Causality) -> None:
    if node.args[0] in facts.stateful and node.args[1] != 0:
        raise _Blocked("reads the state after the last position")


def _view(node: fx.Node, facts: Causality) -> None:
    """What lies before time must be the same on both sides, or positions are mixed with other elements."""
    source = _stream(node, facts)
    before, after = (_before(n, facts.time[n]) for n in (source, node))
    if before != after:
        raise _Blocked("mixes time with another dimension")


def _before(node: fx.Node, time: int) -> Any:
    value = tensor_of(node)
    assert value is not None
    product: Any = 1
    for size in value.shape[:time]:
        product = product * expression(size)
    return product


def _along(node: fx.Node, facts: Causality) -> None:
    if facts.time[_stream(node, facts)] in _dims(node, facts):
        raise _Blocked("works along time, over later positions too")


def _join(node: fx.Node, facts: Causality) -> None:
    (given,) = node.args[:1]
    assert isinstance(given, list | tuple)
    at = _dims(node, facts)
    if is_operator(node.target) and node.target.overloadpacket is aten.cat:
        if facts.time[node] in at:
            raise _Blocked("joins along time")
        if {facts.time.get(x, facts.time[node]) for x in given if isinstance(x, fx.Node)} != {facts.time[node]}:
            raise _Blocked("joins values whose time is not the same dimension")
    elif any(source not in facts.time for source in node.all_input_nodes):
        raise _Blocked("stacks positions with something that has none")


def _slice(node: fx.Node, facts: Causality) -> None:
    """Along time only all of it: the result's length is that of the input, so a start or a step is out of place."""
    call = bind(node)
    source = _stream(node, facts)
    if facts.time[source] in _dims(node, facts) and (call.get("start") not in (None, 0) or call.get("step", 1) != 1):
        raise _Blocked("takes a part of the sequence")


def _delays(node: fx.Node, facts: Causality) -> bool:
    """Whether a pad moves a stream to later positions: (n, -n) along time, and zeros."""
    pad = node.args[1]
    time = facts.time[_stream(node, facts)]
    at = 2 * (_rank(node) - 1 - time)
    assert isinstance(pad, list | tuple)
    return at < len(pad) and any(p != 0 for p in pad[at : at + 2])


def _pad(node: fx.Node, facts: Causality) -> None:
    call = bind(node)
    if call.get("mode", "constant") != "constant":
        raise _Blocked("pads with what is not constant")
    if not _delays(node, facts):
        return
    pad, at = call["pad"], 2 * (_rank(node) - 1 - facts.time[node])
    others = [p for dim, p in enumerate(pad) if dim not in (at, at + 1)]
    if any(others) or not isinstance(pad[at], int) or pad[at] < 0 or call.get("value") not in (None, 0, 0.0):
        raise _Blocked("pads along time in another way than a delay by zeros")


def _aligned(node: fx.Node, facts: Causality) -> None:
    """Broadcasting counts from the last dimension: time must be the same one in every operand that has it."""
    place = facts.time[node] - _rank(node)
    for source in node.all_input_nodes:
        time = facts.time.get(source, time_of(value_of(source), facts.symbol))
        if time is not None and time - _rank(source) != place:
            raise _Blocked("combines values whose time is not the same dimension")


def _features(node: fx.Node, facts: Causality) -> None:
    """A linear map, a norm, or a look-up of each position: over trailing features, never over time."""
    target, source = node.target, node.args[0]
    packet = target.overloadpacket if is_operator(target) else None
    if packet is aten.embedding:
        if node.args[1] not in facts.time or node.args[0] in facts.time:
            raise _Blocked("looks up what depends on the input")
        return
    others = node.all_input_nodes
    if not isinstance(source, fx.Node) or source not in facts.time or sum(n in facts.time for n in others) != 1:
        raise _Blocked("has weights that depend on the input")
    widths = bind(node).get("normalized_shape", [0])
    if facts.time[source] >= _rank(source) - len(widths):
        raise _Blocked("sums over time")


def _settled_but(*streams: str, at: int) -> Callable[[fx.Node, Causality], None]:
    """Arguments named by ``streams`` have time at ``at`` (from the end), and all others are settled."""

    def check(node: fx.Node, facts: Causality) -> None:
        for name, value in bind(node).items():
            if not isinstance(value, fx.Node):
                continue
            if name not in streams and value in facts.time:
                raise _Blocked(f"its {name} depends on the input")
            if name in streams and value in facts.time and facts.time[value] != _rank(value) + at:
                raise _Blocked(f"time is dimension {facts.time[value]} of its {name}")

    return check


def _long_conv(node: fx.Node, facts: Causality) -> None:
    call = bind(node)
    if call["lags"] != "causal":
        raise _Blocked(f"its lags are {call['lags']!r}: it looks ahead")
    _settled_but("u", "pre_gate", "post_gate", at=-1)(node, facts)
    if call["u"] not in facts.time:
        raise _Blocked("it does not convolve the input")


def _attention(node: fx.Node, facts: Causality) -> None:
    call = bind(node)
    if call["mask"] not in ("causal", "sliding"):
        raise _Blocked(f"its mask is {call['mask']!r}: a position sees later ones")
    if call["offset"] != 0:
        raise _Blocked("its mask is causal with an offset")
    if call["dropout"]:
        raise _Blocked("draws random numbers")
    for name in ("bias", "key_lengths"):
        if call[name] is not None:
            raise _Blocked(f"it has a {name}, whose columns are all positions")
    if any(call[name] not in facts.time for name in ("q", "k", "v")):
        raise _Blocked("its queries, keys and values do not all come from the input")
    _settled_but("q", "k", "v", at=-2)(node, facts)


def _recurrent(*streams: str, at: int) -> Callable[[fx.Node, Causality], None]:
    inner = _settled_but(*streams, at=at)

    def check(node: fx.Node, facts: Causality) -> None:
        call = bind(node)
        if call["initial_state"] is not None:
            raise _Blocked("it starts from a state of its own")
        if isinstance(call.get("decay"), fx.Node) and call["decay"] in facts.time:
            if facts.time[call["decay"]] != _rank(call["decay"]) - 1:
                raise _Blocked("time is not the last dimension of its decay")
            return _settled_but(*streams, "decay", at=at)(node, _without(facts, call["decay"]))
        if any(call[name] not in facts.time for name in streams):
            raise _Blocked(f"its {' and '.join(streams)} do not all come from the input")
        return inner(node, facts)

    return check


def _without(facts: Causality, node: fx.Node) -> Causality:
    return Causality(facts.symbol, {n: t for n, t in facts.time.items() if n is not node}, facts.settled)


_SEMANTIC: dict[str, Callable[[fx.Node, Causality], None]] = {
    "rms_norm": _features,
    "layer_norm": _features,
    "gated_mlp": _features,
    "rotary": _aligned,
    "short_conv": _settled_but("u", at=-1),
    "long_conv": _long_conv,
    "ssm_scan": _recurrent("u", at=-1),
    "ssm_scan_companion": _recurrent("u", at=-1),
    "linear_attention": _recurrent("q", "k", "v", at=-2),
    "attention": _attention,
}


def _stream(node: fx.Node, facts: Causality) -> fx.Node:
    source = node.args[0]
    if not isinstance(source, fx.Node) or source not in facts.time:
        raise _Blocked("its first argument does not depend on the input")
    return source


def _dims(node: fx.Node, facts: Causality) -> set[int]:
    """The dimensions a call works along; all of them when it names none."""
    call = bind(node)
    given = call.get("dim", call.get("dims", 0))
    rank = _rank(node) if is_operator(node.target) and node.target.overloadpacket in _JOINS else _rank_of_first(node)
    if given is None or given == []:
        return set(range(rank))
    dims = cast("Iterable[int]", given if isinstance(given, list | tuple) else (given,))
    return {dim % rank for dim in dims}


def _rank(node: fx.Node) -> int:
    value = tensor_of(node)
    return 0 if value is None else value.dim()


def _rank_of_first(node: fx.Node) -> int:
    return _rank(node.args[0]) if isinstance(node.args[0], fx.Node) else _rank(node)


def _is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor)
