"""Changing one's own password: by API and in the admin, with the same consequences."""

from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.errors import CurrentPasswordWrong
from accounts.models import MailedCode
from accounts.services import prove_password, set_own_password, sign_in
from audit.models import SecurityEvent
from sessions_tracking.models import Session
from tests.accounts.conftest import PASSWORD, WRONG, post

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "walnut ferry 82 cobalt heron"


def signed_in(email="ada@example.org", password=PASSWORD):
    tokens = sign_in(login_name=email, password=password)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.access}")
    return client, tokens.session


def change(client, current=PASSWORD, new=NEW):
    return post(client, "password/change", current_password=current, new_password=new)


def alive():
    return set(Session.objects.alive(now=timezone.now()).values_list("pk", flat=True))


def kinds():
    return list(SecurityEvent.objects.values_list("kind", flat=True))


def test_the_session_that_asks_is_the_only_one_left(ada):
    here, session = signed_in()
    signed_in()
    assert change(here).status_code == 204
    assert alive() == {session.pk}
    assert here.get("/api/auth/me").status_code == 200
    ada.refresh_from_db()
    assert ada.check_password(NEW)
    event = SecurityEvent.objects.of_kinds(["accounts.password.changed"]).get()
    assert (event.target, event.actor_id) == (f"user:{ada.pk}", str(ada.pk))
    assert event.session_id == str(session.pk)


def test_the_owner_is_mailed_how_it_was_changed(ada):
    here, _ = signed_in()
    change(here)
    (told,) = mail.outbox
    assert told.to == ["ada@example.org"]
    assert "signed in and knew the old one" in told.body
    assert "mailed to you" not in told.body


def test_a_mailed_code_for_a_reset_is_void_afterwards(ada):
    post(APIClient(), "password/reset", email="ada@example.org")
    assert MailedCode.objects.count() == 1
    here, _ = signed_in()
    change(here)
    assert not MailedCode.objects.exists()


@pytest.mark.parametrize(("new", "code"), [("short", "length"), ("password1234", "guessable")])
def test_a_weak_one_is_refused_before_the_present_one_is_looked_at(ada, new, code):
    here, _ = signed_in()
    answer = change(here, current=WRONG, new=new)
    assert answer.status_code == 400
    assert answer.json()["code"] == "password_rejected"
    assert code in {error["code"] for error in answer.json()["errors"]}
    assert "accounts.login.failed" not in kinds()


def test_a_wrong_present_password_is_a_400_and_counts_like_a_failed_sign_in(ada, no_rate_limits):
    here, _ = signed_in()
    answers = [change(here, current=WRONG) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert {answer.json()["code"] for answer in answers[:5]} == {"current_password_wrong"}
    assert answers[5].json()["code"] == "locked_out"
    assert int(answers[5].headers["Retry-After"]) > 0
    assert kinds().count("accounts.login.failed") == 6
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_guesses_come_under_the_limit_of_sign_ins(ada, settings):
    settings.RATE_LIMITING_FACTOR = 1
    settings.RATE_LIMITS = {"auth": ["2/h"]}
    here, _ = signed_in()
    answers = [change(here, current=WRONG).status_code for _ in range(3)]
    assert answers == [400, 400, 429]


def test_nobody_else_changes_it(ada):
    assert change(APIClient()).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"current_password": PASSWORD},
        {"current_password": [PASSWORD], "new_password": NEW},
        {"current_password": PASSWORD, "new_password": NEW, "user": 1},
        {"current_password": PASSWORD, "new_password": "x" * 2000},
    ],
)
def test_a_malformed_body_is_a_400_and_changes_nothing(ada, body):
    here, _ = signed_in()
    assert post(here, "password/change", **body).status_code == 400
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_of_two_changes_by_the_same_proof_one_is_made(ada):
    proofs = [prove_password(user=ada, password=PASSWORD) for _ in range(2)]
    set_own_password(proved=proofs[0], new_password=NEW)
    with pytest.raises(CurrentPasswordWrong):
        set_own_password(proved=proofs[1], new_password="another one 93 of amber")
    ada.refresh_from_db()
    assert ada.check_password(NEW)


# --- in the admin -------------------------------------------------------------------------------


@pytest.fixture
def browser(admin_user):
    client = Client()
    assert client.login(username="root@example.org", password=PASSWORD)
    return client


def submit(browser, current=PASSWORD, new=NEW):
    fields = {"old_password": current, "new_password1": new, "new_password2": new}
    return browser.post(reverse("admin:password_change"), fields)


def test_in_the_admin_other_sessions_end_and_the_browser_stays(browser, admin_user):
    get_user_model().objects.filter(pk=admin_user.pk).update(email_verified_at=timezone.now())
    elsewhere, _ = signed_in("root@example.org")
    assert submit(browser).status_code == 302
    assert elsewhere.get("/api/auth/me").status_code == 401
    assert browser.get(reverse("admin:index")).status_code == 200
    assert "accounts.password.changed" in kinds()
    admin_user.refresh_from_db()
    assert admin_user.check_password(NEW)


def test_in_the_admin_a_wrong_one_is_told_and_counts(browser, admin_user, no_rate_limits):
    page = submit(browser, current=WRONG)
    assert page.status_code == 200
    assert page.context["form"].errors["old_password"] == ["The current password is not right."]
    for _ in range(4):
        page = submit(browser, current=WRONG)
    page = submit(browser)  # right, and too late
    assert "Too many failed sign-ins" in page.context["form"].errors["old_password"][0]
    admin_user.refresh_from_db()
    assert admin_user.check_password(PASSWORD)


def test_in_the_admin_a_weak_one_is_told_on_the_form(browser, admin_user):
    page = submit(browser, new="password1234")
    assert page.context["form"].errors["new_password2"]
    admin_user.refresh_from_db()
    assert admin_user.check_password(PASSWORD)


def test_in_the_admin_guesses_are_limited(browser, settings):
    settings.RATE_LIMITING_FACTOR = 1
    settings.RATE_LIMITS = {"auth": ["2/h"]}
    answers = [submit(browser, current=WRONG).status_code for _ in range(3)]
    assert answers == [200, 200, 429]


@pytest.mark.parametrize("typed", ["ada@example.org", "ADA@Example.org"])
def test_a_password_set_by_the_command_ends_sessions_and_is_mailed(ada, monkeypatch, typed):
    client, _ = signed_in()
    monkeypatch.setattr("getpass.getpass", lambda prompt: NEW)
    call_command("changepassword", typed, stdout=StringIO())
    ada.refresh_from_db()
    assert ada.check_password(NEW)
    assert client.get("/api/auth/me").status_code == 401
    (event,) = SecurityEvent.objects.of_kinds(["accounts.password.set_by_staff"])
    assert event.target == f"user:{ada.pk}"
    assert mail.outbox[-1].to == [ada.email]
