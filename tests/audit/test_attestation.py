"""Each event carries the application's attestation, and what carries none is named."""

import hashlib
import hmac
import json
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from importlib import import_module
from shutil import rmtree
from unittest import mock

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.utils import timezone as django_timezone
from hypothesis import given
from hypothesis import strategies as st

from audit import attestation, retention
from audit.checkpoints import writing
from audit.models import EventSeal, SecurityEvent
from audit.sealing import sealer
from audit.sealing.encoding import ATTESTATION, FIELDS, VERSION, canonical_data, message
from audit.verification.links import Reader
from garrison.events import Outcome, emit
from tests.audit.attacks import command, execute, inserted, looked, sealed
from tests.audit.happenings import DONE, REFUSED, happened

NOW = django_timezone.now()
DAY = timedelta(days=1)
EVENT = {
    "id": "019abcde-0000-7000-8000-000000000001",
    "stream": "main",
    "kind": "accounts.login.failed",
    "severity": "3",
    "outcome": "refused",
    "at": "2026-11-24T12:00:00.000001+00:00",
    "actor_id": "",
    "actor_label": "ñ",
    "target": "user:7",
    "ip": "203.0.113.9",
    "location": "",
    "user_agent": "Mozilla/5.0",
    "session_id": "",
    "request_id": "ab12",
    "data": '{"n":3,"reason":"wrong_password"}',
    "attestation": None,
}
SECRET = "x1Jq8vNd3Wm6Kz0Rb5Tc9Yf2Hg7Lp4Sa"


def hkdf(secret, info):
    """Derive 32 bytes by RFC 5869, with nothing but HMAC."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def events():
    """Return the texts of every event, as the sealer reads them."""
    return Reader().events(list(SecurityEvent.objects.order_by("pk").values_list("pk", flat=True)))


def are_attested():
    return [attestation.is_attested(texts) for texts in events()]


def test_an_attestation_is_these_bytes(settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = SECRET, []
    key = hkdf(SECRET.encode(), b"garrison.audit.attest.v1")
    covered = EVENT | {"ip": "cb007109"}
    parts = ["garrison.audit.event.v1", *[covered[field] for field in FIELDS[:ATTESTATION]]]
    message = b"".join(b"%d:%b," % (len(part.encode()), part.encode()) for part in parts)
    trace = hmac.digest(key, b"garrison.audit.fingerprint.v1", hashlib.sha256)[:4].hex()
    made = attestation.attest([EVENT[field] for field in FIELDS])
    assert made == f"1.{trace}.{hmac.digest(key, message, hashlib.sha256)[:16].hex()}"
    assert made == "1.ea3f428f.28195dace47c8ff48dc95d6642483356"
    assert len(made) == attestation.LONGEST


VALUES = [
    {"data": {"n": number}}
    for number in (0, -1, 1.0, 0.1, 1e15, 1e16, -1e22, 1.5e300, 5e-324, -0.0, 2**53 - 1, 10**18)
] + [
    {"data": {"z": {"b": [None, True, 'é\\"\u2028'], "a": ""}, "": {}}, "actor_label": "ñ:3,"},
    {"ip": None},
    {"ip": ""},
    {"ip": "2001:DB8:0::1"},
    {"ip": "::ffff:192.0.2.1"},
    {"ip": "::192.0.2.1"},
    {"at": datetime(2026, 11, 24, 13, 30, 0, 7, tzinfo=timezone(timedelta(hours=5)))},
    {"outcome": Outcome.REFUSED, "severity": True, "request_id": 7},
    {"id": "0193a7f2-0000-7000-8000-000000000007"},
    {"attestation": "1.00000000.00"},
]


@pytest.mark.parametrize("values", VALUES, ids=repr)
@pytest.mark.django_db
def test_what_the_application_writes_is_attested_as_the_database_returns_it(values):
    row = SecurityEvent.objects.create(kind="tests.door.opened", **values)
    SecurityEvent.objects.bulk_create(
        SecurityEvent(kind="tests.door.opened", **{**values, "id": uuid.uuid4()}) for _ in "ab"
    )
    assert are_attested() == [True] * 3
    assert SecurityEvent.objects.get(pk=row.pk).attestation == row.attestation


@pytest.mark.django_db(transaction=True)
def test_what_is_emitted_is_attested_now_and_after_a_rollback():
    for kind in (DONE, REFUSED):
        emit(kind, target="door:1", data={"at": NOW, "n": 1e30, "text": "a\x00b\u202e"})
    assert are_attested() == [True, True]


@given(data=st.dictionaries(st.text("ab", max_size=2), st.floats(allow_nan=False) | st.integers()))
def test_numbers_have_one_form_however_often_they_are_read(data):
    once = attestation._numbers(canonical_data(json.dumps(data)))
    assert attestation._numbers(once) == once


OTHER = {
    "stream": "side",
    "kind": "tests.door.closed",
    "severity": 5,
    "outcome": "refused",
    "at": "2026-11-01 12:00:00+00:00",
    "actor_id": "43",
    "actor_label": "eve@example.org",
    "target": "user:1",
    "ip": "203.0.113.10",
    "location": "Paris",
    "user_agent": "Mozilla/5.1",
    "session_id": "s2",
    "request_id": "r2",
    "data": '{"n": 2}',
}
FALSE = [None, "", "1.00000000.00", "1." + "é" * 8, "x" * 43]


@pytest.mark.parametrize("other", [{}, *({name: OTHER[name]} for name in OTHER)], ids=repr)
@pytest.mark.django_db
def test_no_other_row_can_take_an_attestation(other):
    happened([NOW])
    inserted(**other)
    assert sorted(are_attested()) == [False, True]


@pytest.mark.parametrize("false", [*FALSE, "copied"])
def test_an_inserted_row_is_sealed_as_such_and_named_by_sealer_and_verifier(protected, false):
    sealed([NOW - timedelta(minutes=5)])
    key = inserted(**({} if false == "copied" else {"attestation": false}))
    happened([django_timezone.now()])
    assert sealer.catch_up(now=django_timezone.now()) == 3
    told = SecurityEvent.objects.get(kind="audit.chain.broken")
    assert (told.data["count"], told.data["number"]) == (1, 3)
    report = looked()
    assert [(v.code, v.number) for v in report.violations] == [("unattested", 3)]
    assert str(uuid.UUID(str(key))) in report.violations[0].detail
    assert command()[0] == 1
    assert writing.write(stream="main", now=django_timezone.now()).seq == 4, "signing goes on"


def test_a_head_is_signed_although_the_last_event_is_no_application_s(protected):
    sealed([NOW - timedelta(minutes=5)])
    inserted()
    sealer.catch_up(now=django_timezone.now())
    execute("DELETE FROM audit_securityevent WHERE kind = 'audit.chain.broken'")
    assert writing.write(stream="main", now=django_timezone.now()).seq == 3


def test_an_attestation_that_is_changed_after_it_was_sealed_is_an_edit(protected):
    sealed([NOW - timedelta(minutes=5)] * 3)
    for value in (None, "1.00000000.00"):
        execute("UPDATE audit_securityevent SET attestation = %s", value)
        assert {violation.code for violation in looked().violations} == {"edited", "forged"}


def test_a_key_is_rolled_by_its_fallbacks(protected, settings):
    sealed([NOW - timedelta(minutes=9)])
    old, new = settings.SECRET_KEY, SECRET
    steps = [(old, [new]), (new, [old])]
    for writer, reader in zip(steps, steps[1:] + steps[:1], strict=True):
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = writer[0], writer[1]
        happened([django_timezone.now()])
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = reader[0], reader[1]
        sealer.catch_up(now=django_timezone.now())
    settings.AUDIT_KEYS = ["site"]
    assert looked().verdict == "whole"


def test_a_key_that_only_the_sealer_lacked_is_no_finding_and_one_that_nobody_has_is(
    protected, settings
):
    sealed([NOW - timedelta(minutes=9)])
    ours = settings.SECRET_KEY
    settings.AUDIT_KEYS = ["a1:3q2+7wABAgMEBQYHCIkKiwyNDo8QkRKTFJUWlxiZGps="]
    settings.SECRET_KEY = SECRET
    happened([django_timezone.now()])
    settings.SECRET_KEY = ours
    settings.AUDIT_KEYS += ["site"]
    sealer.catch_up(now=django_timezone.now())
    (violation,) = looked().violations
    assert violation.code == "unattested"
    assert "names a key that is not here" in violation.detail
    settings.SECRET_KEY_FALLBACKS = [SECRET]
    assert looked().verdict == "whole"


def of_the_release_before(at):
    """Store an event without an attestation, as processes of the release before do."""
    (event,) = happened([at])
    key = event.pk if connection.features.has_native_uuid_field else event.pk.hex
    execute("UPDATE audit_securityevent SET attestation = NULL WHERE id = %s", key)


@contextmanager
def release_before(monkeypatch):
    """Seal as the release before did."""
    with monkeypatch.context() as patched:
        patched.setattr(sealer, "VERSION", 2)
        patched.setattr(sealer, "message", partial(message, version=2))
        patched.setattr(sealer, "is_attested", lambda _texts: True)
        yield


def upgraded(at):
    """Note that attestations began, as migration 0004 does, at that instant."""
    migration = import_module("audit.migrations.0004_attestation")
    with mock.patch("django.utils.timezone.now", return_value=at):
        migration.note(apps, mock.Mock(connection=connection))


def counts():
    return looked().counts


@pytest.mark.parametrize("had_sealed", [True, False])
def test_what_the_release_before_writes_while_this_one_rolls_out_is_expected(
    protected, monkeypatch, had_sealed
):
    began = NOW - DAY * 2
    of_the_release_before(NOW - DAY * 3)
    if had_sealed:
        with release_before(monkeypatch):
            sealer.catch_up(now=NOW - DAY * 3, since=NOW - DAY * 4)
        assert counts() == {}
        of_the_release_before(NOW - DAY * 3)
    upgraded(began)
    of_the_release_before(began)
    for _ in range(2):  # the second seals what the first one reports
        sealer.catch_up(now=began + DAY / 2, since=NOW - DAY * 4)
    assert not SecurityEvent.objects.filter(kind="audit.chain.broken").exists()
    report = looked()
    assert report.verdict == "whole"
    assert "2 events of 'main' carry no attestation, as expected" in " ".join(report.remarks)
    of_the_release_before(began)
    sealer.catch_up(now=began + DAY * 1.1, since=NOW - DAY * 4)
    assert SecurityEvent.objects.filter(kind="audit.chain.broken").exists()
    assert [violation.code for violation in looked().violations] == ["unattested"]
    since = (began + DAY).isoformat()
    assert command("--since", since)[1]["counts"] == {"unattested": 1}


def test_what_was_written_before_the_upgrade_is_expected_however_late_a_sealer_comes(protected):
    for at in (NOW - DAY * 9, NOW - DAY * 8):
        of_the_release_before(at)
    upgraded(NOW - DAY * 5)
    of_the_release_before(NOW - DAY * 4)
    sealer.catch_up(now=NOW, since=NOW - DAY * 10)
    told = SecurityEvent.objects.get(kind="audit.chain.broken")
    assert told.data["number"] == 4, "that of the last four days"
    assert [violation.number for violation in looked().violations] == [4]


def test_nobody_who_owns_the_database_alone_can_begin_a_rollout(protected):
    sealed([NOW - DAY * 9])
    kind = "audit.attestation.introduced"
    inserted(kind=kind, at=NOW.isoformat(" "))
    inserted(kind=kind, at=NOW.isoformat(" "), data="[]", attestation="1.00000000.00")
    inserted()
    sealer.catch_up(now=django_timezone.now(), since=NOW - DAY * 10)
    assert counts() == {"unattested": 3}


def test_an_empty_database_has_no_rollout(protected):
    upgraded(NOW)
    assert not SecurityEvent.objects.exists()


@pytest.mark.parametrize("hours", [1, 25])
def test_retention_begins_no_other_rollout_and_leaves_none_unexplained(protected, hours):
    began = NOW - DAY * 730 - timedelta(hours=hours)
    of_the_release_before(began - DAY)
    upgraded(began)
    of_the_release_before(began + timedelta(minutes=1))
    sealer.catch_up(now=began + timedelta(minutes=30))
    retention.remove_old(now=NOW)
    sealer.catch_up(now=NOW)
    assert SecurityEvent.objects.filter(kind="audit.events.removed").exists()
    assert counts() == {}
    inserted(at=NOW.isoformat(" "))
    sealer.catch_up(now=NOW + timedelta(minutes=1))
    assert counts() == {"unattested": 1}


@pytest.mark.parametrize("has_copies", [True, False])
def test_a_restore_is_declared_also_after_the_checkpoint_of_the_hour(
    protected, elsewhere, has_copies
):
    sealed([NOW - timedelta(minutes=9)])
    inserted()
    sealer.catch_up(now=NOW)
    kept = writing.write(stream="main", now=NOW - timedelta(minutes=50))
    sealer.catch_up(now=NOW)
    writing.write(stream="main", now=NOW - timedelta(minutes=40))
    if not has_copies:
        rmtree(elsewhere)
    execute("DELETE FROM audit_checkpoint WHERE id > %s", kept.pk)
    execute("DELETE FROM audit_eventseal WHERE seq > %s", kept.seq)
    execute(
        "UPDATE audit_securityevent SET attestation = NULL WHERE NOT EXISTS "
        "(SELECT 1 FROM audit_eventseal s WHERE s.event_id = audit_securityevent.id)"
    )
    sealer.catch_up(now=NOW + timedelta(seconds=1), since=NOW - DAY)
    writing.write(stream="main", now=NOW - timedelta(minutes=10))
    assert looked().counts["unattested"] > 1
    at = (NOW - timedelta(minutes=30)).isoformat()
    call_command("audit_checkpoint", *(["--restored"] if has_copies else ["--restored-at", at]))
    assert looked().counts == {"unattested": 1}, "that of before the backup stays"


def test_who_declares_a_backup_restored_accepts_what_it_brought(protected, settings):
    sealed([NOW - timedelta(minutes=9)])
    writing.write(stream="main", now=django_timezone.now())
    settings.AUDIT_KEYS = ["a1:3q2+7wABAgMEBQYHCIkKiwyNDo8QkRKTFJUWlxiZGps=", "site"]
    settings.AUDIT_CHECKPOINT_KEYS = ["c1:5q2+7wABAgMEBQYHCIkKiwyNDo8QkRKTFJUWlxiZGps=", "site"]
    inserted(attestation="1.0a0a0a0a.00")
    sealer.catch_up(now=django_timezone.now())
    assert command()[1]["counts"] == {"unattested": 1}
    call_command("audit_checkpoint", "--restored")
    assert command()[1]["counts"] == {}
    inserted()
    sealer.catch_up(now=django_timezone.now())
    assert command()[1]["counts"] == {"unattested": 1}


@pytest.mark.parametrize("is_used", [False, True])
def test_a_database_of_the_release_before_is_read_and_migrated_without_a_loss(protected, is_used):
    happened([NOW - DAY] * is_used)
    call_command("migrate", "audit", "0003", verbosity=0)
    try:
        assert looked(unsealed_after=None).violations == []
    finally:
        call_command("migrate", "audit", verbosity=0)
    sealed([datetime.now(UTC)])
    assert EventSeal.objects.first().version == VERSION
    introduced = SecurityEvent.objects.filter(kind="audit.attestation.introduced")
    assert introduced.count() == is_used
    assert all(are_attested()[is_used:])
    assert looked().verdict == "whole"
