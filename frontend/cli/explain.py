"""What a pipeline does at each site, and where it declines, why and what would unblock it."""

from __future__ import annotations

import argparse
import re
from argparse import ArgumentParser
from collections import Counter

from rich.text import Text

from ...compiler.errors import RegraftError, UsageError, nearest
from ...compiler.remarks import Remark
from ..explain import remarks_at
from .arguments import add_model, add_pipeline, add_selection, load, parse_pipeline, run_pipeline, selection, words
from .render import console, emit_json, next_command, place, say

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)|(?<=\.)\d+(?=/)")
"""A layer's number in the path of a module."""

_STYLES = {"passed": "green", "missed": "yellow", "failure": "bold red", "analysis": "dim"}


def add_arguments(parser: ArgumentParser) -> None:
    """Which remarks."""
    add_model(parser)
    add_pipeline(parser)
    add_selection(parser)
    shown = parser.add_argument_group("what is shown")
    shown.add_argument("--site", metavar="GLOB", help="only at these sites (handle, module path or a parent of it)")
    shown.add_argument("--missed", action="store_true", help="only where a rewrite was declined or failed")
    shown.add_argument("--each", action="store_true", help="every site by itself; layers that fare alike are one entry")
    shown.add_argument("--pass", metavar="NAME", dest="pass_name", help="only of this pass")


def run(options: argparse.Namespace) -> int:
    """Run the verb."""
    pipeline, chosen = parse_pipeline(options.passes), selection(options)
    known = {pass_.name for pass_ in pipeline.passes}
    chosen.check(known)
    if options.pass_name is not None and options.pass_name not in known:
        raise UsageError(f"pass {options.pass_name!r} is not in the pipeline", hint=nearest(options.pass_name, known))
    subject = load(options)
    report = run_pipeline(subject, pipeline, selection=chosen, compiled=options.compiled)
    remarks = report.remarks if options.site is None else remarks_at(report, options.site)
    remarks = [remark for remark in remarks if options.pass_name in (None, remark.pass_name)]
    shown = [remark for remark in remarks if not options.missed or remark.kind in ("missed", "failure")]
    if options.json:
        emit_json([remark.to_json() for remark in shown])
    else:
        _show(shown, missed=options.missed, each=options.each or options.site is not None)
        counts = Counter(remark.kind for remark in remarks)
        say(f"\n{counts['passed']} rewritten, {counts['missed']} declined, {counts['failure']} failed")
    if any(remark.kind == "missed" for remark in shown):
        next_command(options, "passes", next(r.pass_name for r in shown if r.kind == "missed"))
    else:
        next_command(options, "check", *words(options))
    return RegraftError.exit_code if any(remark.kind == "failure" for remark in report.remarks) else 0


def _show(remarks: list[Remark], *, missed: bool, each: bool) -> None:
    """Site by site in the order the passes spoke of them; layers that fared alike together, under the glob of all."""
    if not remarks:
        say("nothing was declined" if missed else "no pass had anything to say")
        return
    by_site: dict[str, list[Remark]] = {}
    for remark in remarks:
        by_site.setdefault(remark.site or "(the whole program)", []).append(remark)
    alike: dict[object, list[str]] = {}
    for site, found in by_site.items():
        verdicts = tuple((r.kind, r.pass_name, r.rule, r.code, r.message, r.unblock) for r in found)
        alike.setdefault(site if each else (_NUMBER.sub("*", site), verdicts), []).append(site)
    for sites in alike.values():
        site, found = sites[0], by_site[sites[0]]
        say(site if len(sites) == 1 else f"{_NUMBER.sub('*', site)}  ({len(sites)} sites)", style="bold")
        line = next((remark.line for remark in found if remark.line), "")
        if line:
            say(f"  {place(line)}", style="dim")
        for remark in found:
            rule = f"/{remark.rule}" if remark.rule and remark.rule != remark.pass_name else ""
            numbers = "".join(f", {name} {value:.4g}" for name, value in remark.numbers.items())
            verdict = Text(f"  {remark.kind:8}", style=_STYLES[remark.kind])
            text = f"{remark.pass_name}{rule}: {remark.message}{numbers} [{remark.code}]"
            console().print(verdict.append(text, style="default"), soft_wrap=True)
            if remark.unblock:
                say(f"           to unblock: {remark.unblock}")
