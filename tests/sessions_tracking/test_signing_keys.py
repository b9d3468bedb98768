"""Keys are parsed strictly, derived by use, and rotated with an overlap."""

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import override_settings

from garrison.errors import ConfigurationError
from sessions_tracking import signing_keys
from tests.sessions_tracking.scenery import NEW, OLD, ed25519_pem

SECRET = OLD.partition(":")[2]


def parse(entry):
    return signing_keys.read([entry]).active


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([], "holds no key"),
        ([SECRET], "has no id"),
        ([f"a b:{SECRET}"], "an id that is not 1 to 32 letters"),
        ([f":{SECRET}"], "an id that is not"),
        ([f"{'k' * 33}:{SECRET}"], "an id that is not"),
        (["k1:short"], "is 5 characters; 32 are needed"),
        ([OLD, OLD], "is given twice"),
        (
            ["k1:-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----"],
            "not an unencrypted",
        ),
    ],
)
def test_a_bad_key_is_refused_with_a_sentence_that_does_not_show_it(entries, complaint):
    with (
        override_settings(SESSIONS_SIGNING_KEYS=entries),
        pytest.raises(ConfigurationError, match=complaint) as refusal,
    ):
        signing_keys.keyring()
    assert SECRET not in str(refusal.value)


def test_an_asymmetric_key_of_another_kind_is_refused_by_name():
    pem = (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )
    with pytest.raises(ConfigurationError, match="only Ed25519 is used"):
        parse(f"k1:{pem}")


def test_the_first_key_is_active_and_the_others_are_kept():
    with override_settings(SESSIONS_SIGNING_KEYS=[NEW, OLD]):
        ring = signing_keys.keyring()
    assert ring.active.kid == "k2"
    assert list(ring.by_id) == ["k2", "k1"]


def test_each_use_has_a_key_of_its_own_and_none_is_the_configured_secret():
    key = parse(OLD)
    message = b"the same message"
    made = {
        key.access.sign(message),
        key.refresh.sign(message),
        key.refresh_ids.sign(message),
        signing_keys.HmacSigner(SECRET.encode()).sign(message),
        signing_keys.HmacSigner(key.cookie_sealing).sign(message),
    }
    assert len(made) == 5


def test_no_secret_is_in_the_repr_of_a_key():
    assert SECRET not in repr(parse(OLD))


def test_derived_keys_stay_what_they_were_when_tokens_were_signed_with_them():
    key = parse(OLD)
    assert [
        key.access.sign(b"m").hex(),
        key.refresh.sign(b"m").hex(),
        key.refresh_ids.sign(b"m").hex(),
        hashlib.sha256(key.cookie_sealing).hexdigest(),
    ] == [
        "b86522ef4c6b3b7c129f53a4e827ad29c0e6889d41ba4c0d2c2bfee746904c39",
        "0fe0ce686b7332f4bbaffd9bac596eb229eb723938ca0a3f4a022ce689f7303e",
        "981898497cf3509cf2b65d860f917c27ec3d630ba5241434721b1b1ea05ffcf5",
        "31b5284e84bf3d6e9799c61df81f4e84b27bf0fa6f6e28464f1661b8d4ebcd95",
    ]


def test_the_keyring_is_parsed_once_for_a_setting_and_follows_its_changes():
    with override_settings(SESSIONS_SIGNING_KEYS=[OLD]):
        first = signing_keys.keyring()
        assert signing_keys.keyring() is first
        with override_settings(SESSIONS_SIGNING_KEYS=[NEW]):
            assert signing_keys.keyring().active.kid == "k2"
        assert signing_keys.keyring().active.kid == "k1"


def test_a_shared_secret_is_never_published():
    with override_settings(SESSIONS_SIGNING_KEYS=[OLD, NEW]):
        assert signing_keys.public_jwks() == {"keys": []}


def test_only_public_halves_are_published_retired_ones_included():
    entries = [f"ed2:{ed25519_pem()}", f"ed1:{ed25519_pem()}", OLD]
    with override_settings(SESSIONS_SIGNING_KEYS=entries):
        keys = signing_keys.public_jwks()["keys"]
    assert [key["kid"] for key in keys] == ["ed2", "ed1"]
    for key in keys:
        assert set(key) == {"kty", "crv", "use", "alg", "kid", "x"}
        assert (key["kty"], key["crv"], key["alg"]) == ("OKP", "Ed25519", "EdDSA")


def test_a_key_in_one_line_of_an_environment_variable_is_the_same_key():
    pem = ed25519_pem()
    one_line = pem.replace("\n", "\\n")
    assert parse(f"k1:{one_line}").public_jwk() == parse(f"k1:{pem}").public_jwk()
