"""Sealing and unsealing streams."""

import io
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backups.errors import BackupDamaged, IdentityWrong
from backups.keys import Recipients, generate
from backups.pipeline import BLOCK, Discard, Sealed, Tally, Throttle, seal, unseal


@pytest.fixture(scope="module")
def pair():
    from pyrage import x25519

    identity, recipient = generate()
    return [x25519.Identity.from_str(identity.splitlines()[-1])], Recipients((recipient,))


def sealed(content, recipients):
    out = io.BytesIO()
    return seal(source=io.BytesIO(content), out=out, recipients=recipients), out.getvalue()


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=5000), times=st.integers(1, 400))
def test_what_was_sealed_is_unsealed(pair, content, times):
    identities, recipients = pair
    whole = content * times
    described, stored = sealed(whole, recipients)
    assert described.raw_size == len(whole)
    assert described.size == len(stored)
    out = io.BytesIO()
    unseal(source=io.BytesIO(stored), out=out, identities=identities, expected=described)
    assert out.getvalue() == whole


def test_every_recipient_can_open_alone():
    from pyrage import x25519

    pairs = [generate() for _ in range(3)]
    described, stored = sealed(b"for all", Recipients(tuple(r for _, r in pairs)))
    for identity, _ in pairs:
        out = io.BytesIO()
        key = x25519.Identity.from_str(identity.splitlines()[-1])
        unseal(source=io.BytesIO(stored), out=out, identities=[key], expected=described)
        assert out.getvalue() == b"for all"


def test_the_stock_age_and_gunzip_read_it(pair, tmp_path):
    identities, recipients = pair
    content = os.urandom(3 * BLOCK + 5) + b"text" * BLOCK
    _, stored = sealed(content, recipients)
    key = tmp_path / "key"
    key.write_text(str(identities[0]))
    opened = subprocess.run(["age", "-d", "-i", key], input=stored, capture_output=True, check=True)
    raw = subprocess.run(["gunzip"], input=opened.stdout, capture_output=True, check=True).stdout
    assert raw == content


def test_a_stock_age_file_is_read_by_us(pair):
    identities, recipients = pair
    squeezed = subprocess.run(
        ["gzip"], input=b"hello" * 9999, capture_output=True, check=True
    ).stdout
    stored = subprocess.run(
        ["age", "-r", recipients.texts[0]], input=squeezed, capture_output=True, check=True
    ).stdout
    stored_tally, raw = Tally(), Tally()
    stored_tally.add(stored)
    raw.add(b"hello" * 9999)
    expected = Sealed(stored_tally.sha256, stored_tally.size, raw.sha256, raw.size)
    out = io.BytesIO()
    unseal(source=io.BytesIO(stored), out=out, identities=identities, expected=expected)
    assert out.getvalue() == b"hello" * 9999


class Failing:
    """Gives some bytes, then fails."""

    def __init__(self, failure, after=3):
        self.failure, self.left = failure, after

    def read(self, size):
        self.left -= 1
        if self.left < 0:
            raise self.failure
        return os.urandom(min(size, 300_000))

    def write(self, chunk):
        self.left -= 1
        if self.left < 0:
            raise self.failure
        return len(chunk)


class SourceFailed(Exception):
    pass


def test_a_source_that_fails_never_looks_like_one_that_ended(pair):
    for after in range(6):
        with pytest.raises(SourceFailed):
            seal(source=Failing(SourceFailed(), after), out=io.BytesIO(), recipients=pair[1])


def test_a_full_disk_is_told_as_what_it_is(pair):
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(OSError, match="No space left"),
    ):
        seal(source=io.BytesIO(b"x" * 10_000_000), out=full, recipients=pair[1])


def test_no_thread_outlives_a_failure(pair):
    before = threading.active_count()
    for after in range(4):
        with pytest.raises(OSError, match="gone"):
            seal(
                source=io.BytesIO(os.urandom(8 * BLOCK)),
                out=Failing(OSError("gone"), after),
                recipients=pair[1],
            )
    assert threading.active_count() == before


def test_plain_text_by_setting_is_only_compressed():
    described, stored = sealed(b"plain", Recipients(()))
    assert (
        subprocess.run(["gunzip"], input=stored, capture_output=True, check=True).stdout == b"plain"
    )
    out = io.BytesIO()
    unseal(source=io.BytesIO(stored), out=out, identities=[], expected=described, encrypted=False)
    assert out.getvalue() == b"plain"


def test_a_wrong_identity_is_told_apart_from_damage(pair):
    from pyrage import x25519

    described, stored = sealed(b"secret", pair[1])
    other = [x25519.Identity.generate()]
    with pytest.raises(IdentityWrong):
        unseal(source=io.BytesIO(stored), out=Discard(), identities=other, expected=described)
    with pytest.raises(BackupDamaged):
        unseal(
            source=io.BytesIO(stored[:-1]), out=Discard(), identities=pair[0], expected=described
        )


@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(noise=st.binary(max_size=400))
def test_noise_is_damage_and_nothing_else(pair, noise):
    with pytest.raises((BackupDamaged, IdentityWrong)):
        unseal(
            source=io.BytesIO(noise),
            out=Discard(),
            identities=pair[0],
            expected=Sealed("", 0, "", 0),
        )


def test_a_bomb_is_inflated_block_by_block(pair):
    largest = 0

    class Watching:
        def write(self, chunk):
            nonlocal largest
            largest = max(largest, len(chunk))
            return len(chunk)

    described, stored = sealed(bytes(64 * BLOCK), pair[1])
    assert len(stored) < BLOCK
    unseal(source=io.BytesIO(stored), out=Watching(), identities=pair[0], expected=described)
    assert largest <= BLOCK


def test_the_throttle_keeps_its_rate():
    throttle = Throttle(1_000_000)
    began = time.monotonic()
    for _ in range(6):
        throttle.wait_for(50_000)
    assert 0.2 < time.monotonic() - began < 3.0
    began = time.monotonic()
    for _ in range(1000):
        Throttle(0).wait_for(10**9)
    assert time.monotonic() - began < 2
