"""Run a tile program on tensors: bind its sizes, print it once, and launch it through Triton.

The printed source is kept in a folder by content (``REGRAFT_CACHE``/kernels), from where it is imported, so that a
debugger and a traceback show it. A tensor that does not fit the program is refused before anything runs.
"""

# sympy and triton come with partial types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sympy
import torch
from torch import Tensor

from ...compiler.files import cache_directory, write_atomically
from . import ir
from .emit import emit, parameters
from .index import evaluate
from .ir import DTYPES, Program, TileError

_WIDE = 1 << 31


def launch(
    program: Program,
    tensors: Mapping[str, Tensor],
    scalars: Mapping[str, float] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> None:
    """Run ``program`` over ``tensors`` (by buffer name), writing its outputs in place.

    ``scalars`` are its floating-point parameters, ``sizes`` those that no tensor's shape tells. On tensors of a GPU the
    kernel runs there; on a CPU it runs in Triton's interpreter, if ``TRITON_INTERPRET=1`` was set before triton was
    imported. Raises :class:`TileError` for tensors that do not fit, and passes on what Triton raises.
    """
    values = bind(program, tensors, sizes or {})
    tasks = evaluate(program.tasks.count, values)
    if tasks == 0:
        return
    first = next(iter(tensors.values()))
    interpreted = interpreting()
    if first.device.type == "cpu" and not interpreted:
        raise TileError(f"{program.name}: tensors are on a CPU, and Triton's interpreter is off (TRITON_INTERPRET=1)")
    wide = any(_reach(tensor) >= _WIDE for tensor in tensors.values())
    kernel = kernel_of(program, interpreted=interpreted, wide=wide)
    arguments: dict[str, Any] = {buffer.name: tensors[buffer.name] for buffer in program.buffers}
    arguments |= {str(size): values[size] for size in program.sizes}
    for buffer in program.buffers:
        if not buffer.contiguous:
            strides = tensors[buffer.name].stride()
            arguments |= {f"{buffer.name}_stride_{axis}": stride for axis, stride in enumerate(strides)}
    arguments |= scalars_of(program, scalars or {})
    options: dict[str, Any] = {} if interpreted else {"num_warps": program.warps, "num_stages": program.stages}
    if program.tasks.persistent:
        programs = min(tasks, processors(first.device))
        options["PROGRAMS"] = tasks = programs
    _allow_descriptors(program)
    ordered = [arguments[name] for name in parameters(program)]
    if first.device.type == "cuda":
        with torch.cuda.device(first.device):
            kernel[(tasks,)](*ordered, **options)
    else:
        kernel[(tasks,)](*ordered, **options)


def bind(program: Program, tensors: Mapping[str, Tensor], sizes: Mapping[str, int]) -> dict[sympy.Symbol, int]:
    """Every size and constant of a program as a number, read off the tensors.

    Raises :class:`TileError` for a missing tensor, another type, device or rank than declared, and sizes that do not
    go together, naming the tensor.
    """
    values: dict[sympy.Symbol, int] = dict(program.constants)
    for size in program.sizes:
        if str(size) in sizes:
            values[size] = int(sizes[str(size)])
    device = next((tensor.device for tensor in tensors.values()), None)
    for buffer in program.buffers:
        tensor = tensors.get(buffer.name)
        if tensor is None:
            raise TileError(f"{program.name}: tensor {buffer.name} is missing; it takes {_names(program)}")
        if tensor.dtype != DTYPES[buffer.dtype]:
            raise TileError(f"{program.name}: {buffer.name} is {tensor.dtype}, made for {DTYPES[buffer.dtype]}")
        if tensor.device != device:
            raise TileError(f"{program.name}: {buffer.name} is on {tensor.device}, others on {device}")
        if tensor.dim() != len(buffer.shape):
            raise TileError(f"{program.name}: {buffer.name} has {tensor.dim()} dimensions, not {len(buffer.shape)}")
        if buffer.contiguous and not tensor.is_contiguous():
            raise TileError(f"{program.name}: {buffer.name} is not contiguous")
        for dimension, extent in zip(buffer.shape, tensor.shape, strict=True):
            if isinstance(dimension, sympy.Symbol) and dimension not in values:
                values[dimension] = int(extent)
    for buffer in program.buffers:
        for axis, (dimension, extent) in enumerate(zip(buffer.shape, tensors[buffer.name].shape, strict=True)):
            expected = evaluate(dimension, values)
            if expected != int(extent):
                told = f"{buffer.name} has size {int(extent)} along dimension {axis}, not {dimension} = {expected}"
                raise TileError(f"{program.name}: {told}")
    for size in program.sizes:
        if size not in values:
            raise TileError(f"{program.name}: size {size} is no dimension of a tensor, and was not given")
        factor = program.multiples.get(size, 1)
        if values[size] % factor:
            raise TileError(f"{program.name}: {size} = {values[size]} is not a multiple of {factor}")
    return values


def scalars_of(program: Program, scalars: Mapping[str, float]) -> dict[str, float]:
    """The floating-point parameters of a program; raises :class:`TileError` naming one that is missing."""
    missing = [scalar.name for scalar in program.scalars if scalar.name not in scalars]
    if missing:
        raise TileError(f"{program.name}: scalar {missing[0]} is missing")
    return {scalar.name: float(scalars[scalar.name]) for scalar in program.scalars}


def source(program: Program, *, interpreted: bool = False, wide: bool = False) -> str:
    """The Triton source of a program."""
    return _source(_Key(program), interpreted, wide)


def kernel_of(program: Program, *, interpreted: bool | None = None, wide: bool = False) -> Any:
    """The ``triton.jit`` function of a program, imported from the folder of printed sources."""
    return _imported(
        source(program, interpreted=interpreting() if interpreted is None else interpreted, wide=wide), program.name
    )


def written(text: str, name: str) -> Path:
    """The file that holds a printed source, by its content."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    file = kernels_directory() / f"{name}_{digest}.py"
    if not file.is_file() or file.read_text() != text:
        write_atomically(file, text)
    return file


def kernels_directory() -> Path:
    """Where printed sources are kept."""
    return cache_directory() / "kernels"


def interpreting() -> bool:
    """Whether Triton runs kernels in its interpreter."""
    if "triton" in sys.modules:
        return bool(sys.modules["triton"].knobs.runtime.interpret)
    return os.environ.get("TRITON_INTERPRET", "0") not in ("", "0")


@functools.cache
def processors(device: torch.device) -> int:
    """How many instances of a persistent program run side by side."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).multi_processor_count
    return 3


class _Key:
    """A program as a dictionary key, by its digest."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def __hash__(self) -> int:
        return hash(self.program.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.program.key == other.program.key


@functools.lru_cache(4096)
def _source(key: _Key, interpreted: bool, wide: bool) -> str:
    return emit(key.program, interpreted=interpreted, wide=wide)


@functools.lru_cache(4096)
def _imported(text: str, name: str) -> Any:
    file = written(text, name)
    label = f"regraft_kernel_{file.stem}"
    spec = importlib.util.spec_from_file_location(label, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[label] = module
    spec.loader.exec_module(module)
    return getattr(module, name)


def _reach(tensor: Tensor) -> int:
    return sum((extent - 1) * abs(stride) for extent, stride in zip(tensor.shape, tensor.stride(), strict=True)) + 1


def _names(program: Program) -> str:
    return ", ".join(buffer.name for buffer in program.buffers)


def _allow_descriptors(program: Program) -> None:
    """Descriptors made in a kernel need memory to live in."""
    if any(isinstance(statement, ir.Load) and statement.descriptor for statement in ir.walk(program.body)):
        import triton

        triton.set_allocator(lambda size, alignment, stream: torch.empty(size, dtype=torch.int8, device="cuda"))
