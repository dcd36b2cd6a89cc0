"""Look at everything regraft leans on: versions, devices, compilers, entry points, caches, settings.

:func:`examine` gives one :class:`Finding` per thing looked at; nothing is changed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Literal

import torch
from torch.torch_version import TorchVersion

from ..compiler.errors import UsageError, nearest
from .weights import cache_dir

SETTINGS: Mapping[str, str] = {
    "REGRAFT_CACHE": "root of the cache of weights and failures",
    "REGRAFT_OFFLINE": "1 forbids downloading weights",
    "REGRAFT_PASSES": "pipeline of torch.compile(backend='regraft')",
    "REGRAFT_STRICT": "1 raises internal errors of the backend instead of compiling the untouched graph",
}

_NEEDED = {
    "torch": "2.11",
    "numpy": "1.22",
    "sympy": "1.13",
    "networkx": "2.5",
    "rich": "10",
    "tqdm": "4",
    "safetensors": "0.4",
}
_OPTIONAL = {"triton": ("3.6", "kernels on a GPU"), "transformers": ("5", "Hugging Face models")}
_PYTHON = ((3, 10), (3, 13))
_HARMFUL = {
    "TORCHDYNAMO_DISABLE": "torch.compile does nothing",
    "TORCH_COMPILE_DISABLE": "torch.compile does nothing",
    "TRITON_INTERPRET": "Triton kernels run in Python, and bf16 in it is wrong",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "every compilation is a cold one",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "fp32 products are TF32, which numeric checks will find",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    topic: str
    name: str
    value: str
    status: Literal["ok", "warning", "wrong"] = "ok"
    advice: str = ""


def examine() -> list[Finding]:
    """All findings, by topic."""
    return [*_versions(), *_devices(), *_compilers(), *_registrations(), *_caches(), *_settings()]


def _versions() -> Iterator[Finding]:
    low, high = _PYTHON
    fits = low <= sys.version_info[:2] <= high
    advice = "" if fits else "Python 3.10 to 3.13 are supported"
    yield Finding("versions", "python", platform.python_version(), "ok" if fits else "wrong", advice)
    for name, least in _NEEDED.items():
        found = _version(name)
        if found is None:
            yield Finding("versions", name, "missing", "wrong", f"pip install '{name}>={least}'")
        elif TorchVersion(found) < least:
            yield Finding("versions", name, found, "wrong", f"pip install '{name}>={least}'")
        else:
            yield Finding("versions", name, found)
    for name, (least, use) in _OPTIONAL.items():
        found = _version(name)
        if found is None:
            yield Finding("versions", name, f"not installed (only for {use})")
        elif TorchVersion(found) < least:
            yield Finding("versions", name, found, "warning", f"{use}: {name}>={least}")
        else:
            yield Finding("versions", name, found)


def _devices() -> Iterator[Finding]:
    threads, cores = torch.get_num_threads(), os.cpu_count()
    yield Finding("devices", "cpu", f"{torch.backends.cpu.get_cpu_capability()}, {threads} of {cores} threads used")
    if torch.version.cuda or torch.version.hip:
        if not torch.cuda.is_available():
            built = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}"
            advice = "no GPU or no driver is found; CUDA_VISIBLE_DEVICES, nvidia-smi"
            yield Finding("devices", "cuda", f"torch is built for {built}, but there is none", "warning", advice)
        for index in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(index)
            text = f"{about.name}, sm_{about.major}{about.minor}, {about.total_memory / 2**30:.0f} GiB"
            yield Finding("devices", f"cuda:{index}", text)
        if torch.cuda.is_available() and _version("triton") is None:
            yield Finding("devices", "triton", "missing", "wrong", "a GPU needs it: pip install 'triton>=3.6'")
    else:
        yield Finding("devices", "cuda", "none; torch is a CPU build")
    if torch.backends.mps.is_available():
        yield Finding("devices", "mps", "available")


def _compilers() -> Iterator[Finding]:
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("g++", "clang++", "c++")), "g++")
    if shutil.which(compiler) is None:
        advice = "Inductor needs a C++ compiler on the CPU: install g++, or set CXX"
        yield Finding("compilers", "C++", f"{compiler} is not there", "wrong", advice)
        return
    ran = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    first = (ran.stdout or ran.stderr).splitlines()[:1]
    status = "ok" if ran.returncode == 0 else "wrong"
    yield Finding("compilers", "C++", first[0] if first else compiler, status, "" if status == "ok" else "set CXX")


def _registrations() -> Iterator[Finding]:
    listed = "regraft" in torch._dynamo.list_backends()
    advice = "" if listed else "regraft is on the path but not installed (pip install .), or import it first"
    name = "torch.compile backend"
    yield Finding("entry points", name, "registered" if listed else "not listed", "ok" if listed else "warning", advice)
    from ..passes import registry

    try:
        names = registry.names()
    except UsageError as error:
        yield Finding("entry points", "passes", error.what, "wrong", error.hint or "")
        return
    others = {point.name for point in entry_points(group="regraft.passes")}
    yield Finding("entry points", "passes", f"{len(names)} passes, {len(others)} of them from other packages")
    for name in names:
        try:
            registry.get(name)
        except UsageError as error:
            yield Finding("entry points", f"pass {name}", error.what, "wrong", error.hint or "")


def _caches() -> Iterator[Finding]:
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    inductor = Path(os.environ.get("TORCHINDUCTOR_CACHE_DIR") or default_cache_dir())
    for name, path in (("regraft", cache_dir()), ("inductor", inductor)):
        holder = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        writable = os.access(holder, os.W_OK) and holder.is_dir()
        variable = "REGRAFT_CACHE" if name == "regraft" else "TORCHINDUCTOR_CACHE_DIR"
        advice = "" if writable else f"it cannot be written to; set {variable}"
        yield Finding("caches", name, str(path), "ok" if writable else "wrong", advice)


def _settings() -> Iterator[Finding]:
    for name, meaning in SETTINGS.items():
        if name in os.environ:
            yield Finding("settings", name, f"{os.environ[name]!r}: {meaning}")
    for name in sorted(os.environ):
        if name.startswith("REGRAFT_") and name not in SETTINGS:
            yield Finding("settings", name, "has no effect", "warning", nearest(name, SETTINGS))
    for name, effect in _HARMFUL.items():
        if os.environ.get(name, "0") not in ("", "0"):
            yield Finding("settings", name, f"{os.environ[name]!r}: {effect}", "warning", f"unset {name}")


def _version(name: str) -> str | None:
    if name == "torch":
        return str(torch.__version__)
    try:
        return version(name)
    except PackageNotFoundError:
        return None
