"""Print a program as text; :mod:`.parser` reads it back. The form is described in the package's docstring."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import fx
from torch.utils import _pytree as pytree

from ..errors import UnsupportedModelError
from ..program import Input, InputKind, Program, module_path, user_line, value_of
from .literals import literal, quoted, tensor_literal
from .symbols import Naming
from .targets import target_text
from .types import value_text

SMALL = 64
"""Constants and buffers of at most this many elements are written with their values."""

INDENT = "    "


def print_program(program: Program, *, lines: bool = False) -> str:
    """The text of a program; ``lines`` adds the user's source line to every call.

    Raises :class:`~..errors.UnsupportedModelError` for graphs that are not in the normal form.
    """
    naming = Naming()
    functions: list[str] = []
    if program.prelude is not None:
        functions += _function("prelude", program.prelude, _prelude_inputs(program.prelude, naming), naming, lines)
        functions += ["", ""]
    functions += _function("graph", program.module, _inputs(program, naming), naming, lines)
    header = [_header(program), *naming.declarations(program)]
    for name, spec in (("call", program.in_spec), ("returns", program.out_spec)):
        text = structure_text(spec)
        if text is not None:
            header.append(f"{name} = {text}")
    return "\n".join([*header, "", "", *functions]) + "\n"


def structure_text(spec: pytree.TreeSpec | None) -> str | None:
    """A pytree structure as a literal with ``...`` for leaves; ``None`` when it holds more than builtin containers."""
    if spec is None:
        return None
    tree = pytree.tree_unflatten([...] * spec.num_leaves, spec)
    return literal(tree) if _is_plain(tree) else None


def declared_value(program: Program, record: Input, node: fx.Node) -> torch.Tensor | None:
    """The small tensor a constant's or buffer's text gives in full, if it is known."""
    if record.kind not in (InputKind.CONSTANT, InputKind.BUFFER):
        return None
    known = (program.weights or {}).get(record.fqn or "", node.meta.get("declared"))
    return known if isinstance(known, torch.Tensor) and known.numel() <= SMALL else None


def _is_plain(tree: Any) -> bool:
    if type(tree) in (tuple, list):
        return all(map(_is_plain, tree))
    if type(tree) is dict:
        items = cast("dict[Any, Any]", tree)
        return all(type(key) in (str, int) for key in items) and all(map(_is_plain, items.values()))
    return tree is ...


def _header(program: Program) -> str:
    options = [f'door="{program.door}"'] if program.door != "text" else []
    options += ["training=True"] if program.training else []
    return f"program({', '.join(options)})"


def _inputs(program: Program, naming: Naming) -> list[str]:
    texts: list[str] = []
    for record, node in zip(program.inputs, program.placeholders(), strict=True):
        value = value_of(node)
        kind = "int" if type(value) is int else value_text(value, naming, layout=True)
        default = _default(record, value, declared_value(program, record, node))
        texts.append(f"{node.name}: {kind}" + (f" = {default}" if default else ""))
    return _separated(texts)


def _prelude_inputs(prelude: fx.GraphModule, naming: Naming) -> list[str]:
    return [
        f"{node.name}: {value_text(value_of(node), naming, layout=True)} = source({quoted(node.meta['fqn'])})"
        for node in prelude.graph.nodes
        if node.op == "placeholder"
    ]


def _default(record: Input, value: Any, declared: torch.Tensor | None) -> str:
    """What stands after ``=``: the kind and name of a weight, or the value of an input that is no tensor."""
    if record.kind is InputKind.USER and not isinstance(value, (torch.Tensor, torch.SymInt)):
        return literal(value)
    options = [] if record.fqn is None else [quoted(record.fqn)]
    options += [] if record.tied_to is None else [f"tied={quoted(record.tied_to)}"]
    if isinstance(value, torch.Tensor) and value.requires_grad != requires_grad_by_default(record.kind, value.dtype):
        options.append(f"requires_grad={value.requires_grad}")
    options += [] if declared is None else [f"value={tensor_literal(declared)}"]
    return f"{record.kind.value}({', '.join(options)})" if record.kind is not InputKind.USER or options else ""


def requires_grad_by_default(kind: InputKind, dtype: torch.dtype) -> bool:
    """Whether an input needs gradients when the text does not say."""
    return kind is InputKind.PARAMETER and (dtype.is_floating_point or dtype.is_complex)


def _separated(texts: list[str]) -> list[str]:
    """Arguments of a ``def``; keyword-only when one without a default follows one that has it, as Python demands."""
    has_default = [" = " in text for text in texts]
    return ["*", *texts] if has_default != sorted(has_default) else texts


def _function(name: str, module: fx.GraphModule, inputs: list[str], naming: Naming, lines: bool) -> list[str]:
    body: list[str] = []
    seen: set[str] = set()
    for node in module.graph.nodes:
        if node.op == "get_attr":
            body += _attribute(node, module, naming, lines, first=node.target not in seen)
            seen.add(node.target)
        elif node.op == "call_function":
            body.append(_call(node, naming) + _comment(node, lines))
        elif node.op == "output":
            body.append(f"return {literal(node.args[0])}")
        elif node.op != "placeholder":
            raise UnsupportedModelError(
                f"node {node.name} is a {node.op} of {node.target}, which has no text",
                where=user_line(node),
                hint="bring the graph to its normal form first",
            )
    # One input a line reads best, and diffs best, as soon as there are several.
    if len(inputs) > 4:
        head = [f"def {name}(", *(f"{INDENT}{text}," for text in inputs), "):"]
    else:
        head = [f"def {name}({', '.join(inputs)}):"]
    return [*head, *(INDENT + line if line else line for line in body)]


def _call(node: fx.Node, naming: Naming) -> str:
    value = value_of(node)
    kind = "" if value is None else f": {value_text(value, naming)}"
    arguments = [literal(argument) for argument in node.args]
    awkward = {key: value for key, value in node.kwargs.items() if keyword.iskeyword(key)}
    arguments += [f"{key}={literal(value)}" for key, value in node.kwargs.items() if key not in awkward]
    arguments += [f"**{literal(awkward)}"] if awkward else []
    target = target_text(node.target)
    if any(map(keyword.iskeyword, target.split("."))):
        target = f"op({quoted(target)})"
    return f"{node.name}{kind} = {target}({', '.join(arguments)})"


def _attribute(node: fx.Node, module: fx.GraphModule, naming: Naming, lines: bool, *, first: bool) -> Iterator[str]:
    """A ``get_attr``: of a nested body, which is written out before it, or of a tensor the graph owns."""
    target = str(node.target)
    owned: Any = module
    for part in target.split("."):
        owned = getattr(owned, part)
    if isinstance(owned, fx.GraphModule):
        function = target.replace(".", "__")
        if first:
            inputs = [
                f"{inner.name}: {value_text(value_of(inner), naming, layout=True)}"
                for inner in owned.graph.nodes
                if inner.op == "placeholder"
            ]
            yield from ("", *_function(function, owned, inputs, naming, lines), "")
        options = [quoted(target)] + ([f"body={function}"] if first else [])
        yield f"{node.name} = attr({', '.join(options)})" + _comment(node, lines)
        return
    if not isinstance(owned, torch.Tensor):
        raise UnsupportedModelError(f"the graph owns {target!r}, a {type(owned).__name__}, which has no text")
    kind = value_text(owned, naming, layout=True)
    value = f", value={tensor_literal(owned)}" if owned.numel() <= SMALL else ""
    yield f"{node.name}: {kind} = attr({quoted(target)}{value})" + _comment(node, lines)


def _comment(node: fx.Node, lines: bool) -> str:
    path, line = module_path(node), user_line(node) if lines else None
    text = f"{path} | {line}".strip() if line else path
    return f"  # {text}" if text else ""
