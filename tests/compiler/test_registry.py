"""Passes are found by name, loaded late, and never silently replaced."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from regraft.compiler import registry as module
from regraft.compiler.errors import UsageError
from regraft.compiler.passes import Pass
from regraft.compiler.registry import Registry
from regraft.passes import BUILTIN
from regraft.passes.raise_norm import RaiseNorm

NORM = "regraft.passes.raise_norm:RaiseNorm"


def plugged(monkeypatch, *points):
    monkeypatch.setattr(module, "entry_points", lambda group: [EntryPoint(n, v, group) for n, v in points])
    return Registry({"canonicalise": BUILTIN["canonicalise"]}, "regraft.passes", Pass, "pass")


def test_plugin_is_found_beside_the_built_in_passes(monkeypatch):
    table = plugged(monkeypatch, ("raise-norm", NORM))
    assert table.names() == ["canonicalise", "raise-norm"]
    assert table.get("raise-norm") is RaiseNorm
    assert "raise-norm" in table


def test_name_of_a_built_in_pass_is_taken(monkeypatch):
    table = plugged(monkeypatch, ("canonicalise", "other.package:Canonicalise"))
    with pytest.raises(UsageError, match=r"'canonicalise' is registered twice, by regraft and by other\.package"):
        table.names()


def test_two_plugins_of_one_name_are_an_error(monkeypatch):
    with pytest.raises(UsageError, match="registered twice"):
        plugged(monkeypatch, ("mine", "a:A"), ("mine", "b:B")).names()


@pytest.mark.parametrize(
    ("name", "path", "message"),
    [
        ("lost", "no.such.module:Pass", "cannot be loaded from 'no.such.module:Pass'"),
        ("lost", "regraft.passes.raise_norm:Nothing", "cannot be loaded"),
        ("lost", "regraft.passes.raise_norm:RaiseRms", "is not a Pass"),
        ("misnamed", NORM, "pass 'raise-norm' is registered under the name 'misnamed'"),
    ],
)
def test_broken_registration_is_an_error_when_the_pass_is_asked_for(monkeypatch, name, path, message):
    table = plugged(monkeypatch, (name, path))
    assert name in table.names()
    with pytest.raises(UsageError, match=message):
        table.get(name)


def test_unknown_pass_names_the_nearest(monkeypatch):
    with pytest.raises(UsageError, match="did you mean 'canonicalise'"):
        plugged(monkeypatch).get("canonicalize")


def test_listing_the_passes_loads_none_of_them():
    code = (
        "import sys; from regraft.passes import registry; registry.names(); "
        "print([m for m in sys.modules if m.startswith('regraft.passes.')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
