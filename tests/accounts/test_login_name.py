"""One person has one spelling, and what nobody can be called never reaches the database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.login_name import LONGEST_LOGIN_NAME, acceptable, fingerprint, fold

ANY_TEXT = st.text(st.characters())  # surrogates and NUL among them


@given(ANY_TEXT)
def test_folding_twice_is_folding_once(text):
    assert fold(fold(text)) == fold(text)


@given(ANY_TEXT)
def test_every_case_of_a_name_is_one_name(text):
    assert fold(text.casefold()) == fold(text)


@given(st.text(st.characters(max_codepoint=0x7F)))
def test_upper_and_lower_case_of_ascii_are_one_name(text):
    assert fold(text.upper()) == fold(text.lower()) == fold(text)


@given(ANY_TEXT)
def test_an_acceptable_name_is_short_printable_and_can_be_encoded(text):
    name = acceptable(text)
    if name is not None:
        assert 1 <= len(name) <= LONGEST_LOGIN_NAME
        assert name.isprintable()
        assert "\0" not in name
        assert name.encode()


@given(ANY_TEXT)
def test_a_fingerprint_can_be_taken_of_anything_and_is_the_same_for_every_spelling(text):
    assert fingerprint(text) == fingerprint(fold(text))
    assert len(fingerprint(text)) == 32


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("Alice@Example.ORG", "alice@example.org"),
        ("  alice@example.org ", "alice@example.org"),
        ("\uff21lice@example.org", "alice@example.org"),  # full-width A
        ("stra\u00dfe@example.org", "strasse@example.org"),
        ("ali\ufb01@example.org", "alifi@example.org"),  # the ligature fi
        ("\u212alaus@example.org", "klaus@example.org"),  # the Kelvin sign
    ],
)
def test_spellings_that_look_alike_are_one_name(typed, folded):
    assert fold(typed) == folded
    assert acceptable(typed) == folded


@pytest.mark.parametrize(
    "typed",
    ["", "   ", "a" * 255, "a\0b@example.org", "\ud800@a.org", "a\nb@a.org", "x" * 10**7],
)
def test_what_nobody_can_be_called_is_not_acceptable(typed):
    assert acceptable(typed) is None


def test_a_fingerprint_depends_on_the_sites_secret(settings):
    before = fingerprint("ada@example.org")
    settings.SECRET_KEY = "another secret of the site, long enough to be one"
    assert fingerprint("ada@example.org") != before
