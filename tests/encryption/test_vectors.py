"""What the standards say the primitives give; each file names its source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

pytestmark = pytest.mark.django_db  # the folder installs an app with tables, which needs one
VECTORS = Path(__file__).parent / "vectors"


def rows(name):
    """Each test of a file as a mapping."""
    data = json.loads((VECTORS / f"{name}.json").read_text())
    assert data["source"]
    return [dict(zip(data["columns"], row, strict=True)) for row in data["tests"]]


def raw(row, *names):
    return [bytes.fromhex(row[name]) for name in names]


@pytest.mark.parametrize(
    ("name", "count"), [("wycheproof_aes_256_gcm", 66), ("nist_aes_256_gcm", 188)]
)
def test_aes_256_gcm_agrees_with_every_vector(name, count):
    tests = rows(name)
    assert len(tests) == count
    for row in tests:
        key, iv, aad, message, ciphertext, tag = raw(row, "key", "iv", "aad", "msg", "ct", "tag")
        if row["result"] == "valid":
            assert AESGCM(key).encrypt(iv, message, aad) == ciphertext + tag, row
            assert AESGCM(key).decrypt(iv, ciphertext + tag, aad) == message, row
        else:
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(iv, ciphertext + tag, aad)
    assert {row["result"] for row in tests} == {"valid", "invalid"}


@pytest.mark.parametrize(
    ("name", "count"), [("wycheproof_hkdf_sha256", 86), ("rfc5869_hkdf_sha256", 3)]
)
def test_hkdf_sha256_agrees_with_every_vector(name, count):
    tests = rows(name)
    assert len(tests) == count
    for row in tests:
        secret, salt, info, derived = raw(row, "ikm", "salt", "info", "okm")
        if row.get("result", "valid") == "valid":
            kdf = HKDF(hashes.SHA256(), row["size"], salt, info)
            assert kdf.derive(secret) == derived, row
        else:
            with pytest.raises(ValueError, match="derive"):
                HKDF(hashes.SHA256(), row["size"], salt, info)


def test_pbkdf2_hmac_sha256_agrees_with_every_vector():
    tests = rows("wycheproof_pbkdf2_hmacsha256")
    assert len(tests) == 60
    for row in tests:
        password, salt, derived = raw(row, "password", "salt", "dk")
        kdf = PBKDF2HMAC(hashes.SHA256(), len(derived), salt, row["iterations"])
        assert kdf.derive(password) == derived, row
