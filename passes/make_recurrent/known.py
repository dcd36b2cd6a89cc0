"""What is known before the first sample: values that depend on weights and on the length of the sequence alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from ...compiler.analysis.causality import Causality, expression
from ...compiler.analysis.constants import evaluate, weight_values
from ...compiler.errors import UnsupportedModelError
from ...compiler.program import Program, fake_of, tensor_of, user_line, value_of

aten = torch.ops.aten


class Known:
    """Values of settled nodes at ``max_length``, and the proof that shorter sequences see their first part."""

    def __init__(self, program: Program, source: fx.Node, facts: Causality, max_length: int) -> None:
        """``source`` is the placeholder of the sequence, whose first dimension is the batch."""
        self.facts, self.length = facts, max_length
        value = fake_of(source)
        self.time = facts.time[source]
        self.batch = expression(value.shape[0])
        weights = weight_values(program)
        other = max(2, max_length // 2 + 1)
        self.memos = [self._memo(program, dict(weights), length) for length in (max_length, other)]
        self.lengths = (max_length, other)

    def value(self, node: fx.Node) -> Tensor:
        """The value at max_length, the batch being 1."""
        place = self.place(node)
        value, shorter = (evaluate(node, memo) for memo in self.memos)
        if place is None:
            return value
        if value.shape[place] != self.length:
            raise UnsupportedModelError(
                f"{node.name} has {value.shape[place]} positions of the {self.length} asked for",
                where=user_line(node),
                hint=f"max_length={value.shape[place]} is the most this model is made for",
            )
        first = value.narrow(place, 0, self.lengths[1])
        if not torch.allclose(first.double(), shorter.double(), rtol=1e-5, atol=1e-6):
            raise UnsupportedModelError(
                f"{node.name} depends on the length of the sequence, which is not known while it arrives",
                where=user_line(node),
                hint="normalise positions and filters by a fixed length",
            )
        return value

    def place(self, node: fx.Node) -> int | None:
        """Its dimension of time, if any."""
        value = tensor_of(node)
        sizes = [] if value is None else [expression(s) for s in value.shape]
        found = [dim for dim, size in enumerate(sizes) if size == self.facts.symbol]
        free = {s for size in sizes for s in getattr(size, "free_symbols", ())}
        if len(found) > 1 or (not found and self.facts.symbol in free):
            raise UnsupportedModelError(
                f"{node.name} has a size that grows with the sequence in an unknown way", where=user_line(node)
            )
        return found[0] if found else None

    def per_row(self, node: fx.Node) -> bool:
        """Whether it has a dimension of the batch, which is 1 in :meth:`value`."""
        value = tensor_of(node)
        return value is not None and any(
            isinstance(s, torch.SymInt) and self.batch in expression(s).free_symbols for s in value.shape
        )

    def _memo(self, program: Program, memo: dict[fx.Node, Any], length: int) -> dict[fx.Node, Any]:
        """Values of the sizes, for a batch of 1, and of the inputs that are no tensors."""
        for node in self.facts.settled:
            if node.target is aten.sym_size.int:
                size = value_of(node)
                symbols = {self.facts.symbol: length, self.batch: 1}
                memo[node] = int(expression(size).subs(symbols)) if isinstance(size, torch.SymInt) else size
        for node in program.user_inputs():
            if tensor_of(node) is None:
                memo[node] = value_of(node)
        return memo
