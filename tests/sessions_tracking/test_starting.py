"""What a sign-in makes, and how many of them there may be."""

from datetime import timedelta

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIRequestFactory

from garrison import context
from sessions_tracking import services
from sessions_tracking.authentication import SessionTokenAuthentication
from sessions_tracking.models import Session
from tests.sessions_tracking.scenery import NOON, used


def start(user, seconds=0):
    return services.start_token_session(
        user=user, amr=["pwd"], now=NOON + timedelta(seconds=seconds)
    )


def test_a_sign_in_takes_two_statements(user, statements):
    with statements() as asked:
        services.start_token_session(user=user, amr=["pwd"])
    assert asked == ["new session", "end the excess"]


def test_the_row_remembers_how_when_and_from_where(user):
    known = context.RequestContext(ip="2001:db8::1", user_agent="Browser/1")
    with context.bound(known):
        pair = services.start_token_session(user=user, amr=["pwd", "otp"], now=NOON)
        learned = context.current()
    session = Session.objects.get(pk=pair.session.pk)
    assert (session.ip, session.user_agent, session.amr) == (
        "2001:db8::1",
        "Browser/1",
        ["pwd", "otp"],
    )
    instants = (session.created_at, session.authenticated_at, session.rotated_at)
    assert set(instants) == {NOON}
    assert session.expires_at == session.idle_expires_at == NOON + timedelta(days=30)
    assert (learned.actor_id, learned.session_id) == (str(user.pk), str(session.pk))


def test_a_pair_says_how_long_it_is_good_for(user):
    with override_settings(SESSIONS_ACCESS_SECONDS=300, SESSIONS_REFRESH_DAYS=1):
        pair = start(user)
    assert (pair.access_expires_in, pair.refresh_expires_in) == (300, 86400)


@pytest.mark.parametrize("amr", ["pwd", ["p w d"], ["x" * 17], [""], ["pwd\x00"], ["PWD"]])
def test_methods_that_are_no_names_are_a_mistake_of_the_caller(user, amr):
    with pytest.raises(ValueError, match="method names as in RFC 8176"):
        services.start_token_session(user=user, amr=amr)
    assert not Session.objects.exists()


def test_one_session_too_many_ends_the_one_unused_for_longest(user, make_user, events_of):
    bob = start(make_user("bob@example.org"))
    with override_settings(SESSIONS_MOST_PER_USER=3):
        first, second, third = (start(user, seconds) for seconds in (0, 1, 2))
        services.rotate(refresh_token=first.refresh, now=NOON + timedelta(seconds=30))
        start(user, 60)
    reasons = {
        session.pk: session.end_reason for session in Session.objects.filter(ended_at__isnull=False)
    }
    assert reasons == {second.session.pk: "too_many_sessions"}
    assert Session.objects.alive(now=NOON).filter(pk=bob.session.pk).exists()
    assert Session.objects.alive(now=NOON).filter(pk=third.session.pk).exists()
    (event,) = events_of("sessions.user.signed_out")
    assert event.target == f"user:{user.pk}"
    assert (event.data["count"], event.data["reason"]) == (1, "too_many_sessions")


def authenticate(pair):
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {pair.access}")
    SessionTokenAuthentication().authenticate(request)


def test_one_in_use_outlives_newer_ones_that_nobody_uses(user):
    with override_settings(SESSIONS_MOST_PER_USER=3):
        busy, idle, _ = (services.start_token_session(user=user, amr=["pwd"]) for _ in range(3))
        authenticate(busy)
        services.start_token_session(user=user, amr=["pwd"])
    ended = Session.objects.filter(ended_at__isnull=False)
    assert list(ended.values_list("pk", flat=True)) == [idle.session.pk]


@pytest.mark.parametrize("clock", [60, -60])
def test_one_in_use_on_a_server_with_a_wrong_clock_outlives_an_idle_one(user, clock):
    with override_settings(SESSIONS_MOST_PER_USER=2):
        busy, idle = (services.start_token_session(user=user, amr=["pwd"]) for _ in range(2))
        used(busy, seconds_ago=61)
        used(idle, seconds_ago=50)
        with time_machine.travel(timezone.now() + timedelta(seconds=clock)):
            authenticate(busy)
            services.start_token_session(user=user, amr=["pwd"])
    ended = Session.objects.filter(ended_at__isnull=False)
    assert list(ended.values_list("pk", flat=True)) == [idle.session.pk]


def test_the_newest_session_stays_even_when_the_clock_was_set_back(user):
    with override_settings(SESSIONS_MOST_PER_USER=2):
        start(user, 100), start(user, 200)
        newest = start(user, 0)
    alive = Session.objects.alive(now=NOON)
    assert alive.count() == 2
    assert alive.filter(pk=newest.session.pk).exists()


def test_with_one_session_allowed_each_sign_in_ends_the_one_before(user):
    with override_settings(SESSIONS_MOST_PER_USER=1):
        start(user, 0), start(user, 1), start(user, 2)
    assert Session.objects.alive(now=NOON + timedelta(seconds=3)).count() == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"kind": "other"},
        {"counter": -1},
        {"ended_at": NOON},
        {"end_reason": "because"},
        {"idle_expires_at": NOON + timedelta(days=31)},
        {"key_id": ""},
    ],
    ids=str,
)
def test_the_database_refuses_a_row_that_makes_no_sense(pair, broken):
    with pytest.raises(IntegrityError), transaction.atomic():
        Session.objects.filter(pk=pair.session.pk).update(
            expires_at=NOON + timedelta(days=30), **broken
        )


def test_a_row_shows_neither_user_nor_token(pair):
    assert str(pair.session) == f"session {pair.session.pk}"


def test_text_with_a_nul_is_refused_before_the_database_sees_it(pair):
    session = pair.session
    session.user_agent = "a\x00b"
    with pytest.raises(ValidationError):
        session.full_clean(validate_constraints=False)


def test_living_lapsed_and_ended_sessions_are_told_apart(user):
    now = timezone.now()
    alive, lapsed, ended = (services.start_token_session(user=user, amr=["pwd"]) for _ in range(3))
    past = now - timedelta(seconds=1)
    Session.objects.filter(pk=lapsed.session.pk).update(idle_expires_at=past)
    services.end_session(session_id=ended.session.pk, reason="test")
    asked = Session.objects
    assert set(asked.alive(now=now).values_list("pk", flat=True)) == {alive.session.pk}
    assert set(asked.over(now=now).values_list("pk", flat=True)) == {
        lapsed.session.pk,
        ended.session.pk,
    }
    assert asked.number_alive(now=now) == 1
