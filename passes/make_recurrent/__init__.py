"""From a causal program over whole sequences to one that takes a piece of a sequence and a state.

:func:`make_recurrent` is exact: a piece gives what the whole gives there. One graph serves prefilling and stepping: it
takes C >= 1 positions from ``position`` on, the state, and the values that are known before the first sample (weights,
filters, cos and sin, positions). What :mod:`...compiler.analysis.causality` calls stateful becomes a function of
:mod:`.pieces` with its state:

==================  ====================================================================================
short_conv, delay   the last inputs
long_conv           all inputs and the outputs that are pending: :mod:`.exact_decode`
ssm_scan            the modes
ssm_scan_companion  the last samples through the denominator
linear_attention    the matrix
attention           keys and values of all positions, in buffers of ``max_length``
cumsum              the sum so far
==================  ====================================================================================

The program is captured with a symbolic batch and a symbolic length; see :func:`fix_filters` for passes that need the
taps themselves.
"""

from __future__ import annotations

from typing import Any

from torch import fx
from torch.utils._sympy.value_ranges import ValueRanges

from ...compiler.analysis.causality import causality
from ...compiler.calls import bind
from ...compiler.errors import UnsupportedModelError
from ...compiler.program import Input, InputKind, Program, fake_of
from ...compiler.rewriter import Edit
from .exact_decode import Tiling
from .known import Known
from .writer import Bank, Derived, Recurrence, Slot, Writer

__all__ = ["Bank", "Derived", "Recurrence", "Slot", "fix_filters", "make_recurrent"]


def fix_filters(program: Program, source: fx.Node, time: int, max_length: int) -> None:
    """Give every causal ``long_conv`` all ``max_length`` taps of its filter, as a constant of the program.

    The program stays a program over whole sequences, of at most ``max_length``; what is fixed does not follow later
    changes of the weights. A filter that depends on the input is left for :func:`make_recurrent` to refuse.
    """
    facts = causality(program, source, time)
    _bound_length(program, source, time, max_length)
    known = Known(program, source, facts, max_length)
    for number, node in enumerate([n for n, kind in facts.stateful.items() if kind == "long_conv"]):
        k = bind(node)["k"]
        if k not in known.facts.settled or k.op == "placeholder":
            continue
        edit = Edit(node, "make-recurrent", "fix-filters", number, node.name, program.fake_mode)
        name = f"filter_{number}"
        mode = program.fake_mode
        taps = known.value(k).detach().contiguous()
        assert mode is not None
        placeholder = edit.placeholder(name, mode.from_tensor(taps, static_shapes=True))
        program.inputs.append(Input(placeholder.name, InputKind.CONSTANT, name))
        program.weights = {**(program.weights or {}), name: taps}
        node.update_arg(1, placeholder) if len(node.args) > 1 else node.update_kwarg("k", placeholder)
        edit.remove(k)
        edit.finish()
    program.graph.eliminate_dead_code(is_impure_node=lambda n: n.op in ("placeholder", "output"))
    program.recompile()


def _bound_length(program: Program, source: fx.Node, time: int, max_length: int) -> None:
    """Sequences are no longer than this: passes may ask over how many taps a filter matters."""
    length: Any = fake_of(source).shape[time]
    symbol, environment = length.node.expr, length.node.shape_env
    environment.var_to_range[symbol] &= ValueRanges(2, max_length)
    program.ranges[str(symbol)] = (2, max_length)


def make_recurrent(
    program: Program, source: fx.Node, time: int, max_length: int, *, exact: str = "relaxed"
) -> Recurrence:
    """Derive the program of a piece; ``source`` is the placeholder of the sequence, with ``time`` its dimension.

    Raises :class:`UnsupportedModelError` naming every operator that cannot be run piece by piece.
    """
    facts = causality(program, source, time)
    if facts.obstacles:
        raise UnsupportedModelError(
            "the model cannot be run step by step: " + "; ".join(str(o) for o in facts.obstacles[:8]),
            where=facts.obstacles[0].line or None,
            hint="make it causal, or run what blocks it outside of the model",
        )
    writer = Writer(program, source, facts, max_length, Tiling.of(exact, max_length))
    return writer.write()
