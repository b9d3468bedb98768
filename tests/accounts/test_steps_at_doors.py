"""The same steps at the admin's form, at Django's own door and in host code."""

import pytest
from django.conf import settings
from django.contrib.auth import authenticate
from django.test import Client
from django.urls import reverse

from accounts import lockout
from accounts.backends import refusal_of
from accounts.errors import StepRequired
from accounts.models import PendingSignIn
from accounts.services import (
    check_credentials,
    continue_sign_in,
    sign_in,
)
from audit.models import SecurityEvent
from sessions_tracking.models import Session
from tests.accounts.conftest import PASSWORD, WRONG
from tests.accounts.half_done import (
    COLOUR,
    LOGIN,
    NUMBER,
    VERIFIED,
    reasons,
    submit,
    taken,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("asks_for_a_colour")]


def test_the_admins_form_asks_and_its_answer_signs_in(admin_user):
    browser = Client()
    key = lockout.account_key(admin_user.email)
    page = submit(browser, username=admin_user.email, password=PASSWORD)
    assert page.status_code == 200
    assert 'name="answer"' in page.content.decode()
    assert 'name="password"' not in page.content.decode()
    assert taken(key) == 1
    assert 'name="answer"' in browser.get(LOGIN, secure=True).content.decode()
    wrong = submit(browser, answer="red")
    assert "The answer is not right" in wrong.content.decode()
    assert "value=" not in wrong.context["form"]["answer"].as_widget()
    assert submit(browser, answer="green").status_code == 302
    assert Session.objects.get().amr == ["pwd", "kba"]
    (event,) = SecurityEvent.objects.of_kinds(["accounts.login.succeeded"])
    assert event.data == {"methods": ["pwd", "kba"], "kind": "cookie"}
    assert taken(key) == 0
    assert not PendingSignIn.objects.exists()
    assert browser.get(reverse("admin:index"), secure=True).status_code == 200


def test_the_admins_form_asks_two_steps_and_lets_choose_the_method(admin_user, settings):
    settings.ACCOUNTS_SIGN_IN_STEPS = [NUMBER, COLOUR]
    browser = Client()
    page = submit(browser, username=admin_user.email, password=PASSWORD)
    assert "<option" in page.content.decode()
    page = submit(browser, method="word", answer="seven")
    assert page.context["form"].methods == ["colour"]
    assert submit(browser, answer="green").status_code == 302
    assert Session.objects.get().amr == ["pwd", "otp", "kba"]


def test_a_method_that_the_form_does_not_offer_spends_nothing(admin_user):
    """The same question again: the answer beside it was right, and may be needed."""
    browser = Client()
    submit(browser, username=admin_user.email, password=PASSWORD)
    page = submit(browser, method="nonsense", answer="green")
    assert page.context["form"].methods == ["colour"]
    assert "not one of the available choices" in page.content.decode()
    assert submit(browser, answer="green").status_code == 302


def test_a_session_that_a_stranger_has_planted_does_not_share_the_half_done_sign_in(admin_user):
    browser, stranger = Client(), Client()
    session = browser.session
    session.save()
    stranger.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    submit(browser, username=admin_user.email, password=PASSWORD)
    assert 'name="password"' in stranger.get(LOGIN, secure=True).content.decode()
    assert submit(browser, answer="green").status_code == 302


def test_to_be_asked_is_no_error_and_to_be_wrong_is_one(admin_user):
    browser = Client()
    asked = submit(browser, username=admin_user.email, password=PASSWORD).content.decode()
    wrong = submit(browser, answer="red").content.decode()
    assert ("step-notice" in asked, "errornote" in asked) == (True, False)
    assert ("step-notice" in wrong, "errornote" in wrong) == (False, True)
    assert "accounts/sign_in.css" in asked


def test_another_browser_cannot_go_on_and_one_can_start_again(admin_user):
    browser = Client()
    submit(browser, username=admin_user.email, password=PASSWORD)
    assert "This field is required" in submit(Client(), answer="green").content.decode()
    page = submit(browser, start_again="1")
    assert 'name="password"' in page.content.decode()
    assert "errornote" not in page.content.decode()
    assert 'name="password"' in browser.get(LOGIN, secure=True).content.decode()


def test_a_half_done_sign_in_that_is_over_leads_back_to_the_password(admin_user):
    browser = Client()
    submit(browser, username=admin_user.email, password=PASSWORD)
    PendingSignIn.objects.all().delete()
    page = submit(browser, answer="green")
    assert "begin again" in page.content.decode()
    assert 'name="password"' in page.content.decode()


@pytest.mark.parametrize("steps", [[VERIFIED], [VERIFIED, COLOUR]])
def test_the_right_password_of_somebody_who_is_no_staff_clears_nothing_and_is_an_event(
    ada, settings, steps
):
    settings.ACCOUNTS_SIGN_IN_STEPS = steps
    browser = Client()
    submit(browser, username=ada.email, password=WRONG)
    wrong = submit(browser, username=ada.email, password=WRONG).content.decode()
    page = submit(browser, username=ada.email, password=PASSWORD)
    if COLOUR in steps:
        page = submit(browser, answer="green")
    assert page.status_code == 200
    assert page.context["form"].non_field_errors()[0] in wrong  # the one sentence
    assert reasons() == ["wrong_password", "wrong_password", "refused"]
    assert taken() == 3
    assert "_auth_user_id" not in browser.session


def test_the_door_of_django_refuses_what_it_cannot_ask(ada, rf):
    request = rf.post("/")
    assert authenticate(request, username="ada@example.org", password=PASSWORD) is None
    refusal = refusal_of(request)
    assert isinstance(refusal, StepRequired)
    assert taken() == 1
    done = continue_sign_in(token=refusal.token, method="colour", answer="green")
    assert done.session.user == ada
    assert taken() == 0


def test_host_code_has_the_same_steps(ada):
    with pytest.raises(StepRequired) as required:
        sign_in(login_name="ada@example.org", password=PASSWORD)
    with pytest.raises(StepRequired):
        check_credentials(login_name="ada@example.org", password=PASSWORD)
    assert "token" not in repr(required.value)
    assert continue_sign_in(token=required.value.token, method="colour", answer="green").access
