"""The ``regraft`` command: one verb per file, loaded when it is asked for.

Results go to stdout, everything said about them (progress, dumps, hints, errors) to stderr. Exit codes: 0 ok, 1 a
difference was found, 2 usage, 3 unsupported model, 4 internal error with a reproducer's path.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from ...compiler.errors import RegraftError, UsageError, nearest

VERBS = {
    "trace": "capture a model and write its normal form",
    "inspect": "what is in a model: operators, sites, parameters, cost",
    "passes": "the passes there are, their numerics class, options and rules",
    "run": "run a pipeline over a model, pass by pass",
    "diff": "what differs between two models, or between before and after a pipeline",
    "check": "compare a model before and after each pass with fp64, by output, gradient and site",
    "bisect": "find the first pass and rewrite that breaks a model's numbers",
    "explain": "what a pipeline does at each site, and why not",
    "sweep": "run an approximate pass at several settings: its bound, its error, what it saves",
    "bench": "time a model before and after a pipeline, eager and compiled",
    "kernels": "the GPU kernels there are: their source, their machine code without a GPU, what is cached",
    "doctor": "versions, devices, compilers, caches and settings, with what is wrong about them",
}

MODEL_HELP = """\
MODEL is one of
  file.py:function            a function that gives (model, example inputs), or a model together with --inputs
  package.module:function     the same, imported
  model.pt2                   what torch.export.save wrote
  program.ir.py               a program as text, run on seeded random weights and inputs
  directory/                  a local Hugging Face model (config.json, weights, tokenizer)"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on ``argv`` (by default the process's own) and give its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    traceback_wanted = "--traceback" in arguments
    try:
        return _dispatch(arguments)
    except BrokenPipeError:
        # The reader of stdout has seen enough; point it elsewhere so that the interpreter's own flush stays quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("regraft: interrupted", file=sys.stderr)
        return 130
    except RegraftError as error:
        if traceback_wanted:
            traceback.print_exc()
        print(f"regraft: {error}", file=sys.stderr)
        if error.exit_code == RegraftError.exit_code:
            _reproduce(arguments, error)
        return error.exit_code
    except Exception as error:
        if traceback_wanted:
            traceback.print_exc()
        print(f"regraft: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        _reproduce(arguments, error)
        return RegraftError.exit_code


class Parser(argparse.ArgumentParser):
    """Reports a wrong command line as every other wrong request is."""

    def error(self, message: str) -> NoReturn:
        """Raise :class:`UsageError`."""
        raise UsageError(message, hint=f"{self.prog} --help")


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if arguments else UsageError.exit_code
    if arguments[0] in ("-V", "--version"):
        from ... import __version__

        print(f"regraft {__version__}")
        return 0
    name, *rest = arguments
    if name not in VERBS:
        raise UsageError(f"there is no verb {name!r}", hint=nearest(name, VERBS))
    verb: Any = import_module(f".{name}", __name__)
    parser = Parser(
        prog=f"regraft {name}",
        description=verb.__doc__,
        epilog=MODEL_HELP if getattr(verb, "TAKES_MODEL", True) else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else, on stdout")
    parser.add_argument("--traceback", action="store_true", help="show the Python traceback of an error")
    verb.add_arguments(parser)
    return verb.run(parser.parse_args(rest))


def _overview() -> str:
    width = max(map(len, VERBS)) + 2
    verbs = "\n".join(f"  {name:{width}}{summary}" for name, summary in VERBS.items())
    return (
        "usage: regraft VERB MODEL [options]\n\n"
        f"Trace a PyTorch model, rewrite it with checked passes, and see what happened.\n\n{verbs}\n\n"
        f"{MODEL_HELP}\n\nregraft VERB --help says more about a verb. Start with: regraft run file.py:function"
    )


def _reproduce(arguments: Sequence[str], error: BaseException) -> None:
    from .reproducer import write_reproducer

    path = write_reproducer(arguments, error)
    print(f"regraft: to reproduce: {path}", file=sys.stderr)
