"""What is in a model: inputs, operators, semantic operators of the dialect, parameters, cost, and its sites."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser

from ..inventory import Inventory, find_sites, take_inventory
from .arguments import add_model, load, words
from .render import emit_json, next_command, quantity, say, table

_SHOWN = 20


def add_arguments(parser: ArgumentParser) -> None:
    """What to look at."""
    add_model(parser)
    parser.add_argument(
        "--sites", metavar="GLOB", help="list the sites a glob names, by handle, module path or a parent of it"
    )
    parser.add_argument("--all", action="store_true", help=f"all operators, not only the {_SHOWN} most frequent")


def run(options: argparse.Namespace) -> int:
    """Run the verb."""
    subject = load(options)
    if options.sites is not None:
        found = [(str(site), line, site.line) for site, line in find_sites(subject.program, options.sites)]
        if options.json:
            emit_json([{"site": site, "type": kind, "line": line} for site, kind, line in found])
        else:
            table(("site", "gives", "line"), found)
        next_command(options, "explain", *words(options, passes=False), "--site", options.sites)
        return 0
    inventory = take_inventory(subject.program)
    if options.json:
        emit_json(inventory.to_json())
    else:
        _show(inventory, everything=options.all)
    next_command(options, "run", *words(options, passes=False))
    return 0


def _show(found: Inventory, *, everything: bool) -> None:
    say(f"{found.nodes} nodes in {found.graphs} graph{'s' * (found.graphs > 1)}, captured through {found.door}")
    ranges = "".join(f"; {name} in {low}..{high or ''}" for name, (low, high) in found.ranges.items())
    say(f"inputs: {', '.join(f'{name}: {kind}' for name, kind in found.inputs.items())}{ranges}")
    tied = f", {found.tied} of them tied" if found.tied else ""
    say(
        f"weights: {quantity(found.parameters)} parameters in {found.parameter_tensors} tensors{tied}; "
        f"{found.buffers} buffers; {quantity(found.weight_bytes, 'B')}"
    )
    at = ", ".join(f"{name} = {number}" for name, number in found.sizes.items())
    say(
        f"one call{f' at {at}' * bool(at)}: {quantity(found.cost['flops'], 'FLOP')}, "
        f"{quantity(found.cost['matmul_flops'], 'FLOP')} of them in matrix multiplications; "
        f"{quantity(found.cost['bytes'], 'B')} read and written when nothing is fused"
    )
    if found.uncounted:
        say(f"not counted: {', '.join(f'{count} {name}' for name, count in found.uncounted.items())}")
    say("")
    semantic = sum(found.semantic.values())
    operators = list(found.operators.items())
    shown = operators if everything else operators[:_SHOWN]
    table(("operator", "calls>"), shown)
    if len(shown) < len(operators):
        say(f"and {len(operators) - len(shown)} more kinds (--all)", style="dim")
    say("")
    if semantic:
        say("dialect: " + ", ".join(f"{count} {name}" for name, count in found.semantic.items()))
    else:
        say("dialect: none of its operators; the default pipeline raises them")
