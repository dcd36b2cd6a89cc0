"""Read a program from text. Every error names the file, the line and the column, and what was expected there.

Values are computed afresh: each call runs on fake tensors, and its result must be of the declared type. Where the
result depends on more than the operands (bodies of higher-order operators, flat autocast regions, sizes known only when
the program runs), the declared type is taken as it is.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import sympy
import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv, free_unbacked_symbols
from torch.utils import _pytree as pytree

from ..analysis.effects import ENTER_AUTOCAST, EXIT_AUTOCAST
from ..errors import UsageError, nearest
from ..program import Input, InputKind, Program, is_operator
from ..values import evaluate
from .literals import LiteralError, parse_literal
from .printer import requires_grad_by_default
from .seeds import seeded_tensor
from .symbols import Naming, SizeError, expression_of, make_symbol
from .targets import find_target
from .types import TensorType, fake_value, fits, parse_type, value_text

_KINDS = {kind.value: kind for kind in InputKind}


def load_program(path: str | Path) -> Program:
    """Read a ``.ir.py`` file; see :func:`parse_program`."""
    return parse_program(Path(path).read_text(encoding="utf-8"), file=str(path))


def parse_program(text: str, *, file: str = "<text>") -> Program:
    """The program a text describes, over fake values of a new shape environment, without weights.

    Raises :class:`~..errors.UsageError` with the place of anything malformed, unknown or of another type than declared.
    """
    try:
        tree = ast.parse(text, filename=file)
    except SyntaxError as error:
        raise UsageError(
            f"not Python syntax: {error.msg}", where=f"{file}:{error.lineno or 1}:{error.offset or 1}"
        ) from None
    return _Parser(file, _comments(text)).program(tree)


@dataclass
class _Function:
    """What has been read of one function."""

    module: torch.nn.Module
    graph: fx.Graph = field(default_factory=fx.Graph)
    nodes: dict[str, fx.Node] = field(default_factory=dict[str, fx.Node])
    bodies: dict[str, fx.GraphModule] = field(default_factory=dict[str, fx.GraphModule])
    """Nested functions by name."""
    nested: bool = False
    autocasts: int = 0
    """How many flat autocast regions are open."""


@dataclass
class _Parser:
    file: str
    comments: Mapping[int, str]
    environment: ShapeEnv = field(default_factory=ShapeEnv)
    symbols: dict[str, torch.SymInt] = field(default_factory=dict[str, torch.SymInt])
    ranges: dict[str, tuple[int, int | None]] = field(default_factory=dict[str, "tuple[int, int | None]"])
    inputs: list[Input] = field(default_factory=list[Input])

    def __post_init__(self) -> None:
        self.mode = FakeTensorMode(shape_env=self.environment, allow_non_fake_inputs=True)

    def program(self, tree: ast.Module) -> Program:
        header: dict[str, Any] = {}
        specs: dict[str, pytree.TreeSpec] = {}
        modules: dict[str, fx.GraphModule] = {}
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef) and statement.name in ("graph", "prelude"):
                modules[statement.name] = self.function(statement)
            elif isinstance(statement, ast.Assign) and _is_call(statement.value, "dim"):
                self.dimension(statement)
            elif isinstance(statement, ast.Assign) and _name(statement) in ("call", "returns"):
                leaves = self.literal(statement.value)
                specs[_name(statement)] = pytree.tree_flatten(leaves)[1]
            elif isinstance(statement, ast.Expr) and _is_call(statement.value, "program"):
                header = self.options(cast(ast.Call, statement.value), {"door": str, "training": bool})
            elif not _is_docstring(statement):
                raise self.error(
                    statement,
                    "this does not belong at the top level of a program",
                    "expected program(...), NAME = dim(...), call = ..., returns = ..., def prelude or def graph",
                )
        if "graph" not in modules:
            raise UsageError("the text holds no program", where=f"{self.file}:1:1", hint="expected 'def graph(...):'")
        return Program(
            modules["graph"],
            self.inputs,
            door=header.get("door", "text"),
            in_spec=specs.get("call"),
            out_spec=specs.get("returns"),
            prelude=modules.get("prelude"),
            ranges=self.ranges,
            training=header.get("training", False),
        )

    def dimension(self, statement: ast.Assign) -> None:
        call = cast(ast.Call, statement.value)
        name, options = _name(statement), self.options(call, {"hint": int})
        bounds = [self.literal(argument) for argument in call.args]
        if not name or name in self.symbols or len(bounds) != 2 or type(bounds[0]) is not int:
            raise self.error(statement, "not a new dimension", "expected 's0 = dim(lowest, highest, hint=example)'")
        lowest, highest = bounds
        if not (highest is None or (type(highest) is int and highest >= lowest)):
            raise self.error(call.args[1], "the highest size must be None or no less than the lowest")
        hint = options.get("hint")
        if hint is not None and not (lowest <= hint and (highest is None or hint <= highest)):
            raise self.error(call, f"the hint {hint} is outside the bounds")
        self.symbols[name], symbol = make_symbol(self.environment, name, lowest, highest, hint)
        if hint is not None:
            self.ranges[symbol] = (lowest, highest)

    def function(self, definition: ast.FunctionDef, *, nested: bool = False) -> fx.GraphModule:
        here = _Function(torch.nn.Module(), nested=nested)
        arguments = definition.args
        if arguments.posonlyargs or arguments.vararg or arguments.kwarg:
            raise self.error(definition, "a graph takes plain arguments only")
        plain = arguments.args
        missing: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults))
        pairs = [*zip(plain, [*missing, *arguments.defaults], strict=True)]
        pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        for argument, default in pairs:
            self.placeholder(here, argument, default, definition.name, nested)
        returned = False
        for statement in definition.body:
            if returned:
                raise self.error(statement, "nothing may follow 'return'")
            returned = isinstance(statement, ast.Return)
            self.statement(here, statement)
        if not returned:
            raise self.error(definition.body[-1], f"{definition.name!r} does not end in 'return'")
        return fx.GraphModule(here.module, here.graph, class_name="GraphModule")

    def placeholder(
        self, here: _Function, argument: ast.arg, default: ast.expr | None, function: str, nested: bool
    ) -> None:
        if argument.annotation is None:
            raise self.error(argument, f"input {argument.arg!r} has no type", "expected 'name: f32[2, 8]'")
        node = self.add(here, argument, argument.arg, "placeholder", argument.arg)
        value = fake_value(self.type(argument.annotation), self.mode)
        if nested:
            if default is not None:
                raise self.error(default, "inputs of a nested function have no default")
        elif function == "prelude":
            if not _is_call(default, "source"):
                raise self.error(default or argument, "inputs of a prelude are weights", "expected '= source(\"fqn\")'")
            node.meta["fqn"] = self.weight(cast(ast.Call, default), {})[0]
        else:
            value = self.record(node, argument, default, value)
        node.meta["val"] = value

    def record(self, node: fx.Node, argument: ast.arg, default: ast.expr | None, value: Any) -> Any:
        """Note the kind of one of the program's inputs; gives its fake value."""
        call = default if isinstance(default, ast.Call) and isinstance(default.func, ast.Name) else None
        if call is None or cast(ast.Name, call.func).id in ("float", "complex", "slice"):
            self.inputs.append(Input(node.name, InputKind.USER))
            return value if default is None else self.literal(default)
        word = cast(ast.Name, call.func).id
        kind = _KINDS.get(word)
        if kind is None:
            raise self.error(call, f"{word!r} is not a kind of input", nearest(word, _KINDS))
        fqn, options = self.weight(call, {"tied": str, "requires_grad": bool, "value": list})
        if kind in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT) and fqn is None:
            raise self.error(call, f"a {word} needs its name in the model", f"expected '= {word}(\"layers.0.weight\")'")
        self.inputs.append(Input(node.name, kind, fqn, options.get("tied")))
        if isinstance(value, torch.Tensor):
            value.requires_grad_(options.get("requires_grad", requires_grad_by_default(kind, value.dtype)))
            if "value" in options:
                node.meta["declared"] = self.tensor(call, options["value"], value)
        return value

    def weight(self, call: ast.Call, options: Mapping[str, type]) -> tuple[str | None, dict[str, Any]]:
        names = [self.literal(argument) for argument in call.args]
        if len(names) > 1 or not all(isinstance(name, str) for name in names):
            raise self.error(call, "expected the name of one weight")
        return (names[0] if names else None), self.options(call, options)

    def statement(self, here: _Function, statement: ast.stmt) -> None:
        if isinstance(statement, ast.FunctionDef):
            here.bodies[statement.name] = self.function(statement, nested=True)
        elif isinstance(statement, ast.Return):
            value = statement.value
            here.graph.output(None if value is None else self.literal(value, here.nodes))
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and _name(statement):
            if not isinstance(statement.value, ast.Call):
                raise self.error(
                    statement.value or statement,
                    "expected the call of an operator",
                    "such as aten.linear.default(x, w)",
                )
            if _is_call(statement.value, "attr"):
                node = self.attribute(here, statement, statement.value)
            else:
                node = self.call(here, statement, statement.value)
            self.place(node, statement)
        elif not _is_docstring(statement):
            raise self.error(
                statement, "not a statement of a graph", "expected NAME: TYPE = OPERATOR(...), def or return"
            )

    def call(self, here: _Function, statement: ast.Assign | ast.AnnAssign, call: ast.Call) -> fx.Node:
        target = self.target(call.func)
        args = tuple(self.literal(argument, here.nodes) for argument in call.args)
        kwargs: dict[str, Any] = {}
        for keyword in call.keywords:
            value = self.literal(keyword.value, here.nodes)
            kwargs |= value if keyword.arg is None else {keyword.arg: value}
        self.check_arguments(call, target, args, kwargs)
        node = self.add(here, statement, _name(statement), "call_function", target, args, kwargs)
        here.autocasts += (target is ENTER_AUTOCAST) - (target is EXIT_AUTOCAST)
        if isinstance(statement, ast.AnnAssign):
            declared = self.type(statement.annotation)
            node.meta["val"] = self.value(here, node, call, statement.annotation, declared)
        return node

    def value(self, here: _Function, node: fx.Node, call: ast.Call, annotation: ast.expr, declared: Any) -> Any:
        """The fake value of a call, computed where that can be done and held against the declared type."""
        trusted = here.nested or here.autocasts > 0
        if isinstance(node.target, torch._ops.HigherOrderOperator) or _is_unbacked(declared):
            return fake_value(declared, self.mode)
        try:
            computed = evaluate(node, self.mode)
        except Exception as error:
            if trusted:
                return fake_value(declared, self.mode)
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise self.error(call, f"{ast.unparse(call.func)} does not take these arguments: {reason[0]}") from None
        if fits(declared, computed):
            return computed
        if trusted:
            return fake_value(declared, self.mode)
        naming = Naming()
        naming.names = {expression_of(size): sympy.Symbol(name, integer=True) for name, size in self.symbols.items()}
        raise self.error(
            annotation,
            f"{node.name} is declared {ast.unparse(annotation)} but computes {value_text(computed, naming)}",
            f"{ast.unparse(call.func)} gives that type for these arguments",
        )

    def attribute(self, here: _Function, statement: ast.Assign | ast.AnnAssign, call: ast.Call) -> fx.Node:
        """A nested body, or a tensor the graph owns, under its name in the graph module."""
        body = [keyword for keyword in call.keywords if keyword.arg == "body"]
        others = ast.Call(call.func, call.args, [keyword for keyword in call.keywords if keyword not in body])
        target, options = self.weight(ast.copy_location(others, call), {"value": list})
        if target is None:
            raise self.error(call, "expected the attribute's name", "'attr(\"name\", ...)'")
        name = _name(statement)
        if isinstance(statement, ast.AnnAssign):
            declared = self.type(statement.annotation)
            if not isinstance(declared, TensorType):
                raise self.error(statement.annotation, "an attribute is a tensor or a nested function")
            like = cast(torch.Tensor, fake_value(declared, self.mode))
            own = self.tensor(call, options["value"], like) if "value" in options else seeded_tensor(like, target)
            _register(here.module, target, own)
            node = self.add(here, statement, name, "get_attr", target)
            node.meta["val"] = like
            return node
        if body:
            function = body[0].value
            if not isinstance(function, ast.Name) or function.id not in here.bodies:
                raise self.error(function, f"{ast.unparse(function)!r} is no nested function", nearest("", here.bodies))
            _register(here.module, target, here.bodies[function.id])
        return self.add(here, statement, name, "get_attr", target)

    def add(
        self, here: _Function, place: ast.AST, name: str, op: str, target: Any, args: Any = (), kwargs: Any = None
    ) -> fx.Node:
        if name in here.nodes:
            raise self.error(place, f"{name!r} is defined twice")
        node = here.graph.create_node(op, target, args, kwargs or {}, name=name)
        # fx renames what Python could not call by its name; the text is the authority here.
        node.name = name
        here.nodes[name] = node
        return node

    def place(self, node: fx.Node, statement: ast.stmt) -> None:
        """Take the module path and the source line from the comment that ends a statement."""
        lines = range(statement.end_lineno or statement.lineno, statement.lineno - 1, -1)
        path, _, line = next((self.comments[at] for at in lines if at in self.comments), "").partition("| ")
        if path.strip():
            node.meta["nn_module_stack"] = {path.strip(): (path.strip(), "")}
        if line.strip():
            file, number, code = [*line.strip().split(":", 2), "", ""][:3]
            node.meta["stack_trace"] = f'File "{file}", line {number}, in forward\n    {code.strip()}\n'

    def target(self, function: ast.expr) -> Any:
        name = ast.unparse(function)
        if _is_call(function, "op"):
            name = str(self.literal(cast(ast.Call, function).args[0]))
        try:
            return find_target(name)
        except LookupError as error:
            raise self.error(function, f"unknown operator {name!r}", str(error.args[0])) from None

    def check_arguments(self, call: ast.Call, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not is_operator(target):
            return
        known = [argument.name for argument in target._schema.arguments]
        for keyword in call.keywords:
            if keyword.arg is not None and keyword.arg not in known:
                raise self.error(keyword, f"{target} has no argument {keyword.arg!r}", nearest(keyword.arg, known))
        if len(args) > len(known):
            raise self.error(call.args[len(known)], f"{target} takes at most {len(known)} arguments")
        given = {*known[: len(args)], *kwargs}
        for argument in target._schema.arguments:
            if argument.name not in given and not argument.has_default_value():
                raise self.error(call, f"{target} lacks its argument {argument.name!r}", f"expected {target._schema}")

    def options(self, call: ast.Call, kinds: Mapping[str, type]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for keyword in call.keywords:
            if keyword.arg is None or keyword.arg not in kinds:
                raise self.error(keyword, f"unknown option {keyword.arg!r}", nearest(keyword.arg or "", kinds))
            value = self.literal(keyword.value)
            # A tensor of rank 0 is written as its only element.
            if type(value) is not kinds[keyword.arg] and kinds[keyword.arg] is not list:
                raise self.error(keyword.value, f"option {keyword.arg!r} takes {kinds[keyword.arg].__name__}")
            found[keyword.arg] = value
        return found

    def tensor(self, place: ast.AST, values: Any, like: torch.Tensor) -> torch.Tensor:
        try:
            tensor = torch.tensor(values, dtype=like.dtype)
        except (TypeError, ValueError, RuntimeError) as error:
            raise self.error(place, f"the value is no tensor: {error}") from None
        # An empty list has lost its other dimensions.
        if tensor.numel() == 0 == like.numel():
            tensor = tensor.reshape(like.shape)
        if tensor.shape != like.shape:
            raise self.error(place, f"the value has shape {list(tensor.shape)}, not {list(like.shape)}")
        return tensor.to(like.device)

    def literal(self, node: ast.expr, nodes: Mapping[str, fx.Node] | None = None) -> Any:
        try:
            return parse_literal(node, nodes or {})
        except LiteralError as error:
            raise self.error(error.node, error.what, error.hint) from None

    def type(self, node: ast.expr) -> Any:
        try:
            return parse_type(node, self.symbols)
        except SizeError as error:
            raise self.error(
                error.node,
                f"{ast.unparse(error.node)!r} is neither a type nor a declared size",
                "expected such as f32[2, s0], bool, float, a size (4, s0, 2*s0), or a tuple or list of types",
            ) from None

    def error(self, place: ast.AST, what: str, hint: str | None = None) -> UsageError:
        line, column = getattr(place, "lineno", 1), getattr(place, "col_offset", 0) + 1
        return UsageError(what, where=f"{self.file}:{line}:{column}", hint=hint)


def _comments(text: str) -> dict[int, str]:
    """Comments by line."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.string.lstrip("#").strip() for token in tokens if token.type == tokenize.COMMENT}


def _name(statement: ast.Assign | ast.AnnAssign) -> str:
    """The one name a statement assigns to, or ``""``."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


def _is_call(node: ast.expr | None, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_unbacked(declared: Any) -> bool:
    shapes = [leaf.shape if isinstance(leaf, TensorType) else (leaf,) for leaf in pytree.tree_leaves(declared)]
    sizes = [size for shape in shapes for size in shape if isinstance(size, torch.SymInt)]
    return any(free_unbacked_symbols(size) for size in sizes)


def _register(module: torch.nn.Module, target: str, value: Any) -> None:
    """Set a dotted attribute, making the modules on the way."""
    *parents, name = target.split(".")
    for parent in parents:
        if not hasattr(module, parent):
            setattr(module, parent, torch.nn.Module())
        module = getattr(module, parent)
    if isinstance(value, torch.Tensor):
        module.register_buffer(name, value, persistent=False)
    else:
        setattr(module, name, value)
