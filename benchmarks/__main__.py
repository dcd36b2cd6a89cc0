"""Run benchmarks and write their results with the machine they came from.

``python -m benchmarks cpu --out DIR`` runs every CPU benchmark, ``gpu`` those of a GPU, and a name runs one, on a CPU
unless it is ``tune``, one of the kernels, or told by ``--device``. Each writes ``DIR/<device>-<name>.json`` as soon as
it is done, and prints its table. ``gpu`` begins with the kernels, who share ``--minutes``, and starts nothing new after
them; what is left out is named.
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from .results import device_name, save, show

CPU = (
    "pipeline",
    "compile_time",
    "decode",
    "grouped_queries",
    "shared_prefix",
    "shared_decode",
    "short_conv",
    "long_conv",
    "hyena",
    "distill",
    "generation",
    "forward",
)
KERNELS = ("kernels.norm", "kernels.recurrence", "kernels.attention", "kernels.matmul", "kernels.long_conv")
GPU = (*KERNELS, "shared_prefix", "shared_decode", "hyena", "decode", "generation", "forward")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", choices=["cpu", "gpu", "tune", *CPU, *KERNELS], help="a whole set, or one benchmark")
    parser.add_argument("--out", type=Path, help="folder for the JSON results; without it they are only printed")
    parser.add_argument("--quick", action="store_true", help="small sizes and few runs, to see that it works")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="where, if not where the benchmark is meant for")
    parser.add_argument("--minutes", type=float, default=8.0, help="after which gpu starts no further benchmark")
    options = parser.parse_args()
    device = options.device or ("cuda" if options.what in ("gpu", "tune", *KERNELS) else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        parser.error(f"{options.what} needs a GPU, and torch sees none here")
    end = time.perf_counter() + 60 * options.minutes
    for name in {"cpu": CPU, "gpu": GPU}.get(options.what, (options.what,)):
        if options.what == "gpu" and time.perf_counter() > end:
            print(f"{name} is left out: {options.minutes:g} minutes are over")
            continue
        more: dict[str, Any] = {"out": options.out} if name == "tune" else {}
        if options.what == "gpu" and name in KERNELS:
            # What one family leaves of its share is for those after it.
            more["seconds"] = (end - time.perf_counter()) / (len(KERNELS) - KERNELS.index(name))
        rows = import_module(f".{name}", __package__).run(device=device, quick=options.quick, **more)
        if not rows:
            continue
        show(name, rows)
        if options.out is not None:
            file = f"{device_name(device)}-{name.replace('_', '-').replace('.', '-')}.json"
            save(options.out / file, name, rows, device, options.quick)


if __name__ == "__main__":
    main()
