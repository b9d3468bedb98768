"""Each question has its answer, and an index of its own."""

import json
from datetime import timedelta

import pytest
from django.db import connection

from audit.models import SecurityEvent
from garrison.events import Severity
from tests.audit.happenings import NOON, happened

EVENTS = SecurityEvent.objects


@pytest.mark.django_db
def test_the_newest_come_first_and_pages_follow_by_key():
    happened([NOON + timedelta(seconds=n) for n in (2, 0, 3, 1)])
    newest = list(EVENTS.newest(3))
    assert [e.at.second for e in newest] == [3, 2, 1]
    assert [e.at.second for e in EVENTS.older_than(newest[-1].pk).newest(3)] == [0]


@pytest.mark.django_db
def test_a_span_begins_with_its_first_instant_and_ends_before_its_last():
    moment = timedelta(microseconds=1)
    happened([NOON - moment, NOON, NOON + moment, NOON + moment * 2])
    span = EVENTS.since(NOON).before(NOON + moment * 2)
    assert [e.at for e in span.newest(9)] == [NOON + moment, NOON]


@pytest.mark.django_db
def test_events_are_found_by_target_actor_kind_and_severity():
    happened([NOON], target="user:1", actor_id="7")
    happened([NOON], kind="tests.door.refused", severity=Severity.HIGH)
    assert EVENTS.for_target("user:1").count() == 1
    assert EVENTS.for_actor(7).count() == 1
    assert EVENTS.of_kinds(["tests.door.refused", "tests.window.opened"]).count() == 1
    assert EVENTS.of_kinds([]).count() == 0
    assert EVENTS.at_least(Severity.MEDIUM).count() == 1


QUESTIONS = {
    "audit_for_target": EVENTS.for_target("user:1").newest(50),
    "audit_for_actor": EVENTS.for_actor("7").newest(50),
    "audit_of_kind": EVENTS.of_kinds(["tests.rare.happened"]).newest(50),
    "audit_of_outcome": EVENTS.filter(outcome="failure").newest(50),
    "audit_of_severity": EVENTS.filter(severity=5).newest(50),
    "audit_from_ip": EVENTS.filter(ip="203.0.113.9").newest(50),
    "audit_in_session": EVENTS.filter(session_id="s").newest(50),
    "audit_in_request": EVENTS.filter(request_id="r").newest(50),
    "audit_securityevent_pkey": EVENTS.since(NOON).newest(50),
}


@pytest.mark.postgresql
@pytest.mark.parametrize("index", QUESTIONS)
@pytest.mark.django_db
def test_each_question_is_answered_by_its_index(index):
    happened(NOON + timedelta(seconds=n) for n in range(3000))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE audit_securityevent")
    plan = json.loads(QUESTIONS[index].explain(format="json"))[0]["Plan"]
    text = json.dumps(plan)
    assert index in text
    assert "Seq Scan" not in text
