"""Keys are read strictly, shown nowhere, and derived by purpose."""

import base64
import hashlib
import hmac
import os
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison import keys
from garrison.conf import remembered
from garrison.keys import InvalidKeyError, Key, Keyring, Mac, Secret

RANDOM = bytes.fromhex("8f3a01c2d4e59b7760fe2211aab0c9d3185f6e7c4b2a9d0e3f51627384b5c6d7")
OTHER = hashlib.sha256(RANDOM).digest()


def written(secret):
    return base64.b64encode(secret).decode()


def read(*entries, **options):
    options = {"what": "Test key", "value": keys.random_bytes, "longest_id": 8} | options
    return keys.read(entries, **options)


def test_a_list_of_keys_is_read_in_order():
    found = read(f"k2:{written(OTHER)}", f" k1:{written(RANDOM)} ")
    assert found.problems == []
    assert found.keys == [Key("k2", Secret(OTHER)), Key("k1", Secret(RANDOM))]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("", "number 1 has no id"),
        (None, "number 1 has no id"),
        (7, "number 1 has no id"),
        (written(RANDOM), "number 1 has no id"),
        (f":{written(RANDOM)}", "an id that is not 1 to 8 letters"),
        (f"k 1:{written(RANDOM)}", "an id that is not 1 to 8 letters"),
        (f"k.1:{written(RANDOM)}", "an id that is not 1 to 8 letters"),
        (f"ключ:{written(RANDOM)}", "an id that is not 1 to 8 letters"),
        (f"{'k' * 9}:{written(RANDOM)}", "an id that is not 1 to 8 letters"),
        (f"site:{written(RANDOM)}", "means something else: 'site' stands alone"),
        ("k1:", "'k1' is 0 bytes; 32 are needed"),
        ("k1:abc!", "'k1' is not base64"),
        ("k1:" + "é" * 40, "'k1' is not base64"),
        (f"k1:{written(RANDOM[:16])}", "'k1' is 16 bytes; 32 are needed"),
        (f"k1:{written(RANDOM * 2)}", "'k1' is 64 bytes; 32 are needed"),
        (f"k1:{written(bytes(32))}", "not random bytes"),
        (f"k1:{written(bytes(range(32)))}", "not random bytes"),
        (f"k1:{written(b'correct horse battery staple 42!')}", "not random bytes"),
        (f"k1:{written(hashlib.sha256(b'').digest())}", "not random bytes"),
    ],
)
def test_a_bad_entry_is_named_and_never_shown(entry, problem):
    found = read(entry, words={"site": None})
    assert found.keys == []
    (sentence,) = found.problems
    assert problem in sentence
    assert written(RANDOM) not in sentence


def test_one_bad_entry_does_not_hide_the_others():
    found = read("bad", f"k1:{written(RANDOM)}", "k2:worse")
    assert [key.id for key in found.keys] == ["k1"]
    assert [sentence[:17] for sentence in found.problems] == [
        "Test key number 1",
        "Test key 'k2' is ",
    ]


def test_a_word_stands_alone_where_the_list_knows_it():
    found = read("site", f"k1:{written(RANDOM)}", words={"site": None})
    assert found.keys == [Key("site", None), Key("k1", Secret(RANDOM))]


def test_an_id_and_a_key_may_stand_once():
    assert (
        "id 'k1' is given twice"
        in read(f"k1:{written(RANDOM)}", f"k1:{written(OTHER)}").problems[0]
    )
    (same,) = read(f"k1:{written(RANDOM)}", f"k2:{written(RANDOM)}").problems
    assert "'k1' and 'k2' are the same bytes" in same


@given(st.lists(st.one_of(st.text(), st.none(), st.integers(), st.binary()), max_size=5))
def test_nothing_that_can_be_written_makes_it_raise(entries):
    found = read(*entries)
    assert len(found.keys) + len(found.problems) >= len(entries)


@given(st.binary(min_size=32, max_size=32))
def test_what_is_read_is_what_was_written_or_refused(secret):
    try:
        assert keys.random_bytes(written(secret)) == Secret(secret)
    except InvalidKeyError:
        assert keys._looks_made_up(secret)


def test_ten_thousand_random_keys_are_all_taken():
    assert not any(keys._looks_made_up(os.urandom(32)) for _ in range(10_000))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("short", "is 5 characters; 32 are needed"),
        ("changeme" * 5, "default or a pattern"),
        ("Django-Insecure-abcdefghijklmnopqrstuvwxyz", "default or a pattern"),
        ("abab" * 10, "default or a pattern"),
    ],
)
def test_a_weak_text_is_refused_without_being_shown(text, problem):
    with pytest.raises(InvalidKeyError, match=problem) as refused:
        keys.random_text(text)
    assert text not in str(refused.value)


def test_a_secret_shows_itself_nowhere():
    secret = Secret(RANDOM)
    assert repr(secret) == str(secret) == f"{secret!s}" == "<secret>"
    assert "8f3a" not in repr(Key("k1", secret))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="unhashable"):
        hash(secret)
    assert secret.reveal() == RANDOM
    assert secret == Secret(RANDOM)
    assert secret != Secret(OTHER)
    assert secret != RANDOM


def test_a_mac_is_that_of_the_standard_library():
    mac = Mac(RANDOM)
    for message in (b"", b"one", b"x" * 1000):
        assert mac.digest(message) == hmac.digest(RANDOM, message, "sha256")
        assert mac.verifies(message, mac.digest(message))
        assert not mac.verifies(message, mac.digest(message + b"."))
    assert "8f3a" not in repr(mac)


def test_deriving_is_hkdf_of_rfc_5869():
    """Test case 3 of RFC 5869, appendix A; the info of the first two is no text."""
    expected = (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )
    assert keys.derive(b"\x0b" * 22, "", length=42).hex() == expected


def test_each_purpose_and_salt_has_a_key_of_its_own():
    made = {keys.derive(RANDOM, "a"), keys.derive(RANDOM, "b"), keys.derive(RANDOM, "a", salt=b"s")}
    assert len(made) == 3
    assert {len(key) for key in made} == {32}


def test_the_site_s_own_secrets_come_with_their_fallbacks(settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    assert keys.site_secrets() == [b"new", b"old"]


def test_the_first_key_of_a_ring_is_active():
    ring = Keyring({"k2": "two", "k1": "one"})
    assert (ring.active, ring.by_id["k1"], repr(ring)) == ("two", "one", "<Keyring k2, k1>")


def test_what_was_made_of_settings_is_forgotten_when_one_of_them_changes(settings):
    calls = []

    @remembered("SECRET_KEY")
    def fallbacks():
        calls.append(1)
        return list(settings.SECRET_KEY_FALLBACKS)

    settings.SECRET_KEY_FALLBACKS = ["old"]
    assert fallbacks() == fallbacks() == ["old"]
    settings.SITE_ID = 7
    assert (fallbacks(), len(calls)) == (["old"], 1)
    settings.SECRET_KEY_FALLBACKS = ["older"]
    assert (fallbacks(), len(calls)) == (["older"], 2)
