"""``regraft.explain``: what a pipeline would do to a model, site by site, without changing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from ..compiler.errors import UsageError, nearest
from ..compiler.passes import Pass
from ..compiler.remarks import Remark
from ..compiler.sites import names_site
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


def remarks_at(report: Report, pattern: str) -> list[Remark]:
    """The verdicts at the sites a glob names; raises :class:`UsageError` when it names none that was spoken of."""
    found = [remark for remark in report.remarks if remark.site and names_site(pattern, remark.site)]
    if not found:
        raise UsageError(
            f"no site that a pass spoke of matches {pattern!r}",
            hint=nearest(pattern, report.sites) if report.sites else "no pass of the pipeline found a site",
        )
    return found
