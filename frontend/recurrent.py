"""``regraft.recurrent``: a causal model that takes its input piece by piece, with a state, derived from its forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..compiler.errors import UnsupportedModelError, UsageError
from ..compiler.passes import Pass
from ..compiler.program import fake_of, tensor_of
from ..passes.make_recurrent import Derived, Recurrence, fix_filters, make_recurrent
from ..passes.make_recurrent.exact_decode import close_blocks
from .capture import Inputs, arguments, capture, named_weights
from .rewrite import parse_pipeline

RAISE = ",".join(
    (
        "canonicalise",
        "raise-norm",
        "raise-rotary",
        "raise-long-conv",
        "raise-short-conv",
        "fold-constants",
        "raise-attention",
        "raise-gated-mlp",
    )
)
"""What brings a model into the words whose states are known."""


@dataclass
class State:
    """What a model remembers of ``position`` samples of ``batch`` rows; a pytree of tensors, saved by ``torch.save``.

    The step that takes it writes its tensors in place: :meth:`clone` keeps a state for later.
    """

    position: int
    batch: int
    tensors: dict[str, Tensor]
    batch_dims: dict[str, int]
    """The dimension of each tensor that has the rows."""

    def clone(self) -> State:
        """An independent copy."""
        return replace(self, tensors={name: x.clone() for name, x in self.tensors.items()})

    def to(self, device: torch.device | str) -> State:
        """The state on another device. Its dtypes are those it is computed in, and stay."""
        return replace(self, tensors={name: x.to(device) for name, x in self.tensors.items()})

    def expand(self, batch: int) -> State:
        """The state of one row for ``batch`` rows that go on from it, each with its own copy.

        Raises :class:`UsageError` for a state of several rows.
        """
        sizes = {self.tensors[name].shape[dim] for name, dim in self.batch_dims.items()}
        if self.batch != 1 or sizes - {1}:
            raise UsageError(
                f"a state of {self.batch} rows cannot be expanded to {batch}", hint="expand a state of one"
            )
        tensors = {name: x.repeat_interleave(batch, self.batch_dims[name]) for name, x in self.tensors.items()}
        return replace(self, batch=batch, tensors=tensors)


pytree.register_pytree_node(
    State,
    lambda state: ([state.tensors], (state.position, state.batch, state.batch_dims)),
    lambda children, context: State(context[0], context[1], next(iter(children)), context[2]),
)
torch.serialization.add_safe_globals([State])


class Recurrent(nn.Module):
    """A model run piece by piece; what it gives at a position is what the model gives there for the whole sequence.

    Made by :func:`recurrent`. It shares the model's weights. Filters and tables that were computed from them are kept
    as buffers: after a change of the weights, call :func:`recurrent` again.
    """

    def __init__(
        self, model: nn.Module, derived: Recurrence, out_spec: Any, time: int, rank: int, options: dict[str, Any] | None
    ) -> None:
        """``options`` are those of ``torch.compile``; ``None`` runs the pieces as they are."""
        super().__init__()
        self.model, self.derived, self.max_length = model, derived, derived.tiling.length
        self._out_spec, self._time, self._rank = out_spec, time, rank
        self._body = derived.body if options is None else torch.compile(derived.body, **options)
        self._spectra: dict[str, dict[int, Tensor]] = {}
        self._computed: dict[str, tuple[Any, Tensor]] = {}
        for name, value in derived.known.items():
            if isinstance(value, Tensor):
                self.register_buffer(f"known_{name}", value, persistent=False)
        self._versions = self._weight_versions()

    def init_state(self, batch: int = 1) -> State:
        """The state before the first sample, for ``batch`` rows, where the weights are.

        Raises :class:`UsageError` if the weights have changed since :func:`recurrent` was called.
        """
        if self._weight_versions() != self._versions:
            raise UsageError(
                "the weights have changed since recurrent() was called", hint="call regraft.recurrent(model, ...) again"
            )
        device = next((tensor.device for tensor in self._known()), torch.device("cpu"))
        tensors = {
            slot.name: torch.zeros(
                [_size(s, self.derived.batch, batch) for s in slot.shape], dtype=slot.dtype, device=device
            )
            for slot in self.derived.slots
        }
        return State(0, batch, tensors, {slot.name: slot.batch_dim for slot in self.derived.slots})

    def prefill(self, x: Tensor, state: State | None = None) -> tuple[Any, State]:
        """The model's outputs for the samples x [B, C, ...] that follow ``state``, and the state after them.

        With C = 0 the outputs are ``None`` and the state stays. ``state`` is written in place.
        Raises :class:`UsageError` past ``max_length``, and for a batch that is not the state's.
        """
        outputs, state = self._run(x, self.init_state(x.shape[0]) if state is None else state)
        return None if outputs is None else pytree.tree_unflatten(outputs, self._out_spec), state

    def step(self, x: Tensor, state: State) -> tuple[Any, State]:
        """The outputs for one sample x [B, ...], without the dimension of time, and the state after it."""
        outputs, state = self._run(x.unsqueeze(self._time), state)
        assert outputs is not None
        times = self.derived.output_times
        outputs = [y if time is None else y.select(time, 0) for y, time in zip(outputs, times, strict=True)]
        return pytree.tree_unflatten(outputs, self._out_spec), state

    @torch.no_grad()
    def _run(self, x: Tensor, state: State) -> tuple[list[Any] | None, State]:
        """The flat outputs for a piece, and the state after it."""
        if x.dim() != self._rank:
            raise UsageError(f"the input has rank {x.dim()}, the model was traced with rank {self._rank}")
        after = state.position + x.shape[self._time]
        if after > self.max_length:
            raise UsageError(
                f"position {after} is past max_length={self.max_length}",
                hint="give recurrent() a larger max_length",
            )
        if state.batch != x.shape[0]:
            raise UsageError(
                f"the input has {x.shape[0]} rows and the state {state.batch}",
                hint="state.expand(batch), or init_state(batch)",
            )
        if after == state.position:
            return None, state
        outputs = self._body(x, state.position, *state.tensors.values(), *self._known())
        for name in self.derived.banks:
            close_blocks(
                state.tensors[f"{name}_history"],
                state.tensors[f"{name}_pending"],
                self.get_buffer(f"known_{name}_taps"),
                self._spectra.setdefault(name, {}),
                state.position,
                after,
                self.derived.tiling,
            )
        return list(outputs), replace(state, position=after)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Any, State]:
        """:meth:`prefill`."""
        return self.prefill(x, state)

    def generate(
        self,
        ids: Tensor,
        max_new_tokens: int,
        *,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        eos: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """ids [B, T] followed by ``max_new_tokens`` ids, each drawn from the logits of the last position.

        The most likely one at temperature 0; else from the ``top_k`` most likely whose probabilities, in falling order,
        reach ``top_p``. A row that has drawn ``eos`` goes on with it; generation ends when all rows have.
        """
        y, state = self.prefill(ids)
        made = [ids]
        done = torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)
        for at in range(max_new_tokens):
            logits = _logits(y)[:, -1] if at == 0 else _logits(y)
            drawn = _draw(logits, temperature, top_k, top_p, generator)
            if eos is not None:
                drawn = torch.where(done, eos, drawn)
                done = done | (drawn == eos)
            made.append(drawn.unsqueeze(1))
            if at == max_new_tokens - 1 or (eos is not None and bool(done.all())):
                break
            y, state = self.step(drawn, state)
        return torch.cat(made, 1)

    def _known(self) -> list[Tensor]:
        weights = named_weights(self.model)
        known: dict[str, Tensor] = {}
        for name, value in self.derived.known.items():
            if isinstance(value, Derived):
                known[name] = self._compute(name, value, [known[source] for source in value.of])
            else:
                known[name] = weights[value] if isinstance(value, str) else self.get_buffer(f"known_{name}")
        return list(known.values())

    def _compute(self, name: str, value: Derived, sources: list[Tensor]) -> Tensor:
        """A derived value, kept until one of its sources is another tensor or has been written to."""
        key = [(id(source), source.data_ptr(), source._version) for source in sources]
        if name not in self._computed or self._computed[name][0] != key:
            with torch.no_grad():
                self._computed[name] = (key, value.function(*sources))
        return self._computed[name][1]

    def _weight_versions(self) -> list[int]:
        return [tensor._version for tensor in named_weights(self.model).values()]

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Moves to another device; a cast is refused before anything is rounded, poles and filters above all."""
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            cast = fn(tensor.new_empty(0)).dtype
            if cast != tensor.dtype:
                raise UsageError(
                    f"{name} cannot be cast to {cast}",
                    hint="cast the model before calling regraft.recurrent(model, ...)",
                )
        super()._apply(fn, recurse)
        self._spectra.clear()
        self._computed.clear()
        self._versions = self._weight_versions()
        return self


def recurrent(
    model: nn.Module,
    example: Inputs,
    *,
    max_length: int | None = None,
    passes: str | Sequence[str | Pass] = (),
    exact: str = "relaxed",
    compile: bool | Mapping[str, Any] = False,
) -> Recurrent:
    """Derive from a causal model a module that takes its input piece by piece.

    Args:
        model: in eval mode; its forward takes one tensor [B, T, ...], and other arguments that are no tensors.
        example: a call of it, as for :func:`regraft.optimize`, with at least 4 positions.
        max_length: the most samples a state can hold; by default as many as the example has.
        passes: what else to do to the model before, ``"distill-ssm{order=16}"`` for one: filters are constants by then.
        exact: how long convolutions decode: ``"relaxed"``, ``"epoched"`` or ``"dot"``
            (:mod:`regraft.passes.make_recurrent.exact_decode`).
        compile: compile pieces with TorchInductor; a mapping is passed on to ``torch.compile``.

    Raises:
        UnsupportedModelError: the model cannot be exported, or something in it is not causal or not understood: the
            error names the operator, its module and the line.
        UsageError: the model is in training mode, or is called in another way.
    """
    if model.training:
        raise UsageError("the model is in training mode", hint="model.eval() first")
    time = 1
    length = max((leaf.shape[time] for leaf in _tensors(arguments(example)) if leaf.dim() > time), default=0)
    args, kwargs = _generic(example)
    leaves = _tensors((args, kwargs))
    if len(leaves) != 1 or leaves[0].dim() < 2:
        raise UnsupportedModelError(
            f"the model is called with {len(leaves)} tensors; one of shape [B, T, ...] can be followed along time",
            hint="leave attention masks and positions to the model; rows of unequal length are prefilled one by one",
        )
    program = capture(model, kwargs if kwargs else args, dynamic_shapes=_dynamic(args, kwargs))
    parse_pipeline(RAISE).run(program)
    (source,) = [node for node in program.user_inputs() if tensor_of(node) is not None]
    limit = max_length or length
    fix_filters(program, source, time, limit)
    if passes:
        parse_pipeline(passes).run(program)
    derived = make_recurrent(program, source, time, limit, exact=exact)
    options = dict(compile) if isinstance(compile, Mapping) else {} if compile else None
    return Recurrent(model, derived, program.out_spec, time, fake_of(source).dim(), options)


def _generic(example: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The example with at least two rows and half its positions, sizes no model treats in a way of their own.

    A batch of 1 is never symbolic, and neither is a length that is that of a table the model cuts to size.
    """

    def generic(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or leaf.dim() < 2:
            return leaf
        if leaf.shape[1] < 4:
            raise UsageError(f"the example has {leaf.shape[1]} positions", hint="give at least 4")
        leaf = leaf[:, : leaf.shape[1] // 2 + 1].contiguous()
        return torch.cat((leaf, leaf)) if leaf.shape[0] == 1 else leaf

    return pytree.tree_map(generic, arguments(example))


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, Tensor)]


def _dynamic(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Batch and time are symbolic, and nothing else."""
    auto = torch.export.Dim.DYNAMIC

    def dims(leaf: Any) -> Any:
        return {0: auto, 1: auto} if isinstance(leaf, Tensor) else None

    return {name: dims(value) for name, value in kwargs.items()} if kwargs else tuple(dims(value) for value in args)


def _size(expression: Any, symbol: Any, batch: int) -> int:
    return int(expression.subs({symbol: batch})) if hasattr(expression, "subs") else int(expression)


def _logits(y: Any) -> Tensor:
    found = y if isinstance(y, Tensor) else getattr(y, "logits", None)
    if found is None and isinstance(y, Sequence) and y:
        found = y[0]
    if not isinstance(found, Tensor):
        raise UsageError(f"the model returns {type(y).__name__}, in which there are no logits to draw from")
    return found


def _draw(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float, generator: torch.Generator | None
) -> Tensor:
    """One id for every row of logits [B, V]."""
    if temperature == 0.0:
        return logits.argmax(-1)
    probabilities, ids = (logits.float() / temperature).softmax(-1).sort(-1, descending=True)
    beyond = probabilities.cumsum(-1) - probabilities >= top_p
    if top_k is not None:
        beyond[:, top_k:] = True
    beyond[:, 0] = False
    rank = torch.multinomial(probabilities.masked_fill(beyond, 0), 1, generator=generator)
    return ids.gather(-1, rank).squeeze(-1)
