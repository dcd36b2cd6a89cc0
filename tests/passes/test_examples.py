"""Every rule of every pass fires on its examples and declines on its near misses, with the reason it states."""

import pytest
from regraft.compiler.rules import RulePass
from regraft.frontend.testing import check_example
from regraft.passes import registry

RULES = [(cls, rule) for cls in registry if issubclass(cls, RulePass) for rule in cls.rules]
EXAMPLES = [pytest.param(cls, e, id=f"{cls.name}/{rule.name}/{e.name}") for cls, rule in RULES for e in rule.examples]


@pytest.mark.parametrize(("cls", "example"), EXAMPLES)
def test_rule_keeps_its_word(cls, example):
    check_example(cls(), example)


@pytest.mark.parametrize(("cls", "rule"), [pytest.param(c, r, id=f"{c.name}/{r.name}") for c, r in RULES])
def test_rule_has_an_example_and_a_near_miss(cls, rule):
    assert any(example.declines is None for example in rule.examples)
    assert any(example.declines is not None for example in rule.examples)
