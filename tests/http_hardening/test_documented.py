"""The page of this app names every code it answers with, and every check."""

from __future__ import annotations

from pathlib import Path

import pytest

from garrison.errors import Refusal
from http_hardening import answers, checks, errors
from http_hardening.api import problems

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "http_hardening.md").read_text()
CODES = {
    *(
        cls.code
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, Refusal) and cls is not Refusal
    ),
    *(code for status, (code, _) in answers.TITLES.items() if status != 503),
    *problems.CODES.values(),
    "validation_failed",
    "unknown_field",
    "invalid_type",
    "csrf_failed",
}


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_is_on_the_page(code):
    assert f"`{code}`" in PAGE


@pytest.mark.parametrize("name", [name for name in vars(checks) if name[1:].isdigit()])
def test_a_check_is_on_the_page(name):
    assert f"`{name}`" in PAGE
