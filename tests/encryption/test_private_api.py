"""Encryption reads no private attribute of another package (ADR 0012)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import encryption

pytestmark = pytest.mark.django_db  # the folder installs an app with tables, which needs one

# Documented by Django, in spite of the underscore.
DOCUMENTED = {"_meta", "_state", "_base_manager", "_default_manager"}
OWN = {"self", "cls"}


def private_attributes(tree):
    """Every ``other._name`` where ``other`` is not the object itself, ``super()`` included."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not node.attr.startswith("_"):
            continue
        is_own = isinstance(node.value, ast.Name) and node.value.id in OWN
        if not is_own and not node.attr.startswith("__") and node.attr not in DOCUMENTED:
            yield f"{ast.unparse(node)}, line {node.lineno}"


def test_no_private_attribute_of_another_object_is_used():
    found = {
        path.name: uses
        for path in Path(encryption.__file__).parent.rglob("*.py")
        if (uses := list(private_attributes(ast.parse(path.read_text()))))
    }
    assert found == {}


def test_the_search_finds_what_it_looks_for():
    tree = ast.parse("queryset._insert(); super()._save(); self._mine; model._meta; x.__dict__")
    assert [use.partition(",")[0] for use in private_attributes(tree)] == [
        "queryset._insert",
        "super()._save",
    ]
