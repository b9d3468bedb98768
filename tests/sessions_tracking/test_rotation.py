"""One refresh token becomes the next exactly once, and a copy of it ends the family."""

import uuid
from datetime import timedelta
from types import SimpleNamespace

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import F
from django.test import override_settings
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from garrison import context, events
from garrison.deferral import deferred_events
from sessions_tracking import services, tokens
from sessions_tracking.errors import (
    RefreshReused,
    SessionEnded,
    TokenExpired,
    TokenInvalid,
)
from sessions_tracking.models import Session
from sessions_tracking.services.refreshing import Verdict, judge
from tests.sessions_tracking.scenery import NEW, NOON, OLD, in_threads

GRACE = timedelta(seconds=20)
REUSED = "sessions.refresh.reused"


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def start(user, **more):
    return services.start_token_session(user=user, amr=["pwd"], now=NOON, **more)


def rotate(token, seconds):
    return services.rotate(refresh_token=token, now=at(seconds))


def row(pair):
    return Session.objects.get(pk=pair.session.pk)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(-90, 90), st.booleans())
def test_the_verdict_depends_on_counters_and_the_distance_from_the_rotation(
    presented, current, seconds, known_key
):
    verdict = judge(
        presented=presented,
        current=current,
        rotated_at=NOON,
        now=at(seconds),
        grace=GRACE,
        is_under_present_key=known_key,
    )
    expected = {
        presented == current and known_key: Verdict.ROTATE,
        presented == current and not known_key: Verdict.REUSED,
        presented > current: Verdict.OUT_OF_STEP,
        presented == current - 1 and abs(seconds) <= 20: Verdict.REPEAT,
        presented == current - 1 and abs(seconds) > 20: Verdict.REUSED,
        presented < current - 1: Verdict.REUSED,
    }
    assert verdict is expected[True]


@pytest.mark.parametrize("seconds", [30, -30, 600, -600])
def test_a_server_whose_clock_is_wrong_takes_nobody_for_a_thief(user, seconds):
    first = services.start_token_session(user=user, amr=["pwd"])
    second = services.rotate(refresh_token=first.refresh)
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds)):
        again = services.rotate(refresh_token=first.refresh)
    assert again.refresh == second.refresh


def test_a_server_whose_clock_is_wrong_does_not_write_it_into_the_row(user):
    first = services.start_token_session(user=user, amr=["pwd"])
    with time_machine.travel(timezone.now() + timedelta(seconds=600)):
        services.rotate(refresh_token=first.refresh)
    assert abs(row(first).rotated_at - timezone.now()) < timedelta(seconds=5)


def test_the_grace_ends_by_the_clock_of_the_database(user):
    first = services.start_token_session(user=user, amr=["pwd"])
    services.rotate(refresh_token=first.refresh)
    Session.objects.update(rotated_at=F("rotated_at") - timedelta(seconds=21))
    with pytest.raises(RefreshReused):
        services.rotate(refresh_token=first.refresh)


def test_a_rotation_gives_a_new_pair_and_advances_the_counter(user):
    first = start(user)
    second = rotate(first.refresh, 60)
    assert second.refresh != first.refresh
    assert (row(first).counter, row(first).rotated_at, row(first).last_seen_at) == (
        1,
        at(60),
        at(60),
    )
    assert tokens.read_access(second.access, now=at(60)).session_id == first.session.pk
    assert second.access_expires_in == 900
    assert second.refresh_expires_in == 30 * 86400 - 60


def test_a_session_never_outlasts_its_absolute_lifetime(user):
    pair = start(user)
    day = 86400
    for days in range(1, 30):
        pair = rotate(pair.refresh, days * day)
    assert row(pair).expires_at == at(30 * day)
    last = rotate(pair.refresh, 30 * day - 60)
    assert (last.access_expires_in, last.refresh_expires_in) == (60, 60)
    with pytest.raises(TokenExpired):
        rotate(last.refresh, 30 * day)


def test_a_session_that_is_not_used_lapses(user):
    with override_settings(SESSIONS_IDLE_DAYS=7):
        pair = start(user)
        assert pair.refresh_expires_in == 7 * 86400
        pair = rotate(pair.refresh, 6 * 86400)
        pair = rotate(pair.refresh, 12 * 86400)
        with pytest.raises(SessionEnded):
            rotate(pair.refresh, 19 * 86400)


def test_a_refresh_takes_two_statements(user, statements):
    first = start(user)
    with statements() as asked:
        rotate(first.refresh, 60)
    assert asked == ["session joined with its user", "advance the counter"]


def test_a_repeat_within_the_grace_takes_one_statement(user, statements):
    first = start(user)
    rotate(first.refresh, 60)
    with statements() as asked:
        rotate(first.refresh, 61)
    assert asked == ["session joined with its user"]


def test_whoever_loses_the_race_takes_three_statements(user, statements, monkeypatch):
    """Somebody else rotates between our reading and our writing."""
    from sessions_tracking.services import refreshing

    first = start(user)
    look = refreshing.living_session
    rival = []

    def overtaken(**given_):
        session = look(**given_)
        if not rival:
            rival.append(None)
            connection.cursor().execute("SELECT 1")
            rival[0] = rotate(first.refresh, 60)
        return session

    monkeypatch.setattr(refreshing, "living_session", overtaken)
    with statements() as asked:
        pair = rotate(first.refresh, 60)
    assert pair.refresh == rival[0].refresh
    joined, advance = "session joined with its user", "advance the counter"
    rivals = ["SELECT 1", joined, advance]
    assert asked == [joined, *rivals, advance, joined]


def test_a_row_that_never_lets_itself_be_advanced_is_looked_at_twice_and_no_more(
    user, monkeypatch, statements
):
    from sessions_tracking.services import refreshing

    pair = start(user)
    monkeypatch.setattr(refreshing, "_step", lambda *_, **__: False)
    with statements() as asked, pytest.raises(SessionEnded):
        rotate(pair.refresh, 60)
    assert asked == ["session joined with its user"] * 2


def test_a_session_that_ends_between_reading_and_writing_gives_no_tokens(user, monkeypatch):
    from sessions_tracking.services import refreshing

    pair = start(user)
    look = refreshing.living_session

    def overtaken(**given_):
        session = look(**given_)
        services.end_session(session_id=session.pk, reason="test")
        return session

    monkeypatch.setattr(refreshing, "living_session", overtaken)
    with pytest.raises(SessionEnded):
        rotate(pair.refresh, 60)
    assert row(pair).counter == 0


def test_the_same_successor_comes_back_within_the_grace_and_the_access_token_is_fresh(user):
    first = start(user)
    second = rotate(first.refresh, 60)
    again = rotate(first.refresh, 80)
    assert again.refresh == second.refresh
    assert again.access != second.access
    assert row(first).counter == 1


def test_the_grace_is_counted_from_the_rotation_and_never_extended(user):
    first = start(user)
    rotate(first.refresh, 60)
    for second in range(60, 81, 5):
        rotate(first.refresh, second)
    with pytest.raises(RefreshReused):
        rotate(first.refresh, 80.001)


def test_a_replay_in_the_same_second_is_a_repeat_and_two_rotations_in_it_differ(user):
    first = start(user)
    second = rotate(first.refresh, 0)
    assert rotate(first.refresh, 0).refresh == second.refresh
    third = rotate(second.refresh, 0)
    assert len({first.refresh, second.refresh, third.refresh}) == 3


def test_a_token_two_steps_old_is_theft_even_in_the_same_second(user):
    first = start(user)
    second = rotate(first.refresh, 0)
    rotate(second.refresh, 0)
    with pytest.raises(RefreshReused):
        rotate(first.refresh, 0)


def test_a_replay_after_the_grace_ends_the_family(user, events_of):
    first = start(user)
    second = rotate(first.refresh, 60)
    with pytest.raises(RefreshReused) as refusal:
        rotate(first.refresh, 90)
    assert (refusal.value.status, refusal.value.code) == (401, "refresh_reused")
    assert (row(first).ended_at, row(first).end_reason) == (at(90), "refresh_reused")
    for token in (first.refresh, second.refresh):
        with pytest.raises(SessionEnded):
            rotate(token, 91)
    (event,) = events_of(REUSED)
    assert event.severity == events.Severity.HIGH
    assert event.target == f"session:{first.session.pk}"
    assert event.session_id == str(first.session.pk)
    assert event.data["presented"] == 0
    assert event.data["current"] == 1


def test_a_very_old_token_ends_the_family_too(user):
    first = start(user)
    pair = first
    for step in range(1, 12):
        pair = rotate(pair.refresh, step * 60)
    with pytest.raises(RefreshReused):
        rotate(first.refresh, 720)
    with pytest.raises(SessionEnded):
        rotate(pair.refresh, 721)


def test_a_clock_that_is_set_back_reopens_no_grace(user):
    first = start(user)
    rotate(first.refresh, 3600)
    with pytest.raises(RefreshReused):
        rotate(first.refresh, 60)


def test_a_clock_that_is_set_back_does_not_stop_the_holder_of_the_present_token(user):
    pair = rotate(start(user).refresh, 3600)
    pair = rotate(pair.refresh, 10)
    assert row(pair).rotated_at == at(10)
    assert rotate(pair.refresh, 3700)


def test_a_few_milliseconds_between_two_servers_are_no_theft(user):
    first = start(user)
    second = rotate(first.refresh, 60)
    assert rotate(first.refresh, 59.9).refresh == second.refresh


def test_a_token_that_is_ahead_of_a_restored_database_ends_the_session_and_accuses_nobody(
    user, events_of, mailoutbox, django_capture_on_commit_callbacks
):
    pair = start(user)
    later = rotate(rotate(pair.refresh, 60).refresh, 120)
    Session.objects.filter(pk=pair.session.pk).update(counter=1)
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(SessionEnded):
        rotate(later.refresh, 180)
    assert row(pair).end_reason == "refresh_out_of_step"
    (event,) = events_of("sessions.refresh.rejected")
    assert event.severity == events.Severity.MEDIUM
    assert events_of(REUSED) == []
    assert mailoutbox == []


def test_a_disabled_user_is_refused_and_the_family_is_not_called_stolen(user, events_of):
    pair = start(user)
    user.is_active = False
    user.save()
    with pytest.raises(SessionEnded):
        rotate(pair.refresh, 60)
    assert row(pair).counter == 0
    assert events_of(REUSED) == []


def test_a_deleted_user_is_refused_and_not_a_failure(user):
    pair = start(user)
    get_user_model().objects.filter(pk=user.pk).delete()
    with pytest.raises(SessionEnded):
        rotate(pair.refresh, 60)


def test_an_ended_session_is_refused(user):
    pair = start(user)
    assert services.end_session(session_id=pair.session.pk, reason="test")
    with pytest.raises(SessionEnded):
        rotate(pair.refresh, 60)


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "\x00", "x" * 100_000, "é.é.é"])
def test_what_is_no_token_is_refused_before_any_statement(token, db, statements):
    with statements() as asked, pytest.raises(TokenInvalid):
        services.rotate(refresh_token=token)
    assert asked == []


def test_a_rotation_moves_the_session_to_the_active_key(user):
    with override_settings(SESSIONS_SIGNING_KEYS=[OLD]):
        first = start(user)
    assert row(first).key_id == "k1"
    with override_settings(SESSIONS_SIGNING_KEYS=[NEW, OLD]):
        second = rotate(first.refresh, 60)
        assert row(first).key_id == "k2"
        assert rotate(first.refresh, 70).refresh == second.refresh
    with override_settings(SESSIONS_SIGNING_KEYS=[NEW]):
        assert rotate(second.refresh, 120)
        with pytest.raises(TokenInvalid):
            rotate(first.refresh, 120)


def test_a_leaked_old_key_cannot_forge_the_present_token(user):
    """Signed by a key that still verifies, with the right counter: but not the key of the row."""
    with override_settings(SESSIONS_SIGNING_KEYS=[NEW, OLD]):
        pair = start(user)
        forged = tokens.SessionRefreshToken.issue(
            session=Session(
                pk=pair.session.pk,
                counter=0,
                key_id="k1",
                rotated_at=NOON,
                expires_at=pair.session.expires_at,
            )
        )
        with pytest.raises(RefreshReused):
            rotate(forged, 60)


def test_a_key_that_is_retired_within_the_grace_refuses_the_repeat(user):
    with override_settings(SESSIONS_SIGNING_KEYS=[NEW, OLD]):
        first = start(user)
        rotate(first.refresh, 60)
        Session.objects.filter(pk=first.session.pk).update(key_id="k0")
        with pytest.raises(TokenInvalid):
            rotate(first.refresh, 61)


def test_the_row_follows_the_device_to_its_new_address(user):
    pair = start(user)
    moved = context.RequestContext(ip="203.0.113.9", user_agent="Browser/2")
    with context.bound(moved):
        rotate(pair.refresh, 60)
    assert (row(pair).ip, row(pair).user_agent) == ("203.0.113.9", "Browser/2")


def test_theft_inside_a_callers_transaction_survives_its_rollback(user, events_of):
    first = start(user)
    rotate(first.refresh, 60)
    with deferred_events(), pytest.raises(RefreshReused), transaction.atomic():
        rotate(first.refresh, 90)
    assert row(first).end_reason == "refresh_reused"
    assert len(events_of(REUSED)) == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_theft_inside_a_transaction_of_a_script_survives_its_rollback(make_user, events_of):
    """Outside any request the event takes a connection of its own, and so does the ending."""
    first = start(make_user())
    rotate(first.refresh, 60)
    with pytest.raises(RefreshReused), transaction.atomic():
        rotate(first.refresh, 90)
    assert row(first).end_reason == "refresh_reused"
    assert len(events_of(REUSED)) == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_fifty_threads_with_one_token_make_one_step_and_get_fifty_equal_successors(make_user):
    first = services.start_token_session(user=make_user(), amr=["pwd"])
    pairs = in_threads(50, lambda: services.rotate(refresh_token=first.refresh))
    assert [pair for pair in pairs if isinstance(pair, Exception)] == []
    assert len({pair.refresh for pair in pairs}) == 1
    assert len({pair.access for pair in pairs}) == 50
    assert row(first).counter == 1
    assert row(first).ended_at is None


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_twenty_replays_at_once_make_one_ending_one_event_and_one_mail(
    make_user, events_of, mailoutbox
):
    first = start(make_user())
    rotate(first.refresh, 60)
    refusals = in_threads(20, lambda: rotate(first.refresh, 120))
    assert {type(refusal) for refusal in refusals} <= {RefreshReused, SessionEnded}
    assert sum(isinstance(refusal, RefreshReused) for refusal in refusals) == 1
    assert len(events_of(REUSED)) == 1
    assert len(mailoutbox) == 1


def test_tokens_belong_to_one_session_only(make_user):
    ada, bob = start(make_user()), start(make_user("bob@example.org"))
    assert rotate(ada.refresh, 60).session.user.email == "ada@example.org"
    assert row(bob).counter == 0
    stranger = SimpleNamespace(pk=uuid.uuid4())
    assert not Session.objects.of_user(stranger).exists()
