"""Pipelines read and write as text, refuse what is wrong with a place and a hint, and run what was selected."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from regraft.compiler.errors import UsageError
from regraft.compiler.passes import Numerics, Pass
from regraft.compiler.pipeline import Pipeline, Selection, split_pipeline
from regraft.compiler.registry import Registry
from regraft.frontend.capture import capture
from regraft.passes import DEFAULT, registry
from torch import nn


@dataclass(frozen=True)
class Tune(Pass):
    """Has an option of every kind."""

    name: ClassVar[str] = "tune"
    numerics: ClassVar[Numerics] = Numerics.BOUNDED
    where: str = "*"
    order: int = 16
    tol: float = 1e-2
    fast: bool = False
    sizes: tuple[int, ...] = (1,)
    limit: int | None = None
    kind: Literal["a", "b"] = "a"

    def run(self, program, ctx):
        """Nothing."""


TABLE = Registry({"tune": f"{__name__}:Tune"}, "regraft.none", Pass, "pass")
TABLE._loaded["tune"] = Tune


def parse(text):
    return Pipeline.parse(text, TABLE, default="tune")


def test_options_are_read_by_their_types():
    (tune,) = parse("tune{where=layers.*.mlp, order=4, tol=1e-3, fast=true, sizes=[2,3], limit=none, kind=b}").passes
    assert tune == Tune("layers.*.mlp", 4, 1e-3, True, (2, 3), None, "b")


@given(
    st.builds(
        Tune,
        where=st.text("abc.*_0", min_size=1),
        order=st.integers(),
        tol=st.floats(allow_nan=False, allow_infinity=False),
        fast=st.booleans(),
        sizes=st.lists(st.integers(), min_size=1).map(tuple),
        limit=st.none() | st.integers(),
        kind=st.sampled_from("ab"),
    )
)
def test_text_of_a_pipeline_reads_back_as_it(tune):
    pipeline = Pipeline((tune, Tune()))
    assert parse(str(pipeline)) == pipeline


def test_default_stands_for_the_exact_pipeline():
    pipeline = Pipeline.parse("default", registry, DEFAULT)
    assert [pass_.name for pass_ in pipeline.passes] == DEFAULT.split(",")
    assert {pass_.numerics for pass_ in pipeline.passes} == {Numerics.EXACT}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tone", "no pass 'tone'(?s:.*)did you mean 'tune'"),
        ("tune{ordr=3}", "no option 'ordr'(?s:.*)did you mean 'order'"),
        ("tune{order=x}", "'order' takes int, not 'x'"),
        ("tune{fast=perhaps}", "'fast' takes bool"),
        ("tune{kind=c}", "one of a, b"),
        ("tune{order}", "is not 'name=value'(?s:.*)column"),
        ("tune{order=3", "unbalanced"),
        ("tune}", "unbalanced '}'(?s:.*)column 5"),
        ("tune,,tune", "empty pass name(?s:.*)column 6"),
        ("default{order=3}", "'default' takes no options"),
    ],
)
def test_malformed_pipeline_is_refused_with_the_place(text, message):
    with pytest.raises(UsageError, match=message):
        parse(text)


@pytest.mark.parametrize("text", ["", "  "])
def test_empty_text_is_the_empty_pipeline(text):
    assert split_pipeline(text) == []


def test_door_refuses_a_pass_of_another_class_by_name():
    with pytest.raises(UsageError, match="'tune' is bounded and the backend takes only exact"):
        parse("tune").require([Numerics.EXACT], "the backend")


class Cosines(nn.Module):
    def forward(self, x):
        return (x * 1).cos() + (x * 1).cos()


def run(**selection):
    program = capture(Cosines(), (torch.ones(3),))
    pipeline = Pipeline.parse("canonicalise,raise-norm,raise-rotary", registry)
    return pipeline.run(program, selection=Selection(**selection))


def test_records_tell_sizes_rewrites_and_text():
    record = run().records[0]
    assert (record.text, record.changed) == ("canonicalise", True)
    assert record.nodes_after < record.nodes_before


def test_selection_skips_stops_and_limits():
    assert [r.skipped for r in run(skip=frozenset({"raise-norm"})).records] == ["", "skipped by request", ""]
    assert [r.pass_name for r in run(stop_after="raise-norm").records] == ["canonicalise", "raise-norm"]
    assert [bool(r.skipped) for r in run(only=frozenset({"raise-norm"})).records] == [True, False, True]
    assert run(limit={"canonicalise": 1}).rewrites == 1
    assert run(limit={"canonicalise": 0}).rewrites == 0


def test_selection_of_an_unknown_pass_is_refused():
    with pytest.raises(UsageError, match=r"'raise-nrm' is not in the pipeline(?s:.*)raise-norm"):
        run(skip=frozenset({"raise-nrm"}))
