"""Machine code of tile programs without a GPU: compile for an architecture, and see what came out.

Triton's own assemblers for NVIDIA and AMD come with it. Compiling happens in other processes (:mod:`.compile_worker`),
so that it works beside Triton's interpreter, and what came out is kept in ``REGRAFT_CACHE``/audit by everything that
decides it: source, types, options, architecture, Triton's version.

    >>> compile_for(program, "sm_90").instructions["wgmma"]
    >>> check(variant, "sm_90")     # what is wrong, in sentences; [] if nothing
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...compiler.errors import UsageError
from ...compiler.files import cache_directory, write_atomically
from ..targets import target_for
from . import compile_worker, ir, launch
from .emit import parameters
from .ir import Program
from .variant import Variant

_log = logging.getLogger(__name__)

POINTERS = {
    "f64": "*fp64",
    "f32": "*fp32",
    "f16": "*fp16",
    "bf16": "*bf16",
    "i64": "*i64",
    "i32": "*i32",
    "i8": "*i8",
    "u8": "*u8",
    "bool": "*i1",
}
MATRIX_UNITS = ("mma", "wgmma", "tcgen05", "mfma")


@dataclass(frozen=True)
class Machine:
    """What a compiler made of a program."""

    arch: str
    fault: str = ""
    """Why there is no machine code; everything else is empty then."""
    shared_bytes: int = 0
    registers: int = 0
    """Of a thread."""
    spill_bytes: int = 0
    """Of a thread, to memory."""
    instructions: Mapping[str, int] = field(default_factory=dict, hash=False)
    """How often each of :data:`.compile_worker.INSTRUCTIONS` is in the text."""
    tf32: bool = False
    """Whether a product rounds its fp32 operands to TF32."""
    seconds: float = 0.0
    texts: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    """By stage (``ttir``, ``ttgir``, ``llir``, and ``ptx`` or ``amdgcn``), where they were asked for."""

    @property
    def products(self) -> int:
        """Instructions of the matrix units."""
        return sum(self.instructions.get(name, 0) for name in MATRIX_UNITS)


def compile_for(program: Program, arch: str, *, texts: bool = False) -> Machine:
    """Compile for ``"sm_90"``, ``"gfx942"``, ...; what the compiler rejects is :attr:`Machine.fault`.

    ``texts`` keeps the text of every stage, and compiles again where only the facts are in the cache. Raises
    ``UsageError`` for an architecture that is not known.
    """
    return _submit(program, arch, texts).result()


def compile_all(pairs: Sequence[tuple[Program, str]], done: Callable[[int], None] = lambda _: None) -> list[Machine]:
    """Compile many, side by side; ``done`` hears how many are finished."""
    waiting = [_submit(program, arch, False) for program, arch in pairs]
    made: list[Machine] = []
    for future in waiting:
        made.append(future.result())
        done(len(made))
    return made


def check(variant: Variant, arch: str) -> list[str]:
    """What of a variant's machine code is not as it must be, each in a sentence.

    Products of halves run on the matrix units, registers spill no more than the variant says, shared memory fits the
    architecture, and fp32 is rounded to TF32 only where that was asked for.
    """
    program = variant.build()
    return faults(variant, program, compile_for(program, arch))


def faults(variant: Variant, program: Program, machine: Machine) -> list[str]:
    """:func:`check` of a program that has been compiled."""
    if machine.fault:
        return [f"it does not compile: {machine.fault}"]
    found: list[str] = []
    halves = any(isinstance(s, ir.Dot) and s.a.dtype in ir.HALVES for s in ir.walk(program.body))
    if halves and not machine.products:
        found.append("its products of halves do not run on the matrix units")
    allowed = variant.spill_bytes.get(machine.arch, 0)
    if machine.spill_bytes > allowed:
        found.append(f"a thread spills {machine.spill_bytes} bytes, {allowed} are allowed")
    cap = target_for(machine.arch).shared_bytes
    if machine.shared_bytes > cap:
        found.append(f"it takes {machine.shared_bytes} bytes of shared memory, there are {cap}")
    if machine.tf32 and not variant.tf32:
        found.append("fp32 operands are rounded to TF32")
    return found


def audit_directory() -> Path:
    """Where results are kept."""
    return cache_directory() / "audit"


@dataclass(frozen=True)
class _Job:
    """What :mod:`.compile_worker` is asked."""

    file: str
    name: str
    signature: Mapping[str, str]
    constants: Mapping[str, int]
    aligned: Sequence[str]
    arch: str
    warps: int
    stages: int
    texts: bool

    def digest(self) -> str:
        """Of everything that decides the answer; the file's name holds a digest of its content."""
        facts = asdict(self) | {"file": Path(self.file).name, "texts": False, "triton": triton_version()}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def _job(program: Program, arch: str, texts: bool) -> _Job:
    """The types of a launch on the usual tensors: aligned, the last stride 1, other strides and sizes multiples of 16.

    Only then are loads wide enough to be kept in flight, so this is where shared memory is largest.
    """
    target = target_for(arch)
    if target.kind == "cpu":
        raise UsageError(f"tile programs are not compiled for {arch!r}")
    buffers = {buffer.name: buffer for buffer in program.buffers}
    scalars = {scalar.name for scalar in program.scalars}
    last = {f"{b.name}_stride_{len(b.shape) - 1}" for b in program.buffers if b.shape and not b.contiguous}
    signature: dict[str, str] = {}
    constants: dict[str, int] = {}
    aligned: list[str] = []
    for name in parameters(program):
        if name in last:
            signature[name], constants[name] = "constexpr", 1
            continue
        signature[name] = POINTERS[buffers[name].dtype] if name in buffers else "fp32" if name in scalars else "i32"
        if name not in scalars:
            aligned.append(name)
    if program.tasks.persistent:
        signature["PROGRAMS"], constants["PROGRAMS"] = "constexpr", target.multiprocessors
    file = launch.written(launch.source(program), program.name)
    return _Job(str(file), program.name, signature, constants, aligned, arch, program.warps, program.stages, texts)


def _submit(program: Program, arch: str, texts: bool) -> Future[Machine]:
    job = _job(program, arch, texts)
    return _pool().submit(_answered, job)


def _answered(job: _Job) -> Machine:
    file = audit_directory() / f"{job.name}_{job.arch}_{job.digest()}.json"
    if not job.texts and (known := _read(file, job.arch)):
        return known
    answer = _ask(job)
    made = Machine(job.arch, **answer)
    if not made.fault:
        write_atomically(file, json.dumps({**answer, "texts": {}}))
    return made


def _read(file: Path, arch: str) -> Machine | None:
    if not file.is_file():
        return None
    try:
        return Machine(arch, **json.loads(file.read_text()))
    except (ValueError, TypeError) as error:
        _log.warning("%s is damaged (%s); compiling again", file, error)
        return None


@functools.cache
def triton_version() -> str:
    """Of the package installed; raises ``UsageError`` where there is none."""
    try:
        return importlib.metadata.version("triton")
    except importlib.metadata.PackageNotFoundError:
        raise UsageError(
            "triton is not installed; it compiles kernels without a GPU", hint="pip install triton"
        ) from None


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """One thread for each compiling process, which it starts when it first has something to do."""
    return ThreadPoolExecutor(min(os.cpu_count() or 1, 8), thread_name_prefix="regraft-audit")


_worker = threading.local()


def _ask(job: _Job) -> dict[str, Any]:
    """The answer of this thread's process; a process that died is told as a fault, and the next job gets a new one."""
    triton_version()
    process: subprocess.Popen[str] | None = getattr(_worker, "process", None)
    if process is None or process.poll() is not None:
        process = _worker.process = _started()
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(asdict(job)) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    except BrokenPipeError:
        answer = ""
    if not answer:
        return {"fault": f"the compiler crashed (exit code {process.wait()})"}
    return json.loads(answer)


def _started() -> subprocess.Popen[str]:
    """A process whose Triton is not interpreted; it ends when its input does."""
    env = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, compile_worker.__file__]
    return subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
