"""Envelopes: what opens them, and that nothing else does."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encryption.cipher import (
    HEADER_BYTES,
    NONCE_END,
    OVERHEAD_BYTES,
    FieldCipher,
    key_id_of,
    split,
)
from encryption.errors import DecryptionFailed
from encryption.keyring import EncryptionKeyring, Key, Secret

ROW = bytes(range(16))
SAMPLED_ENVELOPES = 500  # in CI; the whole ten thousand run in bench/encryption_tampering.py


def ring(*ids):
    return EncryptionKeyring([Key(key_id, Secret(os.urandom(32))) for key_id in ids])


def cipher(*ids, label="clinic.patient.note"):
    return ring(*ids or ("k1",)).cipher(label, "clinic.Patient.note")


@given(st.binary(max_size=300), st.binary(min_size=16, max_size=16))
def test_what_is_sealed_opens_for_its_row(plaintext, row):
    sealed = cipher().seal(plaintext, row)
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES


def test_every_length_comes_back():
    one = cipher()
    for size in (0, 1, 15, 16, 17, 4096, 1_000_000):
        plaintext = os.urandom(size)
        assert one.open(one.seal(plaintext, ROW), ROW) == plaintext


def test_an_envelope_names_its_version_and_its_key():
    sealed = cipher("2026-11-24").seal(b"x", ROW)
    assert sealed[:1] == b"\x01"
    assert key_id_of(sealed) == "2026-11-24"


@given(st.binary(max_size=200))
def test_any_bytes_at_all_are_refused_with_one_exception(envelope):
    with pytest.raises(DecryptionFailed):
        SHARED.open(envelope, ROW)
    with pytest.raises(DecryptionFailed):
        SHARED.open_selected(envelope)


SHARED = cipher("k1", "k2")


def flips(envelope):
    """The envelope with each of its bits turned, one at a time."""
    for position in range(len(envelope) * 8):
        flipped = bytearray(envelope)
        flipped[position // 8] ^= 1 << position % 8
        yield bytes(flipped)


def test_every_single_bit_flip_is_refused_with_one_exception_type():
    """Over a sample; the two keys make a flipped key id point to another real key as well."""
    outcomes = Counter()
    for number in range(SAMPLED_ENVELOPES):
        envelope = SHARED.seal(random.Random(number).randbytes(number % 8), ROW)
        for flipped in flips(envelope):
            try:
                SHARED.open(flipped, ROW)
            except Exception as refusal:  # noqa: BLE001
                outcomes[type(refusal)] += 1
            else:
                outcomes["opened"] += 1
    assert set(outcomes) == {DecryptionFailed}
    assert outcomes.total() > SAMPLED_ENVELOPES * OVERHEAD_BYTES * 8


def test_a_flipped_key_id_that_names_another_real_key_is_refused():
    one = cipher("k1", "k3")
    envelope = bytearray(one.seal(b"x", ROW))
    envelope[2] ^= ord("1") ^ ord("3")
    assert key_id_of(bytes(envelope)) == "k3"
    with pytest.raises(DecryptionFailed, match="does not verify"):
        one.open(bytes(envelope), ROW)


def test_every_cut_and_every_addition_is_refused():
    envelope = SHARED.seal(b"some words", ROW)
    for end in range(len(envelope)):
        with pytest.raises(DecryptionFailed):
            SHARED.open(envelope[:end], ROW)
    with pytest.raises(DecryptionFailed):
        SHARED.open(envelope + b"\0", ROW)


def test_another_row_another_field_and_another_model_are_refused():
    keys = ring("k1")
    note = keys.cipher("clinic.patient.note")
    envelope = note.seal(b"x", ROW)
    assert note.open(envelope, ROW) == b"x"
    with pytest.raises(DecryptionFailed):
        note.open(envelope, ROW[:-1] + b"\xff")
    for label in ("clinic.patient.diary", "clinic.visit.note", "other.patient.note"):
        with pytest.raises(DecryptionFailed):
            keys.cipher(label).open(envelope, ROW)


def test_the_field_is_authenticated_and_not_only_in_the_derived_key(monkeypatch):
    """With one key for all fields, the associated data alone must still refuse."""
    keys = ring("k1")
    monkeypatch.setattr("encryption.cipher.derived", lambda *_: b"k" * 32)
    envelope = FieldCipher(keys, "a.b.c", "a.B.c").seal(b"x", ROW)
    with pytest.raises(DecryptionFailed):
        FieldCipher(keys, "a.b.d", "a.B.d").open(envelope, ROW)


def test_a_missing_key_is_named_with_its_field(db):
    envelope = cipher("k9").seal(b"x", ROW)
    with pytest.raises(DecryptionFailed, match=r"clinic\.Patient\.note .*'k9'.*not in the keyring"):
        cipher("k1").open(envelope, ROW)


def test_a_wrong_key_under_the_same_id_is_named_with_its_field():
    envelope = cipher("k1").seal(b"x", ROW)
    with pytest.raises(
        DecryptionFailed, match=r"clinic\.Patient\.note under key 'k1'.*not the one"
    ):
        cipher("k1").open(envelope, ROW)


def test_a_client_is_told_neither_key_nor_field():
    with pytest.raises(DecryptionFailed) as refusal:
        cipher("k1").open(cipher("k1").seal(b"x", ROW), ROW)
    body = refusal.value.problem(request_id="r")
    assert body["code"] == "decryption_failed"
    assert "k1" not in str(body)
    assert "clinic" not in str(body)


def test_older_keys_open_and_the_first_one_seals():
    keys = [Key(key_id, Secret(os.urandom(32))) for key_id in ("new", "old")]
    old = EncryptionKeyring(keys[1:]).cipher("a.b.c")
    both = EncryptionKeyring(keys).cipher("a.b.c")
    assert both.open(old.seal(b"x", ROW), ROW) == b"x"
    assert key_id_of(both.seal(b"x", ROW)) == "new"


@pytest.mark.slow
def test_a_million_encryptions_use_no_nonce_twice():
    one = cipher()
    nonces = {one.seal(b"", ROW)[HEADER_BYTES:NONCE_END] for _ in range(1_000_000)}
    assert len(nonces) == 1_000_000


def test_a_selected_value_is_parted_into_row_and_envelope():
    envelope = SHARED.seal(b"x", ROW)
    assert split(b"\xa1" + ROW + envelope) == (ROW, envelope)
    assert split(b"A" + ROW.hex().encode() + envelope) == (ROW, envelope)
    assert split(envelope) == (None, envelope)
    assert split(b"") == (None, b"")
    assert SHARED.open_selected(b"\xa1" + ROW + envelope) == b"x"
    assert SHARED.open_selected(b"A" + ROW.hex().encode() + envelope) == b"x"
