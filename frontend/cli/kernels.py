"""The kernels there are, what is printed and compiled for them, and what is kept on disk.

  list                 families and their variants
  show NAME            one variant: its source, or with an option what a compiler made of it
  audit [NAME ...]     compile for every architecture, without a GPU, and check the machine code; exit 1 on a fault
  tune                 check and time the kernels of this machine, and write what compilation chooses by
  cache                folders, how much is in them; --clear empties them

NAME is a variant, a family or a glob.
"""

from __future__ import annotations

import argparse
import fnmatch
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from ...compiler.errors import UsageError, nearest
from ...kernels import candidates, families
from ...lowering.tile import Variant
from ...lowering.tile.variant import AUDITED
from .render import emit_json, next_command, note, progress, quantity, say, table

TAKES_MODEL = False

ACTIONS = ("list", "show", "audit", "tune", "cache")
TEXTS = ("source", "tile", "ttir", "ttgir", "ptx", "amdgcn")


def add_arguments(parser: ArgumentParser) -> None:
    """What to do, and to which kernels."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("action", choices=ACTIONS, help="what to do")
    parser.add_argument("names", metavar="NAME", nargs="*", help="variants, families or globs")
    parser.add_argument("--target", metavar="ARCH", help=f"one architecture: {', '.join(AUDITED)}")
    parser.add_argument("--op", metavar="OP", action="append", default=[], help="tune: only this operator; repeatable")
    parser.add_argument("--quick", action="store_true", help="tune: one size of each operator, and less often")
    parser.add_argument("--clear", action="store_true", help="cache: delete printed sources and audit results")
    shown = parser.add_mutually_exclusive_group()
    for text in TEXTS:
        shown.add_argument(f"--{text}", dest="text", action="store_const", const=text, help=f"show: print the {text}")
    parser.set_defaults(text=None)


def run(options: argparse.Namespace) -> int:
    """Run the verb."""
    if options.target is not None and options.target not in AUDITED:
        raise UsageError(f"there is no target {options.target!r}", hint=nearest(options.target, AUDITED))
    return {"list": _list, "show": _show, "audit": _audit, "tune": _tune, "cache": _cache}[options.action](options)


def _chosen(names: Sequence[str]) -> list[tuple[str, Variant]]:
    """``(family, variant)`` of what the names select, all without names."""
    known = [(family, variant) for family, variants in families().items() for variant in variants]
    chosen = [
        (family, variant)
        for family, variant in known
        if not names or any(name == family or fnmatch.fnmatchcase(variant.name, name) for name in names)
    ]
    for name in names:
        if not any(name == family or fnmatch.fnmatchcase(variant.name, name) for family, variant in chosen):
            both = {variant.name for _, variant in known} | {family for family, _ in known}
            raise UsageError(f"there is no kernel {name!r}", hint=nearest(name, both))
    return chosen


def _list(options: argparse.Namespace) -> int:
    found: list[dict[str, Any]] = []
    for family, variant in _chosen(options.names):
        program = variant.build()
        what = program.doc.strip().split("\n")[0]
        found.append({"family": family, "variant": variant.name, "targets": list(variant.arches), "what": what})
    if options.json:
        emit_json(found)
        return 0
    rows = [
        (row["variant"], "all" if tuple(row["targets"]) == AUDITED else ", ".join(row["targets"]), row["what"])
        for row in found
    ]
    table(("variant", "targets", "what it computes"), rows, spare=("targets",))
    next_command(options, "kernels", "show", found[0]["variant"] if found else "NAME")
    return 0


def _show(options: argparse.Namespace) -> int:
    from ...lowering.tile.audit import compile_for
    from ...lowering.tile.launch import source
    from ...lowering.tile.text import describe

    if len(options.names) != 1:
        raise UsageError("show takes one kernel", hint="regraft kernels list")
    variant = _chosen(options.names)[0][1]
    program = variant.build()
    machine = options.text in ("ttir", "ttgir", "ptx", "amdgcn")
    if machine or options.target:
        arch = options.target or ("gfx942" if options.text == "amdgcn" else "sm_90")
        with progress(f"compiling {variant.name} for {arch}"):
            made = compile_for(program, arch, texts=machine)
        if made.fault:
            raise UsageError(f"{variant.name} does not compile for {arch}", where=made.fault)
        if machine and options.text not in made.texts:
            raise UsageError(f"there is no {options.text} for {arch}", hint=f"there is {', '.join(made.texts)}")
        facts = {name: value for name, value in asdict(made).items() if name not in ("texts", "fault")}
        text = made.texts[options.text] if machine else ""
    else:
        facts, text = {}, ""
    if options.text == "tile":
        text = describe(program)
    elif options.text == "source" or not (text or options.target):
        text = source(program, interpreted=False)
    if options.json:
        emit_json({"variant": variant.name, "key": program.key, **facts, **({"text": text} if text else {})})
        return 0
    if text:
        print(text.rstrip())
    else:
        table((variant.name, ""), [(name.replace("_", " "), _fact(value)) for name, value in facts.items()])
    next_command(options, "kernels", "show" if not machine else "audit", variant.name, *(() if machine else ("--ptx",)))
    return 0


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items() if count) or "none"
    return str(value)


def _audit(options: argparse.Namespace) -> int:
    from ...lowering.tile.audit import compile_all, faults

    pairs = [
        (variant, arch)
        for _, variant in _chosen(options.names)
        for arch in variant.arches
        if options.target in (None, arch)
    ]
    programs = {variant.name: variant.build() for variant, _ in pairs}
    with progress(f"compiling {len(pairs)} kernels") as step:
        jobs = [(programs[variant.name], arch) for variant, arch in pairs]
        made = compile_all(jobs, lambda done: step(f"{done} of {len(pairs)}"))
    found = [
        {
            "variant": variant.name,
            "target": arch,
            "faults": faults(variant, programs[variant.name], machine),
            **{name: value for name, value in asdict(machine).items() if name not in ("texts", "fault", "arch")},
        }
        for (variant, arch), machine in zip(pairs, made, strict=True)
    ]
    wrong = [row for row in found if row["faults"]]
    if options.json:
        emit_json(found)
        return int(bool(wrong))
    rows = [
        (
            row["variant"],
            row["target"],
            _fact(row["instructions"]),
            row["registers"],
            row["spill_bytes"],
            f"{row['shared_bytes'] / 1024:.1f}",
            "; ".join(fault.split("\n")[0] for fault in row["faults"]) or "ok",
        )
        for row in found
    ]
    table(("variant", "target", "instructions", "registers>", "spilled>", "shared KB>", "check"), rows)
    say(f"\n{len(found) - len(wrong)} of {len(found)} are as they must be")
    worst = wrong[0] if wrong else found[0] if found else None
    if worst:
        next_command(options, "kernels", "show", worst["variant"], "--target", worst["target"])
    return int(bool(wrong))


def _tune(options: argparse.Namespace) -> int:
    import torch

    from ...kernels.tunable import TUNABLE, tunable
    from ...lowering import costs
    from ...lowering.tune import tune

    device = "cuda" if torch.cuda.is_available() else "cpu"
    wanted = [*options.op, *options.names]
    for op in wanted:
        if op not in candidates.by_op:
            raise UsageError(f"no operator {op!r} has kernels to choose from", hint=nearest(op, candidates.by_op))
    jobs = [job for job in tunable(device, quick=options.quick) if not wanted or job.op in wanted]
    found: list[dict[str, Any]] = []
    with progress(f"timing {len(jobs)} calls") as step:
        for at, job in enumerate(jobs):
            step(f"{at + 1} of {len(jobs)}, {job.op} {job.shape}")
            call = job.make(device)
            compilable = device == "cuda" and candidates.reference(job.op).fused and not options.quick
            for compiled in (False, True) if compilable else (False,):
                trials = tune(replace(call, compiled=compiled), candidates, seconds=0.1 if options.quick else 1.0)
                mode = "compiled" if compiled else "eager"
                found += [{"op": job.op, "shape": job.shape, "mode": mode, **asdict(trial)} for trial in trials]
    # What was asked for, or has sizes to be timed at on a GPU, and is none of the jobs.
    left = sorted({*(wanted or (job.op for job in TUNABLE))} - {job.op for job in jobs})
    if options.json:
        emit_json({"device": device, "table": str(costs.table_path()), "trials": found, "left_out": left})
        return 0
    if found:
        table(("operator", "shape", "mode", "candidate", "ms>", "error>", "configuration"), map(_trial, found))
        say(f"\nthe fastest of each candidate is in {costs.table_path()}")
    if left and device == "cpu":
        say(f"\nthere is no GPU: kernels of {', '.join(left)} cannot be timed here, and were not")
    elif left:
        say(f"\nno sizes are listed for {', '.join(left)}, and nothing was timed")
    next_command(options, "kernels", "cache")
    return 0


def _trial(row: dict[str, Any]) -> tuple[Any, ...]:
    told = row["rejected"] or ", ".join(f"{name}={value}" for name, value in row["config"].items())
    return (*(row[name] for name in ("op", "shape", "mode", "candidate", "milliseconds", "error")), told)


def _cache(options: argparse.Namespace) -> int:
    from ...lowering.costs import table_path
    from ...lowering.tile.audit import audit_directory
    from ...lowering.tile.launch import kernels_directory

    kept = {
        "printed kernels": (kernels_directory(), "*.py"),
        "audit results": (audit_directory(), "*.json"),
        "measured costs": (table_path().parent, table_path().name),
    }
    files = {what: sorted(folder.glob(pattern)) for what, (folder, pattern) in kept.items()}
    found = [
        {
            "what": what,
            "files": len(files[what]),
            "bytes": sum(file.stat().st_size for file in files[what]),
            "folder": str(folder),
        }
        for what, (folder, _) in kept.items()
    ]
    if options.clear:
        for file in (*files["printed kernels"], *files["audit results"]):
            file.unlink(missing_ok=True)
    if options.json:
        emit_json({"cleared": options.clear, "folders": found})
        return 0
    rows = [(row["what"], row["files"], quantity(row["bytes"], "B"), row["folder"]) for row in found]
    table(("what", "files>", "size>", "folder"), rows)
    if options.clear:
        note("printed kernels and audit results were deleted; measured costs were kept")
    next_command(options, "kernels", *(("audit",) if options.clear else ("cache", "--clear")))
    return 0
