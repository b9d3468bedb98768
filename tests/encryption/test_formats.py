"""What lies in databases and storages already must stay readable: our formats, byte by byte.

The values under ``vectors/garrison_formats.json`` were written once, by this code, and are opened
by the code of today; and the standards' own vectors go through the functions that the app calls.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.files.base import ContentFile

from encryption.blind_index import index_mac
from encryption.cipher import FieldCipher, derived
from encryption.key_versions import fingerprint
from encryption.keyring import EncryptionKeyring, Key, Secret
from encryption.storage import EncryptedStorage
from tests.encryption.test_vectors import VECTORS, rows

pytestmark = pytest.mark.django_db  # the folder installs an app with tables, which needs one
ROW = bytes(range(16))
LABEL = "clinic.patient.note"


def hkdf(secret, purpose, size=32):
    """HKDF-SHA256 by hand, for one block or less (RFC 5869, 2.2 and 2.3)."""
    info = b"django-garrison/encryption/v1/" + purpose.encode()
    extracted = hmac.digest(bytes(32), secret, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)[:size]


def cipher_of(secret, key_id="k1"):
    return FieldCipher(
        EncryptionKeyring([Key(key_id, Secret(secret))]), LABEL, "clinic.Patient.note"
    )


def test_keys_are_derived_by_hkdf_and_nothing_else():
    secret = os.urandom(32)
    for purpose in ("field/clinic.patient.note", "files", "blind-index/clinic.patient.email"):
        assert derived(Secret(secret), purpose) == hkdf(secret, purpose)


def test_an_envelope_is_made_of_the_parts_its_description_names():
    secret = os.urandom(32)
    envelope = cipher_of(secret).seal(b"clear", ROW)

    version, key_id, nonce, sealed = envelope[:1], envelope[1:13], envelope[13:25], envelope[25:]
    assert (version, key_id) == (b"\x01", b"k1" + bytes(10))
    aad = version + key_id + LABEL.encode() + b"\0" + ROW
    assert AESGCM(hkdf(secret, f"field/{LABEL}")).decrypt(nonce, sealed, aad) == b"clear"


def test_a_subjects_envelope_is_made_of_the_parts_its_description_names():
    secret, key_uuid = os.urandom(32), os.urandom(16)
    envelope = cipher_of(os.urandom(32)).seal_for_subject(
        b"clear", ROW, key=Secret(secret), key_uuid=key_uuid
    )

    assert envelope[:17] == b"\x02" + key_uuid
    aad = envelope[:17] + LABEL.encode() + b"\0" + ROW
    key = hkdf(secret, f"field/{LABEL}")
    assert AESGCM(key).decrypt(envelope[17:29], envelope[29:], aad) == b"clear"


def test_a_file_is_made_of_the_parts_its_description_names(tmp_path, keys):
    from encryption.keyring import keyring

    store = storage(tmp_path)
    store.save("papers/a.bin", ContentFile(b"x" * 65_536 + b"y"))
    whole = (tmp_path / "papers/a.bin").read_bytes()

    first, nonce, wrapped, prefix = whole[:16], whole[16:28], whole[28:76], whole[76:83]
    assert first == b"GEF\x01k1" + bytes(10)
    wrapping = derived(keyring().active.value, "files")
    secret = AESGCM(wrapping).decrypt(nonce, wrapped, first + prefix + b"papers/a.bin")
    one, two = whole[83 : 83 + 65_552], whole[83 + 65_552 :]
    aes = AESGCM(secret)
    assert aes.decrypt(prefix + struct.pack(">IB", 0, 0), one, None) == b"x" * 65_536
    assert aes.decrypt(prefix + struct.pack(">IB", 1, 1), two, None) == b"y"


def storage(folder):
    backend = "django.core.files.storage.FileSystemStorage"
    return EncryptedStorage({"BACKEND": backend, "OPTIONS": {"location": str(folder)}})


def test_the_vectors_of_aes_gcm_open_through_the_fields_cipher(monkeypatch):
    """The vector's key in the derived key's place, its data in that of header, field and row."""
    count = 0
    for row in [*rows("wycheproof_aes_256_gcm"), *rows("nist_aes_256_gcm")]:
        key, iv, aad, message, ciphertext, tag = (
            bytes.fromhex(row[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        monkeypatch.setattr("encryption.cipher.derived", lambda *_, key=key: key)
        monkeypatch.setattr(FieldCipher, "_context", lambda *_, aad=aad: aad)
        cipher = cipher_of(bytes(31) + b"\x01")
        envelope = cipher.active_header + iv + ciphertext + tag
        try:
            opened = cipher.open(envelope, b"")
        except Exception as refusal:  # noqa: BLE001
            opened = type(refusal).__name__
        assert opened == (message if row["result"] == "valid" else "DecryptionFailed"), row
        count += 1
    assert count == 66 + 188


def test_what_an_earlier_release_wrote_still_reads(tmp_path, settings):
    known = json.loads((VECTORS / "garrison_formats.json").read_text())
    assert known["source"]
    settings.ENCRYPTION_KEYS = [f"k1:{known['key']}"]
    from encryption.keyring import keyring

    cipher = keyring().cipher(LABEL)
    for value in known["values"]:
        assert cipher.open(bytes.fromhex(value["envelope"]), ROW) == value["clear"].encode()
    for index in known["indexes"]:
        digest = index_mac(index["label"], "").digest(index["text"].encode())
        assert digest.hex() == index["digest"]
    for file in known["files"]:
        (tmp_path / file["name"]).write_bytes(bytes.fromhex(file["stored"]))
        with storage(tmp_path).open(file["name"]) as opened:
            assert opened.read() == file["clear"].encode()
    fingerprints = {fingerprint(keyring().active)}
    assert fingerprints == {known["fingerprint"]}
