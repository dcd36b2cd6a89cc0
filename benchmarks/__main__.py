"""Run benchmarks and write their results with the machine they came from.

``python -m benchmarks cpu --out DIR`` runs every CPU benchmark, ``gpu`` everything that waits for a GPU (under ten
minutes), and a name runs one. Each writes ``DIR/<device>-<name>.json`` and prints its table.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from .results import device_name, save, show

CPU = ("pipeline", "compile_time", "decode", "grouped_queries", "short_conv", "long_conv", "hyena", "forward")
GPU = ("forward", "decode", "hyena")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", choices=["cpu", "gpu", *CPU], help="a whole set, or one benchmark")
    parser.add_argument("--out", type=Path, help="folder for the JSON results; without it they are only printed")
    parser.add_argument("--quick", action="store_true", help="small sizes and few runs, to see that it works")
    options = parser.parse_args()
    device = "cuda" if options.what == "gpu" else "cpu"
    for name in {"cpu": CPU, "gpu": GPU}.get(options.what, (options.what,)):
        rows = import_module(f".{name}", __package__).run(device=device, quick=options.quick)
        show(name, rows)
        if options.out is not None:
            save(
                options.out / f"{device_name(device)}-{name.replace('_', '-')}.json", name, rows, device, options.quick
            )


if __name__ == "__main__":
    main()
