"""Run a program as it stands, eagerly, over real tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx

from .errors import UsageError
from .program import InputKind, Program


def execute(program: Program, user: Sequence[Any], weights: Mapping[str, torch.Tensor] | None = None) -> Any:
    """Call the graph on the USER (and SYMBOL) inputs in order; gives the graph's flat outputs.

    ``weights`` by FQN default to the program's own. Gradients flow to inputs and weights as in the model.
    """
    return program.module(*flat_arguments(program, user, weights))


def flat_arguments(
    program: Program, user: Sequence[Any], weights: Mapping[str, torch.Tensor] | None = None
) -> list[Any]:
    """The values of all placeholders in order. Raises :class:`UsageError` when some are missing or left over."""
    weights = weights if weights is not None else program.weights or {}
    derived = iter(run_prelude(program, weights))
    given = iter(user)
    values: list[Any] = []
    try:
        for record in program.inputs:
            if record.kind is InputKind.DERIVED:
                values.append(next(derived))
            elif record.is_weight:
                assert record.fqn is not None
                values.append(weights[record.fqn])
            else:
                values.append(next(given))
    except KeyError as error:
        raise UsageError(f"the program needs weight {error.args[0]!r}, which is not at hand") from None
    except StopIteration:
        expected = sum(not record.is_weight for record in program.inputs)
        raise UsageError(f"the program takes {expected} inputs, {len(user)} were given") from None
    if next(given, values) is not values:
        raise UsageError(f"the program takes fewer than the {len(user)} inputs given")
    return values


def run_prelude(program: Program, weights: Mapping[str, torch.Tensor]) -> Sequence[torch.Tensor]:
    """The DERIVED inputs, computed from the weights."""
    if program.prelude is None:
        return ()
    return program.prelude(*(weights[fqn] for fqn in prelude_sources(program.prelude)))


def prelude_sources(prelude: fx.GraphModule) -> list[str]:
    """FQNs of the weights a prelude reads, in order."""
    return [node.meta["fqn"] for node in prelude.graph.nodes if node.op == "placeholder"]
