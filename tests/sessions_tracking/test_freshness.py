"""Whether somebody has proved who they are only minutes ago."""

import uuid
from datetime import timedelta
from types import SimpleNamespace

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from sessions_tracking import services
from sessions_tracking.authentication import SessionAuth
from sessions_tracking.errors import ReauthenticationRequired, SessionEnded
from sessions_tracking.models import Session
from tests.sessions_tracking.scenery import NOON


def at(seconds):
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def pair(user):
    return services.start_token_session(user=user, amr=["pwd"], now=NOON)


@pytest.mark.parametrize(
    ("seconds", "is_fresh"), [(0, True), (600, True), (601, False), (-601, False)]
)
def test_a_sign_in_is_fresh_for_ten_minutes_in_both_directions(pair, seconds, is_fresh):
    if is_fresh:
        services.require_fresh(session_id=pair.session.pk, now=at(seconds))
    else:
        with pytest.raises(ReauthenticationRequired) as refusal:
            services.require_fresh(session_id=pair.session.pk, now=at(seconds))
        assert (refusal.value.status, refusal.value.code) == (403, "reauthentication_required")


def test_the_span_can_be_shorter(pair):
    with pytest.raises(ReauthenticationRequired):
        services.require_fresh(session_id=pair.session.pk, within_seconds=60, now=at(61))


@pytest.mark.parametrize("key", ["", "nonsense", "\x00", uuid.uuid4()])
def test_an_unknown_session_is_not_fresh(db, key):
    with pytest.raises(ReauthenticationRequired):
        services.require_fresh(session_id=key)


def test_an_ended_session_is_not_fresh(pair):
    services.end_session(session_id=pair.session.pk, reason="test", now=NOON)
    with pytest.raises(ReauthenticationRequired):
        services.require_fresh(session_id=pair.session.pk, now=NOON)


def test_a_refresh_makes_nothing_fresh(pair):
    services.rotate(refresh_token=pair.refresh, now=at(700))
    with pytest.raises(ReauthenticationRequired):
        services.require_fresh(session_id=pair.session.pk, now=at(701))


def test_proving_it_again_makes_the_session_fresh_and_adds_the_method(pair, events_of):
    services.mark_reauthenticated(session_id=pair.session.pk, amr=["otp", "pwd"], now=at(5000))
    services.require_fresh(session_id=pair.session.pk, now=at(5600))
    session = Session.objects.get(pk=pair.session.pk)
    assert (session.amr, session.authenticated_at) == (["pwd", "otp"], at(5000))
    (event,) = events_of("sessions.session.reauthenticated")
    assert event.data["methods"] == ["otp", "pwd"]


@pytest.mark.parametrize("key", ["nonsense", uuid.uuid4()])
def test_a_session_that_is_over_cannot_be_made_fresh(db, key):
    with pytest.raises(SessionEnded):
        services.mark_reauthenticated(session_id=key)


@pytest.mark.parametrize("end", ["ended", "lapsed"])
def test_a_session_that_has_ended_or_lapsed_is_not_revived_by_a_proof(pair, end):
    before = Session.objects.get(pk=pair.session.pk).authenticated_at
    if end == "ended":
        services.end_session(session_id=pair.session.pk, reason="test", now=at(60))
    with pytest.raises(SessionEnded):
        services.mark_reauthenticated(
            session_id=pair.session.pk, amr=["otp"], now=at(120 if end == "ended" else 31 * 86_400)
        )
    assert Session.objects.get(pk=pair.session.pk).authenticated_at == before


def test_a_request_by_token_is_judged_without_a_statement(pair, statements):
    request = SimpleNamespace(auth=SessionAuth(session=pair.session, claims=None))
    with time_machine.travel(at(60)), statements() as asked:
        services.require_fresh_request(request)
    assert asked == []
    with time_machine.travel(at(6000)), pytest.raises(ReauthenticationRequired):
        services.require_fresh_request(request)


@pytest.mark.urls("tests.sessions_tracking.views")
def test_a_request_by_cookie_is_judged_by_its_row(user, settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    browser = Client()
    browser.force_login(user)
    assert browser.get("/fresh").content == b"fresh"
    past = timezone.now() - timedelta(seconds=601)
    Session.objects.update(authenticated_at=past)
    answer = browser.get("/fresh")
    assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_required")


@pytest.mark.urls("tests.sessions_tracking.views")
def test_a_stranger_is_not_fresh(db):
    assert Client().get("/fresh").status_code == 403
