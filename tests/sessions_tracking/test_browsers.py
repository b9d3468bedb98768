"""A cookie session lives as long as its row, and costs what Django's own costs."""

import uuid
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.contrib import auth
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session as DjangoSession
from django.core.management import call_command
from django.db.models import F
from django.http import HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.utils import timezone

from sessions_tracking import cookies, services
from sessions_tracking.middleware import TrackedSessionMiddleware
from sessions_tracking.models import Session
from tests.sessions_tracking.scenery import NEW, used

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.sessions_tracking.views"),
]
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(autouse=True)
def _plain_backend(settings):
    settings.AUTHENTICATION_BACKENDS = [BACKEND]


@pytest.fixture
def browser(user):
    client = Client()
    client.force_login(user)
    return client


def row():
    return Session.objects.get(kind="cookie")


def who(browser):
    return browser.get("/who").json()["user"]


def test_a_sign_in_makes_a_row(browser, user):
    session = row()
    assert session.user == user
    assert session.is_alive(now=timezone.now())
    assert browser.session[cookies.SESSION_ID] == str(session.pk)
    assert session.amr == ["pwd"]
    assert session.expires_at - session.created_at == timedelta(hours=12)
    assert session.idle_expires_at - session.created_at == timedelta(hours=1)


def test_the_key_of_djangos_session_is_nowhere_in_clear(browser):
    django_key = browser.session.session_key
    sealed = bytes(row().sealed_cookie_key)
    assert django_key.encode() not in sealed
    assert cookies.unseal(sealed, row().pk) == django_key
    assert cookies.unseal(sealed, uuid.uuid4()) is None


def test_a_request_that_asks_for_its_user_takes_two_statements_as_with_django_alone(
    browser, statements
):
    used(row())
    with statements() as asked:
        assert who(browser) == "ada@example.org"
    assert asked == ["Django's session", "session joined with its user"]


def test_a_request_that_does_not_ask_for_its_user_takes_none(browser, statements):
    with statements() as asked:
        assert browser.get("/ignore").status_code == 200
    assert asked == []


def test_a_request_without_a_cookie_takes_none(statements):
    with statements() as asked:
        assert Client().get("/who").json() == {"user": "AnonymousUser", "session": None}
    assert asked == []


def test_the_context_learns_the_session(browser):
    assert browser.get("/who").json()["session"] == str(row().pk)


def test_once_a_minute_the_use_is_noted(browser, statements):
    used(row(), seconds_ago=61)
    with statements() as first:
        who(browser)
    with statements() as second:
        who(browser)
    assert first == ["Django's session", "session joined with its user", "note the use"]
    assert second == first[:2]


def test_ending_the_row_signs_the_browser_out_at_its_next_request(browser):
    services.end_session(session_id=row().pk, reason="test")
    assert who(browser) == "AnonymousUser"
    assert DjangoSession.objects.count() == 0
    assert browser.get("/private").status_code == 302


def test_ending_the_row_deletes_djangos_session(browser, django_capture_on_commit_callbacks):
    assert DjangoSession.objects.count() == 1
    with django_capture_on_commit_callbacks(execute=True):
        services.end_session(session_id=row().pk, reason="test")
    assert DjangoSession.objects.count() == 0


def test_a_row_whose_key_was_retired_ends_all_the_same(
    browser, settings, django_capture_on_commit_callbacks
):
    settings.SESSIONS_SIGNING_KEYS = [NEW]
    with django_capture_on_commit_callbacks(execute=True):
        assert services.end_session(session_id=row().pk, reason="test")
    assert DjangoSession.objects.count() == 1
    assert who(browser) == "AnonymousUser"
    assert DjangoSession.objects.count() == 0


def test_a_store_that_is_down_does_not_keep_the_session_alive(
    browser, django_capture_on_commit_callbacks, monkeypatch, caplog
):
    def broken(session):
        raise ConnectionError("no store")

    monkeypatch.setattr(cookies, "forget", broken)
    with django_capture_on_commit_callbacks(execute=True):
        assert services.end_session(session_id=row().pk, reason="test")
    assert "no store" in caplog.text
    assert who(browser) == "AnonymousUser"


def test_signing_out_ends_the_row(browser):
    session = row()
    browser.logout()
    session.refresh_from_db()
    assert session.end_reason == "signed_out"


def test_signing_in_again_replaces_the_row(browser, user):
    first = row()
    browser.force_login(user)
    first.refresh_from_db()
    assert first.end_reason == "replaced"
    assert Session.objects.alive(now=timezone.now()).count() == 1


def test_signing_in_as_somebody_else_ends_the_row_of_the_one_before(browser, make_user, rf):
    request = rf.get("/")
    request.session = browser.session
    request.tracked_session = row()
    auth.login(request, make_user("bob@example.org"), BACKEND)
    ended = Session.objects.get(pk=request.session[cookies.SESSION_ID])
    assert ended.user.email == "bob@example.org"
    assert Session.objects.get(user__email="ada@example.org").end_reason == "replaced"


def test_a_signal_without_djangos_session_starts_nothing(user, rf):
    for request in (None, rf.get("/")):
        auth.user_logged_in.send(sender=type(user), request=request, user=user)
        auth.user_logged_out.send(sender=type(user), request=request, user=user)
    assert not Session.objects.exists()


def test_a_disabled_user_is_signed_out(browser, user):
    type(user).objects.update(is_active=False)
    assert who(browser) == "AnonymousUser"


def test_a_deleted_user_is_signed_out(browser, user):
    user.delete()
    assert who(browser) == "AnonymousUser"


def test_a_changed_password_signs_the_browser_out(browser, user):
    user.set_password("a-new-password-that-is-long")
    user.save()
    assert who(browser) == "AnonymousUser"


def test_the_browser_that_changes_the_password_stays_and_its_new_key_is_sealed(
    browser, user, rf, statements, django_capture_on_commit_callbacks
):
    request = rf.get("/")
    request.session, request.user = browser.session, user
    user.set_password("a-new-password-that-is-long")
    user.save()
    auth.update_session_auth_hash(request, user)
    request.session.save()
    browser.cookies["__Host-session"] = request.session.session_key
    with statements() as asked:
        assert who(browser) == "ada@example.org"
    assert asked[-1] == "seal the new key"
    assert cookies.unseal(row().sealed_cookie_key, row().pk) == request.session.session_key
    with django_capture_on_commit_callbacks(execute=True):
        services.end_session(session_id=row().pk, reason="test")
    assert DjangoSession.objects.count() == 0


def test_a_rotated_secret_key_keeps_the_browser_signed_in(browser, settings):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-key-0123456789-abcdefghijklmnop"
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME].value
    assert who(browser) == "ada@example.org"
    assert who(browser) == "ada@example.org"
    # Not cycled: a request that is on its way with the same cookie must find its session.
    assert browser.cookies[settings.SESSION_COOKIE_NAME].value == cookie


def test_a_backend_that_is_no_longer_configured_signs_the_browser_out(browser, settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
    assert who(browser) == "AnonymousUser"


def test_a_backend_that_finds_its_users_differently_is_asked(user, statements, settings):
    path = f"{__name__}.ChoosyBackend"
    settings.AUTHENTICATION_BACKENDS = [path]
    client = Client()
    client.force_login(user, path)
    used(row())
    with statements() as asked:
        assert who(client) == "ada@example.org"
    assert asked == ["Django's session", "session joined with its user", "user"]


def test_a_backend_that_refuses_its_user_is_heard(browser, monkeypatch):
    monkeypatch.setattr(auth.backends.ModelBackend, "user_can_authenticate", lambda *_: False)
    assert who(browser) == "AnonymousUser"


class ChoosyBackend(auth.backends.ModelBackend):
    """A host's own way to find a user."""

    def get_user(self, user_id):
        return super().get_user(user_id)


def test_a_session_from_before_this_app_has_to_sign_in_again(browser):
    session = browser.session
    del session[cookies.SESSION_ID]
    session.save()
    assert who(browser) == "AnonymousUser"


@pytest.mark.parametrize("value", ["", "nonsense", "x" * 500, str(uuid.UUID(int=0)), "\x00"])
def test_a_damaged_reference_signs_the_browser_out(browser, value):
    session = browser.session
    session[cookies.SESSION_ID] = value
    session.save()
    assert who(browser) == "AnonymousUser"


def test_a_token_session_cannot_be_used_by_cookie(browser, pair):
    session = browser.session
    session[cookies.SESSION_ID] = str(pair.session.pk)
    session.save()
    assert who(browser) == "AnonymousUser"


def test_a_session_of_somebody_else_cannot_be_borrowed(browser, make_user):
    other = Client()
    other.force_login(make_user("bob@example.org"))
    session = browser.session
    session[cookies.SESSION_ID] = other.session[cookies.SESSION_ID]
    session.save()
    # Even where the password hashes are the same, and with them Django's hash of the session.
    get_user_model().objects.update(password=get_user_model().objects.first().password)
    session[auth.HASH_SESSION_KEY] = get_user_model().objects.first().get_session_auth_hash()
    session.save()
    assert who(browser) == "AnonymousUser"


def pass_time(minutes):
    """Age the row, as the database sees it."""
    names = ("created_at", "last_seen_at", "idle_expires_at", "expires_at")
    Session.objects.update(**{name: F(name) - timedelta(minutes=minutes) for name in names})


@pytest.mark.parametrize(("after", "seen"), [(59, "ada@example.org"), (61, "AnonymousUser")])
def test_a_cookie_session_lapses_after_an_idle_hour(browser, after, seen):
    pass_time(after)
    assert who(browser) == seen


def test_a_cookie_session_ends_after_half_a_day_however_busy(browser):
    for _ in range(1, 24):
        pass_time(30)
        assert who(browser) == "ada@example.org"
    pass_time(31)
    assert who(browser) == "AnonymousUser"


@override_settings(SESSION_ENGINE="django.contrib.sessions.backends.cache")
def test_sessions_in_the_cache_are_deleted_too(user, django_capture_on_commit_callbacks):
    client = Client()
    client.force_login(user)
    assert who(client) == "ada@example.org"
    with django_capture_on_commit_callbacks(execute=True):
        call_command("end_sessions", user="ada@example.org")
    assert not client.session.exists(client.cookies["__Host-session"].value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda sealed: b"",
        lambda sealed: b"\x01",
        lambda sealed: b"\x02" + sealed[1:],
        lambda sealed: sealed[:-1],
        lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]),
        lambda sealed: sealed[:8],
        lambda sealed: b"\x01\xff" + sealed[2:],
        lambda sealed: b"\x01\x02\xff\xfe" + sealed[4:],
    ],
)
def test_a_damaged_seal_opens_nothing(browser, damage):
    session = row()
    assert cookies.unseal(damage(bytes(session.sealed_cookie_key)), session.pk) is None


def test_an_admin_page_works_and_is_refused_once_the_row_is_over(make_user):
    admin = make_user("root@example.org", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(admin)
    address = "/admin/sessions_tracking/session/"
    assert client.get(address).status_code == 200
    services.end_sessions(user=admin, reason="test")
    answer = client.get(address)
    assert answer.status_code == 302
    assert "/admin/login/" in answer["Location"]


@pytest.mark.parametrize(
    ("sent", "given", "challenge"),
    [
        ({}, {}, 'Bearer realm="api"'),
        ({"HTTP_AUTHORIZATION": "Bearer x"}, {}, 'Bearer realm="api", error="invalid_token"'),
        ({}, {"WWW-Authenticate": "Basic"}, "Basic"),
    ],
)
def test_a_401_of_any_view_says_how_to_authenticate(rf, sent, given, challenge):
    answer = TrackedSessionMiddleware(lambda _: HttpResponse(status=401, headers=given))(
        rf.get("/", **sent)
    )
    assert answer["WWW-Authenticate"] == challenge


def test_other_answers_are_left_alone(rf):
    answer = TrackedSessionMiddleware(lambda _: HttpResponse(status=403))(rf.get("/"))
    assert "WWW-Authenticate" not in answer


def test_the_asynchronous_shell_does_the_same(browser):
    client = AsyncClient()
    client.cookies = browser.cookies

    @async_to_sync
    async def ask():
        return (await client.get("/who-async")).json()["user"]

    assert ask() == "ada@example.org"
    services.end_session(session_id=row().pk, reason="test")
    assert ask() == "AnonymousUser"
