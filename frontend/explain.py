"""``regraft.explain``: what a pipeline would do to a model, site by site, without changing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from ..compiler.passes import Pass
from .capture import Inputs, capture
from .dispatch import original_forward
from .report import Report
from .rewrite import parse_pipeline, rewrite


def explain(
    model: nn.Module,
    example_inputs: Inputs,
    passes: str | Sequence[str | Pass] = "default",
    *,
    dynamic_shapes: Any = None,
) -> Report:
    """Trace ``model``, run the pipeline over the trace, and return the report; arguments as for ``optimize``."""
    pipeline = parse_pipeline(passes)
    with original_forward(model):
        program = capture(model, example_inputs, dynamic_shapes=dynamic_shapes)
    return rewrite(program, pipeline)
