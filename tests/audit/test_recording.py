"""Events are stored with their change, refusals survive it, and nothing hostile gets in."""

import json
import logging
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from audit import services
from audit.models import SecurityEvent
from garrison import context, events
from garrison.context import RequestContext
from garrison.deferral import deferred_events
from garrison.errors import EventNotRecorded
from tests.audit.happenings import DONE, REFUSED


class Rollback(Exception):
    """Undoes what a test did."""


def break_storing(monkeypatch):
    def fail(**_):
        raise IntegrityError("the disk is full")

    monkeypatch.setattr(services, "record", fail)


@pytest.mark.django_db(transaction=True)
def test_a_success_is_stored_with_its_change_and_rolled_back_with_it():
    events.emit(DONE, target="door:1")
    with pytest.raises(Rollback), transaction.atomic():
        events.emit(DONE, target="door:2")
        raise Rollback
    assert [e.target for e in SecurityEvent.objects.all()] == ["door:1"]


@pytest.mark.django_db(transaction=True)
def test_a_refusal_survives_the_rollback_of_what_was_refused():
    with pytest.raises(Rollback), deferred_events(), transaction.atomic():
        events.emit(REFUSED, target="door:3")
        raise Rollback
    assert [e.target for e in SecurityEvent.objects.all()] == ["door:3"]


@pytest.mark.django_db(transaction=True)
def test_a_refusal_outside_a_request_survives_the_rollback_too():
    with pytest.raises(Rollback), transaction.atomic():
        events.emit(REFUSED, target="door:4")
        raise Rollback
    stored = [e.target for e in SecurityEvent.objects.all()]
    # SQLite has one writer: there the refusal is written by the caller's own connection.
    assert stored == (["door:4"] if connection.vendor == "postgresql" else [])


@pytest.mark.django_db
def test_everything_known_of_the_request_is_stored(django_user_model):
    user = django_user_model.objects.create_user("mira@example.org", None)
    session, at = uuid.uuid4(), datetime(2026, 11, 24, 12, 30, 15, 123456, tzinfo=UTC)
    known = RequestContext("req-0001", "203.0.113.9", "Firefox", None, str(session))
    with context.bound(known):
        said = events.emit(DONE, actor=user, target="door:1", data={"by": "key"}, now=at)
    stored = SecurityEvent.objects.get()
    assert (stored.kind, stored.severity, stored.outcome) == ("tests.door.opened", 1, "success")
    assert (stored.actor_id, stored.actor_label) == (str(user.pk), "mira@example.org")
    assert (stored.ip, stored.user_agent) == ("203.0.113.9", "Firefox")
    assert (stored.session_id, stored.request_id) == (str(session), "req-0001")
    assert (stored.at, stored.target, stored.data) == (at, "door:1", {"by": "key"})
    assert stored.pk.int & (2**62 - 1) == said.id.int & (2**62 - 1), "the log's id is recognised"


@pytest.mark.django_db
def test_storing_costs_one_insert():
    with CaptureQueriesContext(connection) as queries:
        events.emit(DONE)
    sql = [q["sql"] for q in queries if "SAVEPOINT" not in q["sql"]]
    assert len(sql) == 1
    assert sql[0].startswith('INSERT INTO "audit_securityevent"')


@pytest.mark.django_db
def test_an_event_is_stored_once():
    said = events.emit(DONE)
    with pytest.raises(IntegrityError), transaction.atomic():
        services.record(event=said)
    assert SecurityEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_change_that_cannot_be_recorded_is_not_made(monkeypatch, django_user_model, settings):
    settings.AUDIT_ON_FAILURE = "refuse"
    break_storing(monkeypatch)
    with pytest.raises(EventNotRecorded), transaction.atomic():
        django_user_model.objects.create_user("mira@example.org", None)
        events.emit(DONE)
    assert not django_user_model.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_change_stands_unrecorded_where_the_site_says_so(
    monkeypatch, django_user_model, settings, caplog
):
    settings.AUDIT_ON_FAILURE = "report"
    break_storing(monkeypatch)
    with transaction.atomic():
        django_user_model.objects.create_user("mira@example.org", None)
        events.emit(DONE)
    assert django_user_model.objects.count() == 1
    assert "failed on tests.door.opened" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_stored_is_in_the_log_all_the_same(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "garrison.audit")
    break_storing(monkeypatch)
    events.emit(REFUSED, target="door:7")
    (line,) = [r.getMessage() for r in caplog.records if r.name == "garrison.audit"]
    assert json.loads(line)["target"] == "door:7"


@pytest.mark.django_db(transaction=True)
def test_the_log_holds_no_success_that_was_rolled_back(caplog, settings):
    caplog.set_level(logging.INFO, "garrison.audit")
    with pytest.raises(Rollback), transaction.atomic():
        events.emit(DONE)
        raise Rollback
    events.emit(DONE)
    settings.AUDIT_LOG_EVENTS = False
    events.emit(DONE)
    assert len([r for r in caplog.records if r.name == "garrison.audit"]) == 1


@pytest.mark.django_db(transaction=True)
def test_no_line_of_the_log_can_be_forged(caplog):
    caplog.set_level(logging.INFO, "garrison.audit")
    forged = '","kind":"x"}\n{"kind":"accounts.login.succeeded","actor_label":"root\x1b[2K'
    with context.bound(RequestContext(user_agent=forged, request_id=forged)):
        events.emit(DONE, target=forged, data={forged: forged, "password": "hunter2"})
    (line,) = [r.getMessage() for r in caplog.records if r.name == "garrison.audit"]
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["kind"] == "tests.door.opened"
    assert "hunter2" not in line


HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.uuids()
    | st.datetimes()
    | st.just(Decimal("1.10"))
    | st.just("\x00\ud800\u202e\r\n"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@given(data=st.dictionaries(st.text(), HOSTILE), text=st.text(max_size=900))
@pytest.mark.django_db
def test_whatever_an_event_holds_it_is_stored(data, text):
    with transaction.atomic():
        known = RequestContext(text, text, text, text, text)
        with context.bound(known):
            events.emit(DONE, target=text, data=data)
        stored = SecurityEvent.objects.get()
        for shown in (stored.target, stored.user_agent, stored.session_id, stored.actor_id):
            assert shown.encode().decode() == shown
            assert "\n" not in shown
            assert "\x00" not in shown
        transaction.set_rollback(True)


@pytest.mark.parametrize("ip", ["", "unix:", "999.1.1.1", "::ffff:203.0.113.9", "fe80::1%eth0"])
@pytest.mark.django_db
def test_an_address_is_canonical_or_absent(ip):
    with context.bound(RequestContext(ip=ip)):
        events.emit(DONE)
    expected = {"::ffff:203.0.113.9": "203.0.113.9", "fe80::1%eth0": "fe80::1"}
    assert SecurityEvent.objects.get().ip == expected.get(ip)


@pytest.mark.django_db
def test_what_is_behind_the_clock_of_the_machine_keeps_its_order():
    at = datetime(1901, 1, 1, tzinfo=UTC)
    for n in range(3):
        events.emit(DONE, now=at + timedelta(days=n), target=f"door:{n}")
    assert SecurityEvent.objects.count() == 3
