"""Ended means ended: once, at once, with an event."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from audit.models import SecurityEvent
from garrison.errors import EventNotRecorded
from garrison.events import security_event
from sessions_tracking import services
from sessions_tracking.models import Session
from tests.sessions_tracking.scenery import NOON, in_threads


def start(user, **more):
    return services.start_token_session(user=user, amr=["pwd"], **more)


def alive():
    return Session.objects.alive(now=timezone.now())


def test_a_session_ends_once_with_one_event(pair, events_of, user):
    assert services.end_session(session_id=pair.session.pk, reason="test", now=NOON)
    assert not services.end_session(session_id=pair.session.pk, reason="again")
    session = Session.objects.get(pk=pair.session.pk)
    assert (session.ended_at, session.end_reason) == (NOON, "test")
    (event,) = events_of("sessions.session.ended")
    assert event.target == f"session:{session.pk}"
    assert event.data == {"reason": "test", "user_id": str(user.pk), "kind": "token"}


def test_an_id_may_be_text(pair):
    assert services.end_session(session_id=str(pair.session.pk), reason="test")


@pytest.mark.parametrize("key", ["", "nonsense", "\x00", "x" * 5000, uuid.uuid4(), None])
def test_what_names_no_session_ends_none(pair, key):
    assert services.end_session(session_id=key, reason="test") is False
    assert alive().count() == 1


@pytest.mark.parametrize("reason", ["", "x" * 41, "a\nb", "a\x00b"])
def test_a_reason_that_will_not_do_is_a_mistake_of_the_caller(pair, reason):
    with pytest.raises(ValueError, match="reason"):
        services.end_session(session_id=pair.session.pk, reason=reason)
    assert alive().count() == 1


def test_ending_takes_its_statements_and_those_of_its_event(pair, statements):
    with statements() as asked:
        services.end_session(session_id=pair.session.pk, reason="test")
    assert [name for name in asked if name != "transaction"] == [
        "sessions",
        "end the session",
        "event",
    ]


def test_all_sessions_of_a_user_end_and_no_one_elses(user, make_user, events_of):
    for _ in range(3):
        start(user)
    bob = start(make_user("bob@example.org"))
    assert services.end_sessions(user=user, reason="password_changed") == 3
    assert [session.pk for session in alive()] == [bob.session.pk]
    (event,) = events_of("sessions.user.signed_out")
    assert event.target == f"user:{user.pk}"
    assert event.data == {"reason": "password_changed", "kept": None, "count": 3}


def test_one_session_may_be_spared(user):
    kept, _ = start(user), start(user)
    ended = services.end_sessions(user=user, reason="test", except_session_id=kept.session.pk)
    assert ended == 1
    assert [session.pk for session in alive()] == [kept.session.pk]


def test_a_spared_id_that_is_none_spares_nothing(user):
    start(user)
    assert services.end_sessions(user=user, reason="test", except_session_id="nonsense") == 1


def test_nothing_to_end_is_no_event(user, events_of):
    assert services.end_sessions(user=user, reason="test") == 0
    assert events_of("sessions.user.signed_out") == []


def test_a_lapsed_session_is_ended_too_but_not_counted(user):
    """A clock that is set back must not bring it to life after the password has changed."""
    lapsed = start(user, now=timezone.now() - timedelta(days=31))
    assert services.end_sessions(user=user, reason="test") == 0
    assert Session.objects.get(pk=lapsed.session.pk).end_reason == "test"


def test_everybody_is_signed_out_in_batches(user, make_user, monkeypatch, events_of):
    from sessions_tracking.services import ending

    monkeypatch.setattr(ending, "BATCH_ROWS", 2)
    people = [user, make_user("bob@example.org"), make_user("eve@example.org")]
    for somebody in people:
        start(somebody), start(somebody)
    assert services.end_all_sessions(reason="key_leaked") == 6
    assert alive().count() == 0
    assert [event.data["count"] for event in events_of("sessions.user.signed_out")] == [2, 2, 2]


def test_an_event_that_cannot_be_stored_keeps_the_session_where_that_is_demanded(pair):
    def refuse(**_):
        raise EventNotRecorded

    security_event.connect(refuse)
    try:
        with pytest.raises(EventNotRecorded):
            services.end_session(session_id=pair.session.pk, reason="test")
    finally:
        security_event.disconnect(refuse)
    assert alive().count() == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_of_ten_endings_at_once_one_says_so(make_user):
    pair = start(make_user())
    told = in_threads(10, lambda: services.end_session(session_id=pair.session.pk, reason="test"))
    assert sorted(told) == [False] * 9 + [True]
    assert SecurityEvent.objects.filter(kind="sessions.session.ended").count() == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_refresh_and_an_ending_at_once_leave_no_living_session(make_user):
    user = make_user()
    for _ in range(10):
        pair = start(user)

        turns = iter(["refresh", "end"])

        def refresh_or_end(pair=pair, turns=turns):
            if next(turns) == "refresh":
                return services.rotate(refresh_token=pair.refresh)
            return services.end_session(session_id=pair.session.pk, reason="test")

        in_threads(2, refresh_or_end)
        assert Session.objects.get(pk=pair.session.pk).end_reason == "test"


def test_old_rows_are_cleaned_in_batches_and_living_ones_stay(user):
    now = timezone.now()
    for days in (200, 150, 120, 100):
        start(user, now=now - timedelta(days=days))
    ended_long_ago = start(user)
    services.end_session(
        session_id=ended_long_ago.session.pk, reason="test", now=now - timedelta(days=91)
    )
    ended_lately, living = start(user), start(user)
    services.end_session(session_id=ended_lately.session.pk, reason="test")
    cutoff = now - timedelta(days=90)
    assert services.clean_sessions(older_than=cutoff, dry_run=True) == 3
    assert Session.objects.count() == 7
    assert services.clean_sessions(older_than=cutoff, batch_rows=2) == 3
    assert Session.objects.filter(pk__in=[ended_lately.session.pk, living.session.pk]).count() == 2
    assert services.clean_sessions(older_than=cutoff) == 0


def test_what_ended_lately_is_kept_for_the_days_that_are_set(user, settings):
    ended = start(user)
    now = timezone.now()
    services.end_session(session_id=ended.session.pk, reason="test", now=now - timedelta(days=2))
    settings.SESSIONS_KEEP_ENDED_DAYS = 3
    assert services.clean_sessions() == 0
    settings.SESSIONS_KEEP_ENDED_DAYS = 1
    assert services.clean_sessions() == 1


@pytest.mark.postgresql
def test_the_questions_of_cleaning_and_of_one_user_are_answered_by_an_index(pair):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for question, index in (
            (Session.objects.over_since(NOON), "sessions_over"),
            (Session.objects.over_since(NOON), "sessions_running"),
            (Session.objects.of_user(pair.session.user), "sessions_user_ended"),
            (Session.objects.order_by("-created_at")[:6], "sessions_newest"),
            (Session.objects.stolen_since(NOON), "sessions_stolen"),
        ):
            assert index in question.explain(), question.explain()
