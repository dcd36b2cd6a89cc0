"""Draw the pictures of the documentation from committed results: ``python -m benchmarks.draw``.

Needs matplotlib (``pip install "regraft[report]"``). A picture is written whole or not at all.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from regraft.frontend.bench_shared import DECLARED, DEFAULT, STATIC, WITH, WITHOUT

from .generation import AGAIN, DISTILLED, DOT, EPOCHED, RELAXED, TRANSFORMER

ROOT = Path(__file__).parents[1]
# Colours of Okabe and Ito, which the colour-blind tell apart; markers and dashes say the same again.
STYLES = {
    WITH: ("#0072B2", "o", "-"),
    DECLARED: ("#009E73", "s", "-"),
    STATIC: ("#E69F00", "^", "--"),
    DEFAULT: ("#D55E00", "v", "--"),
    WITHOUT: ("#555555", "D", ":"),
}
NAMES = {
    WITH: "regraft, compiled, with share-prefix",
    DECLARED: "regraft.share_prefix, eager",
    STATIC: "transformers, static cache",
    DEFAULT: "transformers, default cache",
    WITHOUT: "regraft, compiled, without share-prefix",
}

STEPS = {
    DISTILLED: "distilled to 16 states",
    RELAXED: "exact, relaxed",
    EPOCHED: "exact, epoched",
    DOT: "exact, cached dot product",
    TRANSFORMER: "Llama of the same width and depth, keys and values kept",
    AGAIN: "whole forward again",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.draw", description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results", help="folder of JSON results")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/pictures", help="folder for the pictures")
    parser.add_argument("--device", default="cpu", help="whose results: the first part of their names (default cpu)")
    options = parser.parse_args()
    record = json.loads((options.results / f"{options.device}-shared-decode.json").read_text())
    target = options.out / f"{options.device}-shared-decode.png"
    save(shared_decode(record), target)
    print(target)
    steps = options.results / f"{options.device}-generation.json"
    if steps.exists():
        save(generation(json.loads(steps.read_text())), target.with_name(f"{options.device}-generation.png"))
        print(target.with_name(f"{options.device}-generation.png"))


def shared_decode(record: dict[str, Any]) -> Any:
    """Tokens per second against the length of the prompt, and against the number of rows; both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    points = [row["notes"] | row for row in record["rows"]]
    batch, prompt = (_most_common([point[axis] for point in points]) for axis in ("batch", "prompt"))
    _lines(left, [p for p in points if p["batch"] == batch], "prompt")
    _lines(right, [p for p in points if p["prompt"] == prompt], "batch")
    left.set(xlabel="length of the shared prompt [tokens]", ylabel="throughput [tokens / s]")
    left.set_title(f"{batch} rows", fontsize=12)
    right.set(xlabel="rows that share it")
    right.set_title(f"prompt of {prompt} tokens", fontsize=12)
    handles, names = left.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=11, frameon=False, handlelength=3)
    threads = f"{record['threads']} thread{'s' * (record['threads'] > 1)}"
    where = f"{record['device']}, {threads}, {points[0]['dtype']}, torch {record['versions']['torch']}"
    model = "Llama of 4 layers of 512, 64 tokens of its own in each row"
    figure.suptitle(f"Decoding after a shared prompt: {model}\n{where}; bars from slowest to fastest step", fontsize=12)
    return figure


def generation(record: dict[str, Any]) -> Any:
    """The cost of a token of every way against its position; both axes logarithmic."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=(8, 5.6), layout="constrained")
    axes = figure.subplots()
    rows = [row for row in record["rows"] if row["case"].startswith("hyena")]
    for (name, label), style in zip(STEPS.items(), [*STYLES.values(), ("#CC79A7", "P", ":")], strict=True):
        run = sorted((row for row in rows if row["variant"] == name), key=lambda row: row["notes"]["position"])
        colour, marker, dashes = style
        axes.plot(
            [row["notes"]["position"] for row in run],
            [row["median_ms"] for row in run],
            label=label,
            color=colour,
            marker=marker,
            linestyle=dashes,
            linewidth=2,
        )
    axes.set(xlabel="position [tokens]", ylabel="cost of a token [ms]", yscale="log")
    axes.set_xscale("log", base=2)
    ticks = sorted({int(row["notes"]["position"]) for row in rows})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(True, which="major", color="#dddddd")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, handlelength=3)
    threads = f"{record['threads']} thread{'s' * (record['threads'] > 1)}"
    model = rows[0]["case"].split(",")[0].replace("hyena", "a Hyena of")
    where = f"{record['device']}, {threads}, fp32, torch {record['versions']['torch']}"
    figure.suptitle(f"One token of {model}, against its position\n{where}", fontsize=12)
    return figure


def save(figure: Any, path: Path) -> None:
    """Write a picture by one rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        # Without the version of matplotlib, so that equal results give equal files.
        figure.savefig(temporary, format="png", dpi=160, metadata={"Software": None})
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _lines(axes: Any, points: list[dict[str, Any]], axis: str) -> None:
    from matplotlib.ticker import LogLocator

    ticks = sorted({point[axis] for point in points})
    for name, (colour, marker, dashes) in STYLES.items():
        run = sorted((p for p in points if p["variant"] == name and p["runs"]), key=lambda p: p[axis])
        if not run:
            continue
        speed = [p["tokens_per_s"] for p in run]
        # Ranges of times, the other way round as ranges of speeds.
        low = [s - 1e3 * p["batch"] / p["high_ms"] for s, p in zip(speed, run, strict=True)]
        high = [1e3 * p["batch"] / p["low_ms"] - s for s, p in zip(speed, run, strict=True)]
        style = {"color": colour, "marker": marker, "linestyle": dashes, "markersize": 6, "linewidth": 2}
        axes.errorbar(
            [p[axis] for p in run], speed, yerr=[low, high], label=NAMES[name], elinewidth=1, capsize=2, **style
        )
        if run[-1][axis] < ticks[-1]:
            axes.annotate(
                "does not fit",
                (run[-1][axis], speed[-1]),
                (10, -3),
                textcoords="offset points",
                color=colour,
                fontsize=9,
            )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks], fontsize=11)
    axes.minorticks_off()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.tick_params(axis="y", labelsize=11)
    axes.xaxis.label.set_size(12)
    axes.yaxis.label.set_size(12)
    axes.grid(True, which="major", color="#dddddd")
    axes.set_axisbelow(True)


def _most_common(values: list[int]) -> int:
    return max(set(values), key=values.count)


if __name__ == "__main__":
    main()
