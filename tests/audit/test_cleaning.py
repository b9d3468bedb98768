"""What comes in is made harmless, and secrets stay out."""

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.cleaning import LONGEST_DATA, MASK, canonical, cleaned, names_a_secret, printable


@pytest.mark.parametrize(
    "key",
    [
        "password", "new_password", "currentPassword", "PASSWORD", "passwd", "secret",
        "client_secret", "token", "refreshToken", "access-token", "mfa_token", "api_key", "apiKey",
        "private_key", "Authorization", "Cookie", "set-cookie", "code", "backup_codes", "otp",
        "totp_secret", "csrf", "credential", "X-API-Key", "verification_code", "sessionKey",
    ],
)  # fmt: skip
def test_a_secret_is_known_by_its_name(key):
    assert names_a_secret(key)
    assert cleaned({key: "hunter2"}) == {printable(key): MASK}


@pytest.mark.parametrize(
    "key",
    [
        "reason", "email", "token_id", "token_kind", "key_id", "password_age_days", "error_code",
        "country_code", "status", "code_count", "key", "monkey", "secretary", "tokenizer",
        "password_expires_at", "kind", "",
    ],
)  # fmt: skip
def test_what_only_speaks_of_a_secret_is_none(key):
    assert not names_a_secret(key)


def test_a_secret_is_masked_at_any_depth_and_an_empty_one_is_shown_as_empty():
    data = {"request": {"headers": [{"authorization": "Bearer abc"}]}, "password": ""}
    assert cleaned(data) == {
        "password": "",
        "request": {"headers": [{"authorization": MASK}]},
    }


def test_a_token_is_masked_wherever_it_stands():
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    assert cleaned({"detail": f"got {token} here"}) == {"detail": f"got {MASK} here"}


def test_values_become_json():
    at = datetime(2026, 11, 24, tzinfo=UTC)
    key = uuid.uuid4()
    given = {"at": at, "id": key, "n": 2**60, "x": float("nan"), "b": b"abc", "s": {2, 1}, 3: None}
    assert cleaned(given) == {
        "3": None,
        "at": "2026-11-24 00:00:00+00:00",
        "b": "3 bytes",
        "id": str(key),
        "n": hex(2**60),
        "s": [1, 2],
        "x": "nan",
    }


def test_depth_width_and_length_are_bounded():
    deep: dict = {}
    for _ in range(50):
        deep = {"deeper": deep}
    shown = cleaned({"deep": deep, "wide": list(range(10_000)), "long": "x" * 10**6})
    assert canonical(shown["deep"]).count("deeper") == 4
    assert len(shown["wide"]) == 50
    assert shown["long"].endswith("…")
    assert len(shown["long"]) == 1000
    whole = cleaned({f"key{n}": "y" * 900 for n in range(50)})
    assert whole["truncated"] is True
    assert len(whole["keys"]) == 50


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("a\x00b", "ab"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("user\u202egnp.exe", "user\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("\u2028", "\\u2028"),
        ("Zoë 日本 👩‍🚒", "Zoë 日本 👩\\u200d🚒"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_unseen_characters_are_escaped_and_others_kept(text, shown):
    assert printable(text, longest=200) == shown


@given(st.text(), st.integers(1, 300))
def test_printable_text_fits_any_store(text, longest):
    shown = printable(text, longest=longest)
    assert len(shown) <= longest
    assert shown.encode().decode() == shown
    assert not any(c in shown for c in "\x00\n\r\x1b\u2028\u202e")


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.floats() | st.lists(st.text())))
def test_data_is_bounded_and_cleaning_again_changes_nothing(data):
    once = cleaned(data)
    assert len(canonical(once).encode()) <= LONGEST_DATA
    assert canonical(once).isascii()
    assert cleaned(once) == once
