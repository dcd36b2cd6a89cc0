"""What the documentation says is so: its code runs, its tables are complete, its links lead somewhere."""

import re
from pathlib import Path

import pytest
from regraft.passes import DEFAULT, registry

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_pass_in_the_tutorial_works():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/writing-a-pass.md").read_text(), re.DOTALL)
    namespace = {"__name__": "tutorial"}
    exec(compile(blocks[0], "docs/writing-a-pass.md", "exec"), namespace)
    assert namespace["Double"].name == "double"


@pytest.mark.parametrize("page", ["README.md", "docs/passes.md"])
def test_the_table_of_passes_is_the_registry(page):
    text = (ROOT / page).read_text()
    for name in registry.names():
        cls = registry.get(name)
        summary = cls.summary().rstrip(".").replace("``", "`")
        assert f"| `{name}` | {cls.numerics.value} | {summary} |" in text


def test_every_pass_of_the_default_pipeline_is_exact():
    assert {registry.get(name).numerics.value for name in DEFAULT.split(",")} == {"exact"}


def test_every_environment_variable_in_the_code_is_documented():
    folders = ("compiler", "passes", "lowering", "kernels", "frontend")
    sources = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    used = {name for file in sources for name in re.findall(r"\bREGRAFT_[A-Z_]+\b", file.read_text())}
    documented = set(re.findall(r"`(REGRAFT_[A-Z_]+)`", (ROOT / "docs/environment.md").read_text()))
    assert used == documented - {"REGRAFT_UPDATE_GOLDEN"}  # which only the tests read


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_to_files(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
