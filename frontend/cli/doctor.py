"""Look at versions, devices, compilers, entry points, caches and settings; exit 1 when something is wrong."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser
from dataclasses import asdict

from rich.text import Text

from ... import __version__
from ..doctor import SETTINGS, examine
from .render import emit_json, next_command, say, table

TAKES_MODEL = False

_STYLES = {"ok": "green", "warning": "yellow", "wrong": "bold red"}


def add_arguments(parser: ArgumentParser) -> None:
    """Nothing to choose."""


def run(options: argparse.Namespace) -> int:
    """Run the verb."""
    findings = examine()
    wrong = [finding for finding in findings if finding.status == "wrong"]
    if options.json:
        emit_json({"version": __version__, "ok": not wrong, "findings": [asdict(finding) for finding in findings]})
        return int(bool(wrong))
    say(f"regraft {__version__}", style="bold")
    for topic in dict.fromkeys(finding.topic for finding in findings):
        say("")
        rows = [(f.name, Text(f.status, _STYLES[f.status]), f.value, f.advice) for f in findings if f.topic == topic]
        table((topic, "", "", ""), rows)
    unset = [name for name in SETTINGS if not any(finding.name == name for finding in findings)]
    if unset:
        say(f"\nnot set: {', '.join(unset)}", style="dim")
    say(f"\n{len(wrong)} thing{'s' * (len(wrong) != 1)} wrong" if wrong else "\nall is well")
    next_command(options, "passes" if not wrong else "doctor")
    return int(bool(wrong))
