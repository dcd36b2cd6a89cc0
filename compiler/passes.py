"""Passes: what they are, what they promise about numbers, and what they may ask for while they run.

A pass is a frozen dataclass; its fields are its options on the command line. It declares its :class:`Numerics` class,
and changes the program only through :meth:`PassContext.edit`.
"""

from __future__ import annotations

import dataclasses
import typing
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode

from .errors import UsageError, nearest
from .program import Program
from .remarks import Kind, Remark, RemarkLog
from .rewriter import Edit
from .sites import Site, sites


class Numerics(str, Enum):
    """What a pass may do to numbers; the doors enforce it."""

    EXACT = "exact"
    """The same function up to rounding: error against fp64 at most twice that of the program before."""
    BOUNDED = "bounded"
    """An approximation with a stated bound that is checked after the pass."""
    FITTED = "fitted"
    """Parameters derived from the weights or calibration data, without gradients."""
    TRAINED = "trained"
    """Needs distillation to be any good, and is reported so until it has been distilled."""


@dataclass(frozen=True)
class Pass(ABC):
    """Base of all passes. Subclasses are frozen dataclasses with a kebab-case ``name`` and a ``numerics`` class."""

    name: ClassVar[str]
    numerics: ClassVar[Numerics]
    may_change_inputs: ClassVar[bool] = False
    """Whether the pass may add DERIVED inputs or drop weights; everything else keeps the inputs as they are."""
    builds_on: ClassVar[tuple[str, ...]] = ()
    """Passes whose results it rewrites: without them, named before it, it finds nothing to do."""

    @abstractmethod
    def run(self, program: Program, ctx: PassContext) -> None:
        """Rewrite ``program`` in place through ``ctx``."""

    @classmethod
    def summary(cls) -> str:
        """First line of the docstring."""
        return (cls.__doc__ or "").strip().split("\n", 1)[0]

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Pass:
        """Build the pass from option texts; raises :class:`UsageError` naming the option and its type."""
        kinds = typing.get_type_hints(cls)
        fields = {f.name.replace("_", "-"): f for f in dataclasses.fields(cls) if f.init}
        values: dict[str, Any] = {}
        for key, text in options.items():
            known = fields.get(key.replace("_", "-"))
            if known is None:
                raise UsageError(f"pass {cls.name!r} has no option {key!r}", hint=nearest(key, fields))
            values[known.name] = _convert(cls.name, key, text, kinds[known.name])
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise UsageError(f"pass {cls.name!r}: {error}") from error

    def __str__(self) -> str:
        """``name{option=value,...}`` with only the options that differ from their defaults; parses back."""
        shown = [
            f"{f.name.replace('_', '-')}={_option_text(getattr(self, f.name))}"
            for f in dataclasses.fields(self)
            if f.init and getattr(self, f.name) != f.default
        ]
        return self.name + (f"{{{','.join(shown)}}}" if shown else "")


class RewriteLimitReached(Exception):
    """Raised by :meth:`PassContext.edit` when a bisection asked for no more rewrites; the pipeline ends the pass."""


@dataclass
class RuleStatistics:
    """How a rule fared: places looked at, matched, declined and rewritten, and the seconds it took."""

    where: str = ""
    """``file:line`` of the rule's definition."""
    attempts: int = 0
    matches: int = 0
    declined: int = 0
    rewrites: int = 0
    seconds: float = 0.0


@dataclass
class PassContext:
    """What one run of one pass may use, and where it reports to."""

    pass_name: str
    remarks: RemarkLog
    fake_mode: FakeTensorMode | None = None
    """The mode in which values of new nodes are computed."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Where the program will run; cost questions are asked for this device."""
    compiled: bool = False
    """Whether Inductor will compile the program; it fuses pointwise work that eager execution pays for call by call."""
    limit: int | None = None
    """Stop after this many rewrites (bisection)."""
    counts: Counter[str] = field(default_factory=Counter[str])
    """Rewrites so far, by rule."""
    statistics: dict[str, RuleStatistics] = field(default_factory=dict[str, RuleStatistics])
    removed: list[str] = field(default_factory=list[str])
    """Names of nodes that edits removed."""
    relaid: list[fx.Node] = field(default_factory=list[fx.Node])
    """Values that edits put in place of others with other strides."""

    @property
    def rewrites(self) -> int:
        """Rewrites so far."""
        return sum(self.counts.values())

    @contextmanager
    def edit(self, node: fx.Node, rule: str, site: Site | str = "") -> Generator[Edit]:
        """One rewrite anchored at ``node``; dead nodes are removed when it ends."""
        if self.limit is not None and self.rewrites >= self.limit:
            raise RewriteLimitReached
        edit = Edit(node, self.pass_name, rule, self.rewrites + 1, str(site), self.fake_mode)
        yield edit
        self.counts[rule] += 1
        self.removed += [dead.name for dead in edit.finish()]
        self.relaid += edit.relaid

    def sites(self, program: Program, *targets: Any, where: Callable[[fx.Node], bool] | None = None) -> list[Site]:
        """Sites of calls to any of ``targets``."""
        return sites(program, lambda node: node.target in targets and (where is None or where(node)))

    def remark(self, kind: Kind, site: Site | str, code: str, message: str, **details: Any) -> None:
        """Record one verdict; ``details`` are fields of :class:`Remark`."""
        line = site.line if isinstance(site, Site) else ""
        self.remarks.add(Remark(kind, self.pass_name, str(site), code, message, line=line, **details))

    def passed(self, site: Site | str, code: str, message: str, **details: Any) -> None:
        """The rewrite was made."""
        self.remark("passed", site, code, message, **details)

    def missed(self, site: Site | str, code: str, message: str, **details: Any) -> None:
        """The rewrite was declined, and why."""
        self.remark("missed", site, code, message, **details)

    def note(self, site: Site | str, code: str, message: str, **details: Any) -> None:
        """A fact worth telling that is not a verdict."""
        self.remark("analysis", site, code, message, **details)


def _convert(pass_name: str, key: str, text: Any, kind: Any) -> Any:
    """Read an option's text as its field's type."""
    if not isinstance(text, str):
        return text
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    try:
        if origin is tuple:
            items = [part for part in text.strip("[]").split(",") if part]
            return tuple(_convert(pass_name, key, part.strip(), inner[0]) for part in items)
        if origin is typing.Union or type(None) in inner:
            return None if text == "none" else _convert(pass_name, key, text, inner[0])
        if origin is typing.Literal:
            if text not in inner:
                raise ValueError(f"one of {', '.join(map(str, inner))}")
            return text
        if kind is bool:
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        if isinstance(kind, type) and issubclass(kind, (int, float, str)):
            return kind(text)
    except (KeyError, ValueError) as error:
        name = getattr(kind, "__name__", str(kind))
        raise UsageError(f"pass {pass_name!r}: option {key!r} takes {name}, not {text!r}", hint=str(error)) from error
    raise UsageError(f"pass {pass_name!r}: option {key!r} cannot be given as text")


def _option_text(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ",".join(_option_text(item) for item in typing.cast("tuple[Any, ...]", value)) + "]"
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
