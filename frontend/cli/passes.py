"""The passes there are; with a NAME, what one does, its options, and its rules with the place each is written."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import typing
from argparse import ArgumentParser
from typing import Any

from ...compiler.errors import UsageError
from ...compiler.passes import Pass
from ...compiler.pipeline import split_pipeline
from ...compiler.rules import RulePass
from ...passes import DEFAULT, registry
from .render import emit_json, next_command, note, place, say, table

TAKES_MODEL = False


def add_arguments(parser: ArgumentParser) -> None:
    """Which pass."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="a pass to say more about")


def run(options: argparse.Namespace) -> int:
    """Run the verb."""
    if options.name is None:
        _list(options)
        return 0
    described = describe(registry.get(options.name))
    if options.json:
        emit_json(described)
    else:
        _show(described)
    next_command(options, "run", "MODEL", "-p", options.name, "--stats")
    return 0


def describe(cls: type[Pass]) -> dict[str, Any]:
    """Everything a user can know of a pass, as plain data."""
    kinds = typing.get_type_hints(cls)
    described = [
        {"name": f.name.replace("_", "-"), "type": _type_text(kinds[f.name]), "default": f.default}
        for f in dataclasses.fields(cls)
        if f.init
    ]
    rules = cls.rules if issubclass(cls, RulePass) else ()
    return {
        "name": cls.name,
        "numerics": cls.numerics.value,
        "default": cls.name in {name for name, _ in split_pipeline(DEFAULT)},
        "doc": inspect.getdoc(cls) or "",
        "options": described,
        "rules": [{"name": rule.name, "where": rule.where(), "examples": len(rule.examples)} for rule in rules],
        "where": f"{inspect.getsourcefile(cls)}:{inspect.getsourcelines(cls)[1]}",
    }


def _list(options: argparse.Namespace) -> None:
    known: list[dict[str, Any]] = []
    for name in registry.names():
        try:
            known.append(describe(registry.get(name)))
        except UsageError as error:
            # One broken plug-in must not hide the other passes.
            note(str(error))
    if options.json:
        emit_json(known)
        return
    rows = [
        (
            p["name"],
            p["numerics"],
            "yes" if p["default"] else "",
            _options(p),
            p["doc"].split("\n")[0].replace("``", "`"),
        )
        for p in known
    ]
    table(("pass", "numerics", "default", "options", "what it does"), rows, spare=("default", "options"))
    next_command(options, "passes", known[0]["name"] if known else "NAME")


def _show(described: dict[str, Any]) -> None:
    where = "in the default pipeline" if described["default"] else "only when named"
    say(f"{described['name']} ({described['numerics']}; {where})  {place(described['where'])}", style="bold")
    say(f"\n{described['doc']}\n")
    if described["options"]:
        table(("option", "type", "default"), [(o["name"], o["type"], str(o["default"])) for o in described["options"]])
    else:
        say("no options")
    if described["rules"]:
        say("")
        rows = [(rule["name"], rule["examples"], place(rule["where"])) for rule in described["rules"]]
        table(("rule", "examples>", "where"), rows)


def _options(described: dict[str, Any]) -> str:
    return ", ".join(f"{option['name']}={option['default']}" for option in described["options"])


def _type_text(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
