"""A request is answered by one statement, and a session that is over by a 401."""

import uuid
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models.sql.compiler import SQLCompiler
from django.test import override_settings
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient, APIRequestFactory

from garrison import context
from sessions_tracking import compiled, services, tokens
from sessions_tracking.authentication import (
    CLOCK_LEEWAY,
    SessionTokenAuthentication,
    bearer_token,
)
from sessions_tracking.compiled import AUTHENTICATION_NEEDS_NO, ROTATION_NEEDS_NO, lookup
from sessions_tracking.errors import SessionEnded, TokenExpired, TokenInvalid
from sessions_tracking.living import note_use
from sessions_tracking.models import Session
from tests.sessions_tracking.scenery import used

ONE = "session joined with its user"


def request(header):
    return APIRequestFactory().get("/", HTTP_AUTHORIZATION=header)


def authenticate(token):
    return SessionTokenAuthentication().authenticate(request(f"Bearer {token}"))


def test_authentication_takes_one_statement(pair, statements):
    used(pair)
    with statements() as asked:
        user, auth = authenticate(pair.access)
        assert user.is_active
        assert user.email == "ada@example.org"
        assert auth.session.user is user
        assert auth.session.authenticated_at
    assert asked == [ONE]


@pytest.mark.parametrize("clock", [0, 60, -60], ids="clock {:+d}".format)
@pytest.mark.parametrize(
    ("seconds_ago", "is_noted"), [(None, True), (61, True), (59, False), (-300, False)]
)
def test_the_first_use_and_one_a_minute_are_noted_by_the_databases_clock(
    pair, statements, clock, seconds_ago, is_noted
):
    if seconds_ago is not None:
        used(pair, seconds_ago=seconds_ago)
    with time_machine.travel(timezone.now() + timedelta(seconds=clock)):
        with statements() as first:
            authenticate(pair.access)
        with statements() as second:
            authenticate(pair.access)
    assert (first, second) == ([ONE, "note the use"] if is_noted else [ONE], [ONE])
    if is_noted:
        noted = Session.objects.get(pk=pair.session.pk).last_seen_at
        assert abs(noted - timezone.now()) < timedelta(seconds=5)


def test_noting_the_use_pushes_the_idle_expiry_but_never_past_the_lifetime(user):
    with override_settings(SESSIONS_IDLE_DAYS=2, SESSIONS_ACCESS_SECONDS=90 * 86400):
        now = timezone.now()
        for days_ago, lasts in ((1, 2), (28.5, 1.5)):
            start = now - timedelta(days=days_ago)
            session = services.start_token_session(user=user, amr=["pwd"], now=start).session
            session.read_at = now
            note_use(session)
            session.refresh_from_db()
            assert session.idle_expires_at == now + timedelta(days=lasts)


def test_a_session_that_was_ended_meanwhile_notes_no_use(pair):
    """Read while it was alive, ended by somebody else, and only then noted."""
    session = Session.objects.get(pk=pair.session.pk)
    services.end_session(session_id=session.pk, reason="ended_by_owner")
    ended = Session.objects.get(pk=session.pk)
    session.read_at = timezone.now() + timedelta(seconds=61)
    note_use(session)
    after = Session.objects.get(pk=session.pk)
    assert (after.last_seen_at, after.idle_expires_at) == (
        ended.last_seen_at,
        ended.idle_expires_at,
    )


def test_noting_the_use_writes_the_present_address(pair):
    used(pair, seconds_ago=61)
    with context.bound(context.RequestContext(ip="198.51.100.4")):
        authenticate(pair.access)
    assert Session.objects.get(pk=pair.session.pk).ip == "198.51.100.4"


@pytest.mark.parametrize("clock", [-60, 59])
def test_a_token_expires_by_the_databases_clock(user, clock):
    now = timezone.now()
    spent, fresh = (
        services.start_token_session(user=user, amr=["pwd"], now=now - timedelta(seconds=age))
        for age in (901, 890)
    )
    with time_machine.travel(now + timedelta(seconds=clock)):
        with pytest.raises(TokenExpired):
            authenticate(spent.access)
        assert authenticate(fresh.access)


def test_the_context_learns_who_asks_in_which_session(pair):
    with context.bound(context.RequestContext()):
        user, auth = authenticate(pair.access)
        known = context.current()
    assert (known.actor_id, known.session_id) == (str(user.pk), str(auth.session.pk))


@pytest.mark.parametrize("without", [(), ROTATION_NEEDS_NO, AUTHENTICATION_NEEDS_NO])
def test_the_compiled_query_gives_what_the_orm_gives(pair, without):
    quick = lookup(without=without)(pair.session.pk)
    slow = Session.objects.select_related("user").get(pk=pair.session.pk)
    for field in Session._meta.concrete_fields:
        if field.name not in without:
            assert quick.__dict__[field.attname] == slow.__dict__[field.attname], field.name
    for field in get_user_model()._meta.concrete_fields:
        assert quick.user.__dict__[field.attname] == slow.user.__dict__[field.attname], field.name
    assert quick._state.db == slow._state.db
    assert not quick._state.adding
    assert quick.get_deferred_fields() == set(without)


def test_what_the_compiled_query_leaves_out_can_still_be_read(pair, statements):
    session = lookup(without=AUTHENTICATION_NEEDS_NO)(pair.session.pk)
    with statements() as asked:
        assert session.amr == ["pwd"]
    assert asked == ["sessions"]


def test_a_django_whose_compiler_is_another_is_asked_by_the_queryset(
    pair, monkeypatch, statements, caplog
):
    """Slower, and the same; a missing attribute stands for whatever a new release may change."""
    sessions = Session.objects.select_related("user").defer(*ROTATION_NEEDS_NO)
    with monkeypatch.context() as changed:
        changed.delattr(SQLCompiler, "get_converters")
        found = compiled.compiled(connection, sessions)
    assert "looked up by the QuerySet" in caplog.text
    with statements() as asked:
        session = found(pair.session.pk)
        assert session.user == pair.session.user
    assert asked == [ONE]
    assert session.get_deferred_fields() == set(ROTATION_NEEDS_NO)
    assert found(uuid.uuid4()) is None


def test_the_lookup_reads_the_clock_of_the_database(pair):
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        session = lookup(without=ROTATION_NEEDS_NO)(pair.session.pk)
    assert abs(session.read_at - timezone.now()) < timedelta(seconds=5)


def test_the_query_is_compiled_once_for_a_connection(db):
    assert lookup(without=()) is lookup(without=())


def test_an_unknown_session_is_nothing_to_the_compiled_query(db):
    assert lookup(without=())(uuid.uuid4()) is None


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("", None),
        ("Basic dXNlcjpwYXNz", None),
        ("Token abc", None),
        ("bearer abc", "abc"),
        ("BEARER  abc ", "abc"),
        ("Bearer", ""),
        ("Bearer ", ""),
        ("Bearerabc", None),
        ("Bearer a b", "a b"),
    ],
)
def test_the_scheme_is_read_without_regard_to_case(header, token):
    assert bearer_token(header) == token


def test_a_request_without_a_bearer_token_is_anonymous_and_costs_nothing(db, statements):
    with statements() as asked:
        assert SessionTokenAuthentication().authenticate(request("Basic x")) is None
        assert SessionTokenAuthentication().authenticate(APIRequestFactory().get("/")) is None
    assert asked == []


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "\x00", "x" * 9000, "a b"])
def test_garbage_is_refused_before_any_statement(db, token, statements):
    with statements() as asked, pytest.raises(TokenInvalid):
        authenticate(token)
    assert asked == []


def test_an_expired_access_token_says_so(pair, statements):
    later = timezone.now() + timedelta(seconds=901) + CLOCK_LEEWAY
    with time_machine.travel(later), statements() as asked, pytest.raises(TokenExpired):
        authenticate(pair.access)
    assert asked == []


def test_an_ended_session_is_refused_at_once(pair):
    assert authenticate(pair.access)
    services.end_session(session_id=pair.session.pk, reason="test")
    with pytest.raises(SessionEnded):
        authenticate(pair.access)


@pytest.mark.parametrize("column", ["expires_at", "idle_expires_at"])
def test_a_lapsed_session_is_refused(pair, column):
    past = timezone.now() - timedelta(seconds=1)
    changes = {"idle_expires_at": past} | {column: past}
    Session.objects.filter(pk=pair.session.pk).update(**changes)
    with pytest.raises(SessionEnded):
        authenticate(pair.access)


def test_a_disabled_user_is_refused_at_once(pair, user):
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)
    with pytest.raises(SessionEnded):
        authenticate(pair.access)


def test_a_deleted_user_is_refused(pair, user):
    user.delete()
    with pytest.raises(SessionEnded):
        authenticate(pair.access)


def test_a_token_whose_subject_is_not_the_sessions_user_is_refused(pair, make_user):
    Session.objects.filter(pk=pair.session.pk).update(user=make_user("bob@example.org"))
    with pytest.raises(TokenInvalid):
        authenticate(pair.access)


def test_a_cookie_session_has_no_tokens(pair):
    Session.objects.filter(pk=pair.session.pk).update(kind="cookie")
    with pytest.raises(TokenInvalid):
        authenticate(pair.access)


def test_a_refresh_token_opens_no_door(pair):
    with pytest.raises(TokenInvalid):
        authenticate(pair.refresh)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda pair: "Bearer nonsense", "token_invalid"),
        (lambda pair: f"Bearer {pair.refresh}", "token_invalid"),
        (lambda pair: f"Bearer {pair.access}\x00", "token_invalid"),
        (lambda pair: "Bearer \xff\xfe", "token_invalid"),
        (lambda pair: "Bearer " + "A" * 20_000, "token_invalid"),
        (
            lambda pair: (
                services.end_session(session_id=pair.session.pk, reason="test")
                and f"Bearer {pair.access}"
            ),
            "session_ended",
        ),
    ],
)
def test_over_http_a_bad_token_is_a_problem_with_a_challenge(pair, spoil, code):
    answer = APIClient().get("/api/sessions", HTTP_AUTHORIZATION=spoil(pair))
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert answer.json()["request_id"] == answer["X-Request-ID"]
    assert answer["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'


def test_over_http_no_token_is_challenged_too(db):
    answer = APIClient().get("/api/sessions")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(header=st.text(max_size=200) | st.text(max_size=200).map("Bearer {}".format))
def test_no_header_brings_the_door_down(db, header):
    if bearer_token(header) is None:
        assert SessionTokenAuthentication().authenticate(request(header)) is None
    else:
        with pytest.raises(TokenInvalid):
            SessionTokenAuthentication().authenticate(request(header))


def test_a_token_signed_for_a_session_that_never_was_is_refused(user):
    now = timezone.now()
    session = Session(
        user=user, authenticated_at=now, expires_at=now + timedelta(days=1), amr=["pwd"]
    )
    with pytest.raises(SessionEnded):
        authenticate(tokens.SessionAccessToken.issue(session=session, now=now))
