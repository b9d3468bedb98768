"""What the tests of the house look at: the apps and their files."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = sorted(
    path.parent.name
    for path in ROOT.glob("*/apps.py")
    if path.parent.name not in {"garrison", "config", "tests"}
)
PACKAGES = ["garrison", *APPS]


def sources(package: str) -> list[Path]:
    """Every Python file of a package but its migrations."""
    return [p for p in sorted((ROOT / package).rglob("*.py")) if "migrations" not in p.parts]


def tree(path: Path) -> ast.Module:
    """Parse one file."""
    return ast.parse(path.read_text())


def lines_of_code(path: Path) -> int:
    """Count the lines that hold code: no blanks, comments or docstrings."""
    code: set[int] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.stmt):
            code.add(node.lineno)
    return len(code)
