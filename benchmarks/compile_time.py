"""Compile time of ``backend="regraft"`` against Inductor's, cold and warm. Goal: at most 1.15x both ways.

Every compilation is a fresh process. Cold ones get an empty cache folder; warm ones run again over the folder that the
cold one of the same backend filled. Python may keep our bytecode, as it does torch's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from statistics import median

from .results import Row

BACKENDS = ("inductor", "regraft")
STARTS = ("cold", "warm", "warm", "warm")

_CHILD = """
import json, sys, time, torch
from examples.models import stories15m
model, inputs = stories15m.load()
if sys.argv[1] == "regraft":
    import regraft.frontend.backend
from torch._dynamo.utils import counters
with torch.no_grad():
    model(**inputs)
    start = time.perf_counter()
    torch.compile(model, backend=sys.argv[1], dynamic=False)(**inputs)
    seconds = time.perf_counter() - start
hits = counters["aot_autograd"]["autograd_cache_hit"] + counters["inductor"]["fxgraph_cache_hit"]
print(json.dumps({"seconds": seconds, "hits": hits}))
"""


def run(device: str, quick: bool) -> list[Row]:
    """Compile stories15m's forward with both backends in turn."""
    times: dict[tuple[str, str], list[dict[str, float]]] = {}
    rounds = 1 if quick else 3
    for _ in range(rounds):
        folders = {backend: tempfile.TemporaryDirectory() for backend in BACKENDS}
        for start in STARTS:
            for backend in BACKENDS:
                times.setdefault((start, backend), []).append(_compile(backend, folders[backend].name))
        for folder in folders.values():
            folder.cleanup()
    rows: list[Row] = []
    for (start, backend), taken in times.items():
        milliseconds = [item["seconds"] * 1e3 for item in taken]
        theirs = [item["seconds"] * 1e3 for item in times[start, "inductor"]]
        rows.append(
            Row(
                f"stories15m forward, {start}",
                backend,
                median(milliseconds),
                min(milliseconds),
                max(milliseconds),
                len(taken),
                ratio=median(a / b for a, b in zip(theirs, milliseconds, strict=True)),
                baseline="inductor",
                notes={"cache_hits": median(item["hits"] for item in taken)},
            )
        )
    return rows


def _compile(backend: str, folder: str) -> dict[str, float]:
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": folder, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", _CHILD, backend]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"compiling with {backend} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
