"""The keys of tokens come from one variable, so that they can be rotated without code."""

import pytest

from config.environment import signing_keys
from garrison.errors import ConfigurationError
from sessions_tracking.signing_keys import read as read_keys
from tests.sessions_tracking.scenery import NEW, OLD, ed25519_pem

SECRET = "wLr8-one-random-secret-of-some-length_Zq4"


def read(monkeypatch, value):
    monkeypatch.setenv("JWT_SECRET", value)
    monkeypatch.setenv("SECRET_KEY", "another-random-secret-of-some-length-0123")
    return signing_keys("JWT_SECRET", unlike="SECRET_KEY")


@pytest.mark.parametrize(
    ("value", "entries"),
    [
        (SECRET, [f"k1:{SECRET}"]),
        (f"{SECRET},with:a comma", [f"k1:{SECRET},with:a comma"]),
        (f"k7:{SECRET}", [f"k7:{SECRET}"]),
        (f"{NEW}, {OLD}", [NEW, OLD]),
    ],
)
def test_one_secret_is_k1_and_several_have_ids(monkeypatch, value, entries):
    assert read(monkeypatch, value) == entries
    assert len(read_keys(entries).by_id) == len(entries)


def test_a_private_key_in_one_line_is_one_entry(monkeypatch):
    one_line = "ed1:" + ed25519_pem().replace("\n", "\\n")
    (entry,) = read(monkeypatch, one_line)
    assert read_keys([entry]).active.public_jwk()["kid"] == "ed1"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "is not set"),
        ("short", "5 characters; 32 are needed"),
        (f"{NEW},k1:short", "5 characters; 32 are needed"),
        (f"{NEW},k1:changeme{SECRET}", "looks like a default"),
        (f"{NEW},k1:another-random-secret-of-some-length-0123", "the same as SECRET_KEY"),
    ],
)
def test_each_secret_is_held_to_the_same_rules(monkeypatch, value, why):
    with pytest.raises(ConfigurationError, match=why) as refusal:
        read(monkeypatch, value)
    assert SECRET not in str(refusal.value)
