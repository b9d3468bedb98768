from __future__ import annotations

import pytest
from django.http import QueryDict

from tests.http_hardening.urls import Everything

WRONG = [
    ("text", 5, "invalid_type"),
    ("text", True, "invalid_type"),
    ("text", ["a"], "invalid_type"),
    ("text", {"a": 1}, "invalid_type"),
    ("text", "a\x00b", "null_characters_not_allowed"),
    ("text", "a" * 51, "max_length"),
    ("count", "1", "invalid_type"),
    ("count", 1.0, "invalid_type"),
    ("count", True, "invalid_type"),
    ("share", "0.5", "invalid_type"),
    ("share", False, "invalid_type"),
    ("price", True, "invalid_type"),
    ("price", "NaN", "invalid"),
    ("flag", "true", "invalid_type"),
    ("flag", 1, "invalid_type"),
    ("flag", "yes", "invalid_type"),
    ("at", 1_700_000_000, "invalid_type"),
    ("at", "yesterday", "invalid"),
    ("key", 5, "invalid_type"),
    ("key", "5", "invalid"),
    ("choice", 1, "invalid_type"),
    ("choice", ["a"], "invalid_type"),
    ("choice", {}, "invalid_type"),
    ("choice", "b", "invalid_choice"),
    ("several", "ab", "invalid_type"),
    ("several", {"a": 1}, "invalid_type"),
    ("numbers", "123", "invalid_type"),
    ("numbers", {"0": 1}, "invalid_type"),
    ("table", [], "invalid_type"),
    ("item", "a", "invalid_type"),
    ("item", [], "invalid_type"),
    ("items", {}, "invalid_type"),
    ("made", "by me", "unknown_field"),
    ("nothing", 1, "unknown_field"),
    ("count", None, "null"),
]


@pytest.mark.parametrize(("name", "value", "code"), WRONG)
def test_a_value_of_another_type_is_refused(name, value, code):
    given = Everything(data={name: value})
    assert not given.is_valid()
    assert [error.code for error in given.errors[name]] == [code]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", "a"),
        ("text", None),
        ("count", 5),
        ("share", 5),
        ("share", 0.5),
        ("price", "1.50"),
        ("price", 2),
        ("flag", True),
        ("at", "2026-01-01T00:00:00Z"),
        ("key", "6f0c1b9e-9a57-4c0e-8ad7-2d1d7f4c3c11"),
        ("choice", "1"),
        ("several", ["a", "b"]),
        ("numbers", [1, 2]),
        ("table", {"a": 1}),
        ("item", {"name": "a"}),
        ("items", [{"name": "a"}, {"name": "b"}]),
        ("anything", [None, {"a": "b"}]),
    ],
)
def test_a_value_of_its_type_is_taken(name, value):
    given = Everything(data={name: value})
    assert given.is_valid(), given.errors


def test_an_item_of_another_type_is_named_by_its_place():
    given = Everything(data={"numbers": [1, "2", True]})
    assert not given.is_valid()
    assert {i: e[0].code for i, e in given.errors["numbers"].items()} == {
        1: "invalid_type",
        2: "invalid_type",
    }


def test_strictness_reaches_into_nested_objects():
    given = Everything(data={"items": [{"name": "a"}, {"name": 5}, {"name": "b", "more": 1}]})
    assert not given.is_valid()
    assert given.errors["items"][1]["name"][0].code == "invalid_type"
    assert given.errors["items"][2]["more"][0].code == "unknown_field"


def test_a_password_is_taken_as_typed():
    given = Everything(data={"password": "  two spaces  "})
    assert given.is_valid()
    assert given.validated_data["password"] == "  two spaces  "
    assert "password" not in given.data


def test_a_password_is_capped():
    given = Everything(data={"password": "a" * 1025})
    assert not given.is_valid()
    assert given.errors["password"][0].code == "max_length"


def test_a_flood_of_unknown_names_is_answered_shortly():
    given = Everything(data={f"name{n}" * 100: 1 for n in range(1000)})
    assert not given.is_valid()
    assert len(given.errors) == 20
    assert max(map(len, given.errors)) == 100


@pytest.mark.parametrize("data", [None, [], "text", 5, True])
def test_what_is_no_object_is_refused(data):
    assert not Everything(data=data).is_valid()


def test_a_form_is_held_to_its_names_and_may_say_numbers_as_text():
    given = Everything(data=QueryDict("count=5&flag=true"))
    assert given.is_valid(), given.errors
    assert not Everything(data=QueryDict("more=1")).is_valid()
