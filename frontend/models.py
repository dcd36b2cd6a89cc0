"""From what a user names on the command line to a program with inputs: ``load_model("file.py:load", Request())``.

=========================  =====================================================================================
``file.py:function``       the function is called without arguments and gives ``(model, example inputs)``; a
                           function (or class) that gives a model alone needs ``inputs`` in the request
``package.module:name``    the same, imported
``model.pt2``              what ``torch.export.save`` wrote, on the inputs it carries
``program.ir.py``          a program as text, on seeded random weights and inputs
``directory/``             a local Hugging Face model; see :mod:`.hf_directory`
=========================  =====================================================================================
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
import traceback
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.passes import move_to_device_pass
from torch.utils._pytree import tree_leaves, tree_map

from ..compiler.errors import RegraftError, UsageError, nearest
from ..compiler.program import Program
from .capture import Inputs, arguments, capture, from_exported
from .dynamic import DynamicDim, dynamic_shapes
from .testing import example_tensor

DTYPES = {"f64": torch.float64, "f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


@dataclass(frozen=True)
class Request:
    """How a model is to be loaded and traced."""

    inputs: Sequence[str] = ()
    """Types of the example inputs, ``"f32[2, 3]"`` or by keyword ``"x=f32[2, 3]"``, in place of those given."""
    device: str | None = None
    dtype: str | None = None
    """A key of :data:`DTYPES`: parameters, buffers and inputs that are floating-point are cast to it."""
    seed: int = 0
    train: bool = False
    dynamic: Sequence[DynamicDim] = ()

    def refuse(self, what: str, *names: str) -> None:
        """Raise :class:`UsageError` when one of the named settings, which ``what`` does not have, was given."""
        for name in names:
            if getattr(self, name) != getattr(Request(), name):
                raise UsageError(f"--{name} does not apply to {what}", hint="it fixes that itself")


@dataclass
class Subject:
    """A model to work on: its program, and the leaves of the call it was traced with."""

    name: str
    program: Program
    inputs: list[Any]
    notes: list[str] = field(default_factory=list)
    """What was assumed, such as random weights."""


def load_model(name: str, request: Request | None = None) -> Subject:
    """Find, load and trace a model.

    Raises :class:`UsageError` when there is no such model or its inputs do not fit, and
    :class:`UnsupportedModelError` when it cannot be traced.
    """
    request = request or Request()
    torch.manual_seed(request.seed)
    device = find_device(request.device)
    path = Path(name)
    if name.endswith(".ir.py"):
        return _from_text(name, request)
    if path.suffix == ".pt2":
        return _from_pt2(name, request, device)
    model, inputs, notes = _found(name, request)
    if inputs is None:
        raise UsageError(
            f"{name!r} gives a model but no example inputs",
            hint="return (model, inputs) from it, or give their types with --inputs 'f32[2, 3]'",
        )
    model, inputs = place(model, inputs, device, DTYPES[request.dtype] if request.dtype else None)
    model.train(request.train)
    shapes = dynamic_shapes(model, inputs, request.dynamic, request.inputs)
    program = capture(model, inputs, dynamic_shapes=shapes)
    return Subject(name, program, tree_leaves(arguments(inputs)), notes)


def load_module(name: str, request: Request, what: str) -> tuple[nn.Module, list[str]]:
    """The model itself, in evaluation mode and untraced, for ``what`` makes its own inputs; and what was assumed."""
    request.refuse(what, "inputs", "train", "dynamic")
    if name.endswith((".ir.py", ".pt2")):
        raise UsageError(
            f"{name!r} holds a traced program", hint=f"{what} needs the model: file.py:function or a folder"
        )
    torch.manual_seed(request.seed)
    device = find_device(request.device)
    model, _, notes = _found(name, request)
    return place(model, (), device, DTYPES[request.dtype] if request.dtype else None)[0].eval(), notes


def find_device(name: str | None) -> torch.device | None:
    """The device of that name; raises :class:`UsageError` when this machine does not have it."""
    if name is None:
        return None
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        there += ["mps"] if torch.backends.mps.is_available() else []
        raise UsageError(
            f"device {name!r} is not there: {str(error).splitlines()[0]}", hint=f"this machine has {', '.join(there)}"
        ) from error
    return device


def example_inputs(types: Sequence[str], seed: int) -> Inputs:
    """Seeded inputs of the given types: all positional, or all by keyword."""
    named = [part.partition("=") if "=" in part.split("[")[0] else ("", "", part) for part in types]
    made: list[tuple[str, Tensor]] = []
    for at, (key, _, text) in enumerate(named):
        try:
            made.append((key.strip(), example_tensor(text, seed + at)))
        except ValueError as error:
            raise UsageError(f"--inputs: {error}") from error
    if all(key for key, _ in made):
        return dict(made)
    if any(key for key, _ in made):
        raise UsageError("--inputs are either all named or none of them")
    return tuple(tensor for _, tensor in made)


def place(
    model: nn.Module, inputs: Inputs, device: torch.device | None, dtype: torch.dtype | None
) -> tuple[nn.Module, Inputs]:
    """Move model and inputs; only what is floating-point changes its dtype."""

    def move(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.to(device=device, dtype=dtype if value.is_floating_point() else None)

    if device is not None or dtype is not None:
        model, inputs = model.to(device=device, dtype=dtype), tree_map(move, inputs)
    return model, inputs


def _found(name: str, request: Request) -> tuple[nn.Module, Inputs | None, list[str]]:
    """A model that is Python, its example inputs, and what was assumed."""
    notes: list[str] = []
    if Path(name).is_dir():
        from .hf_directory import load_directory

        model, inputs = load_directory(Path(name), request.seed, notes)
    else:
        model, inputs = _from_function(name)
    return model, example_inputs(request.inputs, request.seed) if request.inputs else inputs, notes


def _from_function(name: str) -> tuple[nn.Module, Inputs | None]:
    file, colon, function_name = name.rpartition(":")
    if not colon:
        file, function_name = name, ""
    if not file.endswith(".py") and "/" in file:
        raise UsageError(f"there is no model {name!r}", hint="a directory, a .pt2, a .ir.py, or file.py:function")
    module = _import_file(Path(file)) if file.endswith(".py") else _import_module(file)
    candidates = _candidates(module)
    function = getattr(module, function_name, None) if function_name else None
    if not callable(function):
        problem = f"{file!r} has no function {function_name!r}" if function_name else f"{file!r} names no function"
        shown = ", ".join(f"{file}:{candidate}" for candidate in candidates)
        hint = nearest(function_name, candidates) if function_name else f"try {shown}" if shown else None
        raise UsageError(problem, hint=hint if candidates else "it defines no function that takes no arguments")
    with _blamed_on(name):
        result = function()
    model, inputs = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"{name!r} gave {type(result).__name__}, not a model", hint="it returns (nn.Module, example inputs)"
        )
    return model, inputs


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}")
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # As `python file.py` does: its neighbours can be imported, and its classes be found by their module's name.
    sys.modules.setdefault(name, module)
    sys.path.insert(0, str(path.parent.resolve()))
    with _blamed_on(str(path)):
        spec.loader.exec_module(module)
    return module


def _import_module(name: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}")
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"there is no model {name!r}: {error}",
            hint="a model is file.py:function, package.module:function, a .pt2, a .ir.py or a Hugging Face directory",
        ) from error
    with _blamed_on(name):
        return importlib.import_module(name)


def _candidates(module: ModuleType) -> list[str]:
    """Functions and classes of the module itself that can be called without arguments."""
    found: list[str] = []
    for name, value in vars(module).items():
        own = inspect.isfunction(value) or (inspect.isclass(value) and issubclass(value, nn.Module))
        if own and not name.startswith("_") and value.__module__ == module.__name__ and _needs_nothing(value):
            found.append(name)
    return sorted(found, key=lambda name: (name != "load", name))


def _needs_nothing(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(p.default is not p.empty or p.kind in free for p in parameters)


@contextlib.contextmanager
def _blamed_on(name: str) -> Iterator[None]:
    """An exception of the user's own code, with the line it came from."""
    try:
        yield
    except RegraftError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[1:]
        own = [frame for frame in frames if "importlib" not in frame.filename]
        where = f"{own[-1].filename}:{own[-1].lineno}: {own[-1].line}" if own else None
        if isinstance(error, SyntaxError):
            where = f"{error.filename}:{error.lineno}:{error.offset}"
        raise UsageError(f"{name} cannot be loaded: {type(error).__name__}: {error}", where=where) from error


def _from_text(name: str, request: Request) -> Subject:
    from ..compiler.text import load_program, seeded_inputs, seeded_weights

    request.refuse("a .ir.py file", "inputs", "dtype", "device", "train", "dynamic")
    try:
        program = load_program(name)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{name!r} cannot be read: {reason}") from error
    program.weights = seeded_weights(program, request.seed)
    return Subject(name, program, seeded_inputs(program, request.seed), ["weights and inputs are seeded random ones"])


def _from_pt2(name: str, request: Request, device: torch.device | None) -> Subject:
    from ..compiler import ops as _dialect  # noqa: F401  (a rewritten program holds our operators)

    request.refuse("a .pt2 file", "inputs", "dtype", "train", "dynamic")
    if not Path(name).is_file():
        raise UsageError(f"there is no file {name!r}")
    exported = _read_pt2(name)
    if device is not None:
        exported = move_to_device_pass(exported, device)
    program = from_exported(exported)
    if exported.example_inputs is None:
        from ..compiler.text import seeded_inputs

        return Subject(name, program, seeded_inputs(program, request.seed), ["inputs are seeded random ones"])
    return Subject(name, program, tree_leaves(exported.example_inputs))


def _read_pt2(name: str) -> torch.export.ExportedProgram:
    """Load the archive; one that returns classes of transformers can be read only once those are defined."""
    if not zipfile.is_zipfile(name):
        raise UsageError(f"{name!r} cannot be loaded: it is not an archive of torch.export.save")
    try:
        return torch.export.load(name)
    except Exception as error:
        if importlib.util.find_spec("transformers") is None or "transformers.modeling_outputs" in sys.modules:
            raise _unreadable(name, error) from error
    importlib.import_module("transformers.modeling_outputs")
    try:
        return torch.export.load(name)
    except Exception as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> UsageError:
    return UsageError(
        f"{name!r} cannot be loaded: {type(error).__name__}: {str(error).splitlines()[0]}",
        hint="if it takes or returns classes of another package, load it in a function of yours that imports that",
    )
