"""Why a model cannot be exported: every reason at once, with the user's lines and what to try.

``torch.export`` stops at the first problem. :func:`diagnose` runs after it has: it tells a call that fails by itself
from one that only the trace cannot follow, and asks ``torch.export.draft_export``, which goes on past most problems,
for the rest.
"""

from __future__ import annotations

import copy
import linecache
import logging
import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._logging.structured import INTERN_TABLE

from ..compiler.errors import RegraftError, UnsupportedModelError, UsageError

_LIBRARY = str(Path(torch.__file__).parent)
_ROOT = str(Path(__file__).parents[1])

_TRY = {
    "DATA_DEPENDENT_ERROR": "use torch.where or torch.cond, or state what holds with torch._check(...)",
    "GUARD_ADDED": "make that dimension static, or write the code so that it holds for every size",
    "MISSING_FAKE_KERNEL": "give the operator a fake implementation with torch.library.register_fake",
    "MISMATCHED_FAKE_KERNEL": "correct the operator's fake implementation (torch.library.register_fake)",
}


@dataclass(frozen=True)
class Reason:
    """One thing the trace cannot follow."""

    what: str
    line: str
    """``file:line: code`` of the user's source, or an empty string."""
    suggestion: str = ""

    def __str__(self) -> str:
        """The reason, the line and what to try, one a line."""
        parts = [self.what, f"  at:  {self.line}" if self.line else "", f"  try: {self.suggestion}"]
        return "\n    ".join(part for part in parts if part and not part.endswith("try: "))


def diagnose(
    model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], dynamic_shapes: Any, error: Exception
) -> RegraftError:
    """The error to raise in place of what ``torch.export`` raised."""
    name = type(model).__name__
    if isinstance(error, RegraftError):
        return error
    failed = _eager_failure(model, args, kwargs)
    if failed is not None:
        return UsageError(
            f"{name} does not run on these inputs: {_first_lines(failed)}",
            where=_user_line(failed),
            hint="give inputs of the shapes and dtypes that forward takes: " + _signature(model, args, kwargs),
        )
    found = list(dict.fromkeys([*_draft(model, args, kwargs, dynamic_shapes)]))
    if not found:
        found = [Reason(f"{type(error).__name__}: {_first_lines(error)}", _user_line(error) or "")]
    listed = "".join(f"\n  {at}. {reason}" for at, reason in enumerate(found, 1))
    return UnsupportedModelError(
        f"{name} cannot be exported, for {len(found)} reason{'s' * (len(found) > 1)}:{listed}",
        hint="or compile it with torch.compile(model, backend='regraft'), which allows graph breaks",
    )


def _eager_failure(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Exception | None:
    """What the call itself raises, on copies of inputs and buffers."""
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    try:
        args, kwargs = copy.deepcopy((args, dict(kwargs)))
        with torch.no_grad():
            torch.func.functional_call(model, buffers, args, kwargs)
    except Exception as error:
        return error
    return None


def _draft(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], dynamic_shapes: Any) -> Iterator[Reason]:
    """What ``draft_export`` reports; nothing where it stops at the first problem, too."""
    try:
        with _silence():
            drafted = torch.export.draft_export(model, args, dict(kwargs), dynamic_shapes=dynamic_shapes, strict=False)
        report = getattr(drafted, "_report", None)
        failures = [] if report is None else report.failures
    except Exception:
        return
    for failure in failures:
        kind = failure.failure_type.name
        yield Reason(_describe(kind, failure.data), _reported_line(failure.data, report), _TRY.get(kind, ""))


def _describe(kind: str, data: Mapping[str, Any]) -> str:
    if kind == "DATA_DEPENDENT_ERROR":
        return f"control flow depends on values of tensors: {data['expr']} is not known while tracing"
    if kind == "GUARD_ADDED":
        sources = ", ".join(f"{symbol} is {source}" for symbol, source in data.get("symbol_to_sources", {}).items())
        return f"a dynamic dimension is fixed by the code: it needs {data['expr']}" + (
            f" where {sources}" * bool(sources)
        )
    if kind == "MISSING_FAKE_KERNEL":
        return f"operator {data['op']} has no fake implementation"
    if kind == "MISMATCHED_FAKE_KERNEL":
        return f"operator {data['op']}: its fake implementation disagrees with the real one ({data['reason']})"
    return f"{kind.lower().replace('_', ' ')}: {data}"


def _reported_line(data: Mapping[str, Any], report: Any) -> str:
    """The innermost frame of the user's own code."""
    # The report knows the files it met first; the others were numbered by an earlier trace of this process.
    names = {str(number): file for file, number in INTERN_TABLE.items()} | report.str_to_filename
    for frame in reversed(data.get("user_stack") or data.get("stack") or []):
        file = names.get(str(frame["filename"]), "")
        if file and not _is_library(file):
            return _line(file, frame["line"])
    return ""


def _user_line(error: BaseException) -> str | None:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_library(frame.filename)]
    return _line(frames[-1].filename, frames[-1].lineno or 0) if frames else None


def _line(file: str, number: int) -> str:
    return f"{file}:{number}: {linecache.getline(file, number).strip()}"


def _is_library(file: str) -> bool:
    if file.startswith(f"{_ROOT}{os.sep}"):
        return file.split(os.sep)[len(Path(_ROOT).parts)] in ("frontend", "compiler")
    return file.startswith((_LIBRARY, "<"))


def _first_lines(error: BaseException) -> str:
    """The message up to its first blank line, where advice for developers of PyTorch begins."""
    return str(error).strip().split("\n\n")[0] or type(error).__name__


def _signature(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The types that were given."""
    from ..compiler.values import type_text

    given = [type_text(value) for value in args] + [f"{name}={type_text(value)}" for name, value in kwargs.items()]
    return f"given were {', '.join(given)}" if given else "none were given"


@contextmanager
def _silence() -> Iterator[None]:
    """Without the warnings that ``draft_export`` logs and prints beside its report."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            yield
    finally:
        logging.disable(disabled)
