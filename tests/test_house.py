"""The layout is the architecture: which folder may import which, what the wheel holds, what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "compiler": {"compiler"},
    "lowering": {"lowering", "compiler"},
    "kernels": {"kernels", "lowering", "compiler"},
    "passes": {"passes", "kernels", "lowering", "compiler"},
    "frontend": {"frontend", "passes", "kernels", "lowering", "compiler"},
}
SOURCES = [file for folder in MAY_IMPORT for file in sorted((ROOT / folder).rglob("*.py"))]


def imported(file):
    """``(line, folder)`` of every import of another part of the package."""
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level == 0:
            if (node.module or "").split(".")[0] == "regraft":
                yield node.lineno, "an absolute import of regraft"
            continue
        base = file.relative_to(ROOT).parent
        for _ in range(node.level - 1):
            base = base.parent
        parts = (base / (node.module or "").replace(".", "/")).parts
        if parts and parts[0] in MAY_IMPORT:
            yield node.lineno, parts[0]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_follow_the_arrows(file):
    allowed = MAY_IMPORT[file.relative_to(ROOT).parts[0]]
    assert [(line, what) for line, what in imported(file) if what not in allowed] == []


def test_the_wheel_holds_every_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(settings["tool"]["setuptools"]["packages"])
    found = {"regraft"}
    for folder in MAY_IMPORT:
        for init in (ROOT / folder).rglob("__init__.py"):
            found.add("regraft." + ".".join(init.parent.relative_to(ROOT).parts))
    assert listed == found


def test_importing_the_package_loads_neither_torch_nor_anything_heavy():
    code = "import sys, regraft; print(sorted({'torch', 'rich', 'transformers', 'sympy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
