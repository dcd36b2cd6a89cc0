"""The ``torch.compile`` backend: ``torch.compile(model, backend="regraft", options={...}, mode=...)``.

A graph from Dynamo is brought to the normal form, rewritten by exact passes, and handed to Inductor. Where nothing was
rewritten Inductor gets the very graph Dynamo made. When something fails inside, so does it, with a warning and a
failure in the report; ``strict`` raises instead.

=============  ====================================================================================
option         meaning
=============  ====================================================================================
``passes``     pipeline, as text or a list (default ``"default"``; ``REGRAFT_PASSES``)
``strict``     raise on an internal error instead of compiling the untouched graph (``REGRAFT_STRICT``)
``skip``       names of passes not to run
``report``     a callable that gets each :class:`~.report.Report`, or a list it is appended to
``inductor``   options of Inductor, as ``torch.compile(options=...)`` takes them
``mode``       ``torch.compile``'s ``mode``, which it does not let stand beside ``options``
=============  ====================================================================================
"""

from __future__ import annotations

import dataclasses
import logging
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx
from torch._dynamo.exc import TorchDynamoException

from ..compiler.errors import UsageError, nearest
from ..compiler.passes import Numerics, Pass
from ..compiler.pipeline import Pipeline, PipelineResult, Selection
from ..compiler.program import Program
from ..compiler.remarks import Remark, RemarkLog
from ..lowering.inductor import check_inductor, compile_with_inductor
from .normalise import normalise
from .report import Report

log = logging.getLogger(__name__)

_reports: list[Report] = []


def regraft(
    gm: fx.GraphModule,
    example_inputs: Sequence[Any],
    *,
    mode: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Callable[..., Any]:
    """Compile one Dynamo graph. Raises :class:`UsageError` for a wrong option, mode or pass, before anything runs."""
    settings = Settings.read(options or {}, mode)
    pipeline = settings.pipeline()
    report = Report(str(pipeline))
    try:
        program, result = rewrite(gm, example_inputs, pipeline, settings, report)
        if result.rewrites:
            compiled = _compile(program.module, example_inputs, settings, pipeline)
        else:
            compiled = _compile(gm, example_inputs, settings)
    except (TorchDynamoException, UsageError):
        # Dynamo steers by exceptions of its own (restart, skip); a wrong request is the user's to mend.
        raise
    except Exception as error:
        if settings.strict:
            raise
        _fail(report, error)
        compiled = _compile(gm, example_inputs, settings)
    _reports.append(report)
    settings.tell(report)
    return compiled


def reports() -> list[Report]:
    """One report for every graph compiled since the last ``torch._dynamo.reset()``, oldest first."""
    return list(_reports)


def reset() -> None:
    """Forget the reports; ``torch._dynamo.reset()`` calls it."""
    _reports.clear()


regraft.reset = reset  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Settings:
    """The options of one compilation, checked."""

    passes: str | Sequence[str | Pass] = field(default_factory=lambda: os.environ.get("REGRAFT_PASSES", "default"))
    strict: bool = field(default_factory=lambda: _flag("REGRAFT_STRICT"))
    skip: str | Sequence[str] = ()
    report: Callable[[Report], Any] | list[Report] | None = None
    inductor: Mapping[str, Any] = field(default_factory=dict)
    mode: str | None = None

    @classmethod
    def read(cls, options: Mapping[str, Any], mode: str | None = None) -> Settings:
        """Options as ``torch.compile`` gives them; unknown names and wrong types are refused."""
        known = [f.name for f in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                raise UsageError(f"backend 'regraft' has no option {name!r}", hint=_hint(name, known))
        given = dict(options)
        if mode is not None and given.setdefault("mode", mode) != mode:
            raise UsageError(f"two modes were given: {mode!r} and options['mode']={given['mode']!r}")
        settings = cls(**given)
        if not isinstance(settings.strict, bool):
            raise UsageError(f"option 'strict' is True or False, not {settings.strict!r}")
        if not (settings.report is None or isinstance(settings.report, list) or callable(settings.report)):
            raise UsageError(f"option 'report' is a callable or a list, not {settings.report!r}")
        if not isinstance(settings.inductor, Mapping):
            raise UsageError(f"option 'inductor' is a dictionary of Inductor options, not {settings.inductor!r}")
        check_inductor(settings.mode, settings.inductor)
        return settings

    def pipeline(self) -> Pipeline:
        """The passes to run; every one is exact."""
        from ..passes import DEFAULT, registry

        pipeline = Pipeline.parse([self.passes] if isinstance(self.passes, Pass) else self.passes, registry, DEFAULT)
        pipeline.require({Numerics.EXACT}, "torch.compile(backend='regraft')")
        self.selection.check(pass_.name for pass_ in pipeline.passes)
        return pipeline

    @property
    def selection(self) -> Selection:
        """The part of the pipeline that runs."""
        names = self.skip.split(",") if isinstance(self.skip, str) else self.skip
        return Selection(skip=frozenset(name.strip() for name in names if name.strip()))

    def tell(self, report: Report) -> None:
        """Hand over a report."""
        if isinstance(self.report, list):
            self.report.append(report)
        elif self.report is not None:
            self.report(report)


def rewrite(
    gm: fx.GraphModule, example_inputs: Sequence[Any], pipeline: Pipeline, settings: Settings, report: Report
) -> tuple[Program, PipelineResult]:
    """Normalise and run the passes, filling in ``report``; ``gm`` is left as it was."""
    remarks = RemarkLog()
    program = normalise(gm, example_inputs, remarks)
    report.remarks += remarks
    result = pipeline.run(program, selection=settings.selection, device=_device(example_inputs), compiled=True)
    report.records += result.records
    report.remarks += result.remarks
    program.recompile()
    log.info("%d -> %d nodes, %d rewrites", len(gm.graph.nodes), len(program.graph.nodes), result.rewrites)
    for remark in report.remarks:
        log.debug("%s", remark)
    return program, result


def register() -> None:
    """Make the name known to Dynamo without loading this module's contents again; safe to repeat."""
    from importlib.metadata import EntryPoint

    from torch._dynamo.backends import registry

    # The same lazy entry that an installed package has: Dynamo loads it on first use.
    point = EntryPoint("regraft", f"{__name__}:regraft", "torch_dynamo_backends")
    registry._BACKENDS.setdefault("regraft", point)


def _compile(
    module: fx.GraphModule, example_inputs: Sequence[Any], settings: Settings, pipeline: Pipeline | None = None
) -> Callable[..., Any]:
    return compile_with_inductor(
        module, example_inputs, mode=settings.mode, options=settings.inductor, pipeline=pipeline
    )


def _fail(report: Report, error: Exception) -> None:
    text = f"{type(error).__name__}: {error}"
    report.failure = text
    remark = Remark("failure", "backend", "", "internal-error", text, unblock="REGRAFT_STRICT=1 raises it")
    report.remarks.append(remark)
    log.warning("compiling the untouched graph with Inductor", exc_info=error)
    if not any(earlier.failure for earlier in _reports):
        warnings.warn(
            f"regraft failed and left a graph to Inductor as it was ({text}); "
            "REGRAFT_STRICT=1 or options={'strict': True} raises the error",
            stacklevel=2,
        )


def _device(example_inputs: Sequence[Any]) -> torch.device:
    tensors = [value for value in example_inputs if isinstance(value, torch.Tensor)]
    return next((tensor.device for tensor in tensors if tensor.device.type != "cpu"), torch.device("cpu"))


def _flag(name: str) -> bool:
    text = os.environ.get(name, "").lower()
    if text not in ("", "0", "1", "true", "false"):
        raise UsageError(f"environment variable {name} is 0 or 1, not {text!r}")
    return text in ("1", "true")


def _hint(name: str, known: Sequence[str]) -> str:
    import torch._inductor.config as config

    if name.replace("-", "_") in config.get_config_copy():
        return f"it is an option of Inductor: options={{'inductor': {{{name!r}: ...}}}}"
    return nearest(name, known)


register()
