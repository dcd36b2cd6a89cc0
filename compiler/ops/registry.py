"""How a semantic operator is declared.

A semantic operator has a schema and a reference in plain ATen, which is its definition. It is registered
``CompositeImplicitAutograd``, so it stays one node under Dynamo, ``make_fx(pre_dispatch=True)`` and ``torch.export``,
takes its gradients from the reference, and dissolves into the reference's ATen when AOTAutograd meets it.

- :func:`declare` registers one and gives back its :class:`SemanticOp`.
- :func:`known`, :func:`require` and :func:`one_of` check arguments without ever guarding on a symbolic size;
  :func:`require_equal` makes one symbol of two sizes that the operator needs to be equal.
"""

# torch.library comes without types.
# pyright: reportUnknownMemberType=false

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from inspect import getdoc
from typing import Any

import torch
from torch._ops import OpOverload

NAMESPACE = "regraft"

Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class SemanticOp:
    """One operator of the dialect: what it is called, what it means, and small inputs to try it on.

    ``example_inputs()`` gives a list of ``(args, kwargs)``; its floating-point tensors are fp32 on the CPU.
    """

    name: str
    overload: OpOverload
    reference: Callable[..., Any]
    summary: str
    schema: str
    example_inputs: Callable[[], list[Call]]


def declare(reference: Callable[..., Any], signature: str, example_inputs: Callable[[], list[Call]]) -> SemanticOp:
    """Register ``regraft::<name of reference><signature>``; a second import finds the operator in place."""
    name = reference.__name__
    if not hasattr(getattr(torch.ops, NAMESPACE), name):
        library = torch.library.Library(NAMESPACE, "FRAGMENT")
        library.define(name + signature)
        library.impl(name, reference, "CompositeImplicitAutograd")
        # The operator lives as long as its library does, and the dispatcher holds the reference for good.
        setattr(reference, "library", library)  # noqa: B010
    overload = getattr(getattr(torch.ops, NAMESPACE), name).default
    summary = (getdoc(reference) or "").partition("\n")[0]
    return SemanticOp(name, overload, reference, summary, f"{NAMESPACE}::{name}{signature}", example_inputs)


def known(condition: bool | torch.SymBool) -> bool:
    """Whether a condition on sizes holds for certain; never adds a guard."""
    if isinstance(condition, bool):
        return condition
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return statically_known_true(condition)


def require(name: str, argument: str, holds: bool, expected: str, got: object) -> None:
    """Raise ``ValueError`` naming the operator, the argument, what was expected and what came."""
    if not holds:
        raise ValueError(f"{NAMESPACE}::{name}: {argument} must be {expected}, got {got}")


def require_equal(name: str, argument: str, expected: str, size: int, other: int) -> None:
    """Raise ``ValueError`` as :func:`require` does unless the sizes are equal; symbols are guarded to be, before any
    arithmetic is done with one of them that is compared with that of the other."""
    if known(size != other):  # To put a symbol into a message is to ask for its value.
        require(name, argument, False, f"{expected} ({other})", size)
    torch._check(size == other)


def one_of(name: str, argument: str, value: str, allowed: Collection[str]) -> None:
    """Raise ``ValueError`` listing the allowed values when ``value`` is none of them."""
    require(name, argument, value in allowed, "one of " + ", ".join(map(repr, allowed)), repr(value))


def accumulation_dtype(dtypes: Iterable[torch.dtype]) -> torch.dtype:
    """The dtype to accumulate in: fp64 if any of the inputs is, else fp32."""
    return torch.float64 if torch.float64 in dtypes else torch.float32
