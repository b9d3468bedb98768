"""Devices an owner has signed in on before: no stranger's failures are counted there."""

import uuid
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import devices, lockout, services
from accounts.models import LockoutBucket, TrustedDevice
from accounts.services.cleaning import clean
from audit.models import SecurityEvent
from garrison.events import Severity
from tests.accounts.conftest import PASSWORD, WRONG, mailed_code, post

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_rate_limits")]

NEW = "fresh kelp orbit 88 plum"
ADA = "ada@example.org"
ADMIN_LOGIN = "/admin/login/"


def sign_in(client=None, *, token="", password=PASSWORD, email=ADA):
    body = {"email": email, "password": password, "device_token": token}
    return post(client or APIClient(), "login", **body)


def lock_out_strangers(email=ADA):
    for number in range(6):
        post(APIClient(REMOTE_ADDR=f"198.51.100.{number}"), "login", email=email, password=WRONG)


@pytest.fixture
def token(ada):
    return sign_in().json()["device_token"]


def test_strangers_lock_strangers_and_not_a_trusted_device(token):
    lock_out_strangers()
    assert sign_in().status_code == 429
    answer = sign_in(token=token)
    assert answer.status_code == 200
    assert answer.json()["device_token"] == token
    assert sign_in().status_code == 429, "the owner's sign-in opens nothing to strangers"


def test_failures_on_a_trusted_device_count_there_alone(token):
    statuses = [sign_in(token=token, password=WRONG).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    keys = LockoutBucket.objects.exclude(taken=0).exclude(key__startswith="lockout-mail:")
    assert [row.key for row in keys] == [
        lockout.account_key(ADA, device=TrustedDevice.objects.get().pk.hex)
    ]
    assert sign_in().status_code == 200


def forged(token):
    return token[:-1] + ("1" if token.endswith("0") else "0")


def of_another_id(token):
    return uuid.uuid4().hex + token[32:]


def foreign(token):
    get_user_model().objects.create_user(
        email="eve@example.org", password=PASSWORD, email_verified_at=timezone.now()
    )
    return sign_in(email="eve@example.org").json()["device_token"]


def revoked(token):
    TrustedDevice.objects.all().delete()
    return token


def expired(token):
    TrustedDevice.objects.update(expires_at=timezone.now())
    return token


def nonsense(token):
    return "\ufffd" * 128


@pytest.mark.parametrize("spoil", [forged, of_another_id, foreign, revoked, expired, nonsense])
def test_what_is_no_token_of_this_account_is_no_device(token, spoil):
    lock_out_strangers()
    without, with_it = sign_in(), sign_in(token=spoil(token))
    assert without.status_code == with_it.status_code == 429
    bodies = [answer.json() | {"request_id": ""} for answer in (without, with_it)]
    assert {body["code"] for body in bodies} == {"locked_out"}
    assert set(bodies[0]) == set(bodies[1])


def test_a_token_of_a_secret_that_was_replaced_is_good_while_it_falls_back(token, settings):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret of this site, which is long enough to be one"
    name = sign_in(token=token).json()
    assert TrustedDevice.objects.count() == 1
    assert name["device_token"] != token, "the next one is signed by the secret in use"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_browser_gets_it_as_a_cookie_that_no_script_reads(admin_user, settings, scheme):
    settings.SESSION_COOKIE_SECURE = scheme == "https"
    settings.ACCOUNTS_DEVICE_COOKIE_NAME = "__Host-trusted-device"
    get_user_model().objects.filter(pk=admin_user.pk).update(email_verified_at=timezone.now())
    browser = Client()
    fields = {"username": admin_user.email, "password": PASSWORD}
    answer = browser.post(ADMIN_LOGIN, fields)
    assert answer.status_code == 302
    cookie = answer.cookies["__Host-trusted-device"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert bool(cookie["secure"]) == (scheme == "https")
    assert not cookie["domain"]
    assert cookie["max-age"] == 180 * 86_400
    lock_out_strangers(admin_user.email)
    browser.cookies.pop(settings.SESSION_COOKIE_NAME)
    assert Client().post(ADMIN_LOGIN, fields).status_code == 200
    again = browser.post(ADMIN_LOGIN, fields)
    assert again.status_code == 302
    assert TrustedDevice.objects.count() == 1


def test_a_wrong_password_sets_no_cookie_and_trusts_nothing(ada):
    answer = sign_in(password=WRONG)
    assert "trusted_device" not in answer.cookies
    assert not TrustedDevice.objects.exists()


def signed_in():
    client = APIClient(HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux) Firefox/128.0")
    body = sign_in(client).json()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {body['access']}")
    return client, body["device_token"]


def test_an_owner_lists_and_revokes_their_own(token):
    client, mine = signed_in()
    rows = client.get("/api/auth/trusted-devices").json()
    assert [row["current"] for row in rows] == [True, False]
    assert rows[0]["device"] == "Firefox on Linux"
    assert not any(token[33:] in str(row) or mine[33:] in str(row) for row in rows)
    assert client.delete(f"/api/auth/trusted-devices/{rows[1]['id']}").status_code == 204
    again = client.delete(f"/api/auth/trusted-devices/{rows[1]['id']}")
    assert (again.status_code, again.json()["code"]) == (404, "device_not_found")
    lock_out_strangers()
    assert [sign_in(token=each).status_code for each in (token, mine)] == [429, 200]
    (event,) = SecurityEvent.objects.of_kinds(["accounts.device.revoked"])
    assert event.data == {"device": uuid.UUID(rows[1]["id"]).hex}


def test_nobody_revokes_another_persons(token):
    get_user_model().objects.create_user(
        email="eve@example.org", password=PASSWORD, email_verified_at=timezone.now()
    )
    eve = APIClient()
    access = sign_in(eve, email="eve@example.org").json()["access"]
    eve.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    other = devices.recognise(token, login_name=ADA)
    assert eve.delete(f"/api/auth/trusted-devices/{other.pk}").status_code == 404
    assert devices.recognise(token, login_name=ADA)


def test_staff_with_the_right_remove_them(token, admin_user):
    staff = Client()
    staff.force_login(admin_user)
    page = reverse("admin:accounts_trusteddevice_changelist")
    assert "ada@example.org" in staff.get(page).content.decode()
    chosen = {
        "action": "revoke",
        "_selected_action": [TrustedDevice.objects.get(user__email=ADA).pk],
    }
    assert staff.post(page, chosen).status_code == 302
    assert devices.recognise(token, login_name=ADA) is None


def change(client):
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert post(client, "password/change", **body).status_code == 204


def reset(client):
    post(client, "password/reset", email=ADA)
    client = APIClient()
    body = {"email": ADA, "code": mailed_code(), "new_password": NEW}
    assert post(client, "password/reset/confirm", **body).status_code == 204


def deactivate(client):
    services.set_active(user=get_user_model().objects.get(email=ADA), is_active=False)


@pytest.mark.parametrize(
    ("happens", "stays"),
    [(change, [False, True]), (reset, [False, False]), (deactivate, [False, False])],
)
def test_a_new_password_revokes_the_others_and_a_reset_all(token, happens, stays):
    client, mine = signed_in()
    happens(client)
    known = [devices.recognise(each, login_name=ADA) for each in (token, mine)]
    assert [device is not None for device in known] == stays


def test_the_device_used_longest_ago_is_out_and_expired_ones_are_cleaned(ada, settings):
    settings.ACCOUNTS_MOST_TRUSTED_DEVICES = 3
    now = timezone.now()
    tokens = []
    for day in range(5):
        with time_machine.travel(now + timedelta(days=day), tick=False):
            tokens.append(sign_in().json()["device_token"])
            if day == 3:
                sign_in(token=tokens[1])
    later = now + timedelta(days=4, hours=1)
    known = [devices.recognise(each, login_name=ADA, now=later) for each in tokens]
    assert [device is not None for device in known] == [False, True, False, True, True]
    with time_machine.travel(later, tick=False):
        assert clean()["devices"] == 2
    with time_machine.travel(later + timedelta(days=200), tick=False):
        assert clean()["devices"] == 3


def test_who_is_signed_in_changes_the_password_although_strangers_have_locked_it(token):
    client, _ = signed_in()
    lock_out_strangers()
    change(client)


def test_guesses_in_a_stolen_session_lock_no_one_else(token):
    client, _ = signed_in()
    body = {"current_password": WRONG, "new_password": NEW}
    statuses = [post(client, "password/change", **body).status_code for _ in range(6)]
    assert statuses == [400] * 5 + [429]
    assert sign_in().status_code == 200
    assert not [m for m in mail.outbox if "signing in" in m.subject]


def test_unlocking_an_account_unlocks_its_devices_too(token):
    for _ in range(5):
        sign_in(token=token, password=WRONG)
    assert sign_in(token=token).status_code == 429
    assert services.unlock_account(login_name=ADA)
    assert sign_in(token=token).status_code == 200


def test_a_full_site_refuses_strangers_for_a_quarter_of_an_hour_and_no_trusted_device(
    token, settings
):
    settings.ACCOUNTS_LOCKOUT_SITE_FAILURES = 8
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        for lock in range(3):
            for number in range(9):
                sign_in(email=f"user{lock}{number}@example.org", password=WRONG)
            refused = sign_in(APIClient(REMOTE_ADDR="203.0.113.200"))
            assert (refused.status_code, refused.json()["code"]) == (429, "locked_out")
            assert 0 < int(refused.headers["Retry-After"]) <= 900, "never longer"
            assert sign_in(token=token).status_code == 200
            clock.shift(timedelta(seconds=901))
            assert sign_in(APIClient(REMOTE_ADDR="203.0.113.200")).status_code == 200
            clock.shift(timedelta(seconds=901))
    started = SecurityEvent.objects.of_kinds(["accounts.lockout.started"])
    assert [event.severity for event in started.filter(target="site")] == [Severity.HIGH] * 3
