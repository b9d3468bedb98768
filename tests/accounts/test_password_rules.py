"""The policy: small rules, each with a code and a sentence; and what strength never shows."""

import random
import time

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import password_validators_help_texts
from hypothesis import given
from hypothesis import strategies as st

from accounts.errors import PasswordRejected
from accounts.password.policy import advise, reasons_against, require_accepted
from accounts.password.rules import RULES, Candidate
from accounts.password.strength import estimate
from tests.accounts.conftest import PASSWORD


def codes(password, **words):
    user = get_user_model()(**{"email": "ada@example.org", "name": "Ada Lovelace"} | words)
    return [reason.code for reason in reasons_against(password, user=user)]


def test_a_long_passphrase_is_accepted():
    assert codes(PASSWORD) == []
    assert codes("x7 " + "vermilion otter gargle " * 40) == []  # 72 characters and more


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("Tr0ub4d&r7x", "length"),  # 11
        ("x" * 1025, "length"),
        ("stapler kelp\0 orbit 47 dune", "characters"),
        ("stapler kelp\ud800 orbit 47 dune", "characters"),
        ("password1234", "guessable"),
        ("qwertyuiop[]", "guessable"),
        ("aaaaaaaaaaaaaaaa", "guessable"),
        ("ada@example.org", "guessable"),
        ("AdaLovelace!", "context"),
        ("ada.l0vel@ce.2026", "context"),
        ("DjangoGarrison", "context"),
        ("example.org-2026!", "context"),
    ],
)
def test_a_weak_password_is_refused_by_the_rule_that_says_why(password, code):
    assert code in codes(password)


def test_twelve_characters_are_enough_and_1024_are_too():
    assert codes("Vq3!mZ8#rW2p") == []
    assert codes("".join(random.Random(1).choices("абвгд漢字かな文", k=1024))) == []


def test_no_composition_is_asked_for():
    """ASVS 5.0 V6.2.5: letters alone are welcome, and so is every script."""
    assert codes("vermilionottergarglekelp") == []
    assert codes("вермильон выдра полоскать орбита") == []


def test_what_is_known_about_the_person_or_the_site_does_not_help(settings):
    settings.ACCOUNTS_CONTEXT_WORDS = ["wolpertinger"]
    assert "context" in codes("Wolpertinger1!")
    assert codes("Wolpertinger kelp orbit dune") == []  # the rest is a password by itself
    settings.ACCOUNTS_CONTEXT_WORDS = []
    assert "context" not in codes("Wolpertinger1!")
    settings.SITE_NAME = "wolpertinger"
    assert "context" in codes("W0lpertinger1!")


def test_the_limits_are_settings(settings):
    settings.ACCOUNTS_PASSWORD_MIN_LENGTH, settings.ACCOUNTS_PASSWORD_MIN_SCORE = 8, 0
    assert codes("wq3mz8rk") == []


def test_every_reason_is_told_at_once_with_a_code_and_a_sentence():
    with pytest.raises(PasswordRejected) as refused:
        require_accepted("abc", user=None)
    found = [error.code for error in refused.value.errors]
    assert found == ["length", "common", "repeats", "guessable"]
    assert all(error.message.endswith(".") for error in refused.value.errors)
    assert refused.value.code == "password_rejected"


def test_every_rule_has_a_code_and_says_what_it_asks_for():
    assert len({rule.code for rule in RULES}) == len(RULES)
    (text,) = password_validators_help_texts()
    assert all(rule.sentence() in text for rule in RULES)


def test_a_candidate_does_not_show_its_password():
    assert PASSWORD not in repr(Candidate(PASSWORD, ("ada",)))


@given(st.text(st.characters(), max_size=90))
def test_any_text_can_be_judged_and_is_not_in_the_result(password):
    strength = estimate(password, words=["ada", "example"])
    assert 0 <= strength.score <= 4
    if len(password) > 6:
        assert password not in repr(strength)


def test_a_password_of_any_length_is_judged_fast():
    started = time.thread_time()
    assert 0 <= estimate("a1" * 500_000).score <= 4
    assert estimate("").score == 0
    assert time.thread_time() - started < 1


def test_advice_is_the_verdict_that_setting_it_would_get():
    weak = advise(password="ada@example.org", email="ada@example.org")
    strong = advise(password=PASSWORD, email="ada@example.org")
    assert not weak.accepted
    assert weak.errors
    assert strong.accepted
    assert strong.score >= 3
    assert strong.crack_time
