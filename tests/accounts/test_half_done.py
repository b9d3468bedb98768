"""What a half-done sign-in is bound to, and what voids it."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import codes
from accounts.forms import PasswordByStaffForm
from accounts.models import PendingSignIn
from accounts.models.mailed_code import Purpose
from accounts.services import (
    reset_password,
    set_active,
    set_own_password,
)
from sessions_tracking.models import Session
from tests.accounts.conftest import post
from tests.accounts.half_done import (
    COLOUR,
    NUMBER,
    VERIFIED,
    begin,
    go_on,
    reasons,
    taken,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("asks_for_a_colour")]

NEW = "lantern gravel 82 otter"


@pytest.mark.parametrize(
    "moved", [{"HTTP_USER_AGENT": "another browser"}, {"REMOTE_ADDR": "203.0.113.9"}]
)
def test_it_is_bound_to_device_and_network(client, ada, moved):
    token = begin(client)["mfa_token"]
    elsewhere = APIClient(**moved)
    assert go_on(elsewhere, token).json()["code"] == "mfa_token_invalid"
    assert reasons() == ["moved"]
    assert go_on(client, token).status_code == 200  # a thief does not end it for its owner


def test_an_ipv6_network_is_its_64(ada):
    token = begin(APIClient(REMOTE_ADDR="2001:db8::1"))["mfa_token"]
    assert go_on(APIClient(REMOTE_ADDR="2001:db8::2"), token).status_code == 200


def test_a_changed_password_voids_it(client, ada):
    token = begin(client)["mfa_token"]
    ada.set_password("walnut ferry 82 cobalt heron")
    ada.save()
    assert go_on(client, token).json()["code"] == "mfa_token_invalid"
    assert reasons() == ["changed"]


def test_an_account_that_was_deactivated_or_deleted_does_not_go_on(client, ada):
    tokens = [begin(client)["mfa_token"] for _ in range(2)]
    set_active(user=ada, is_active=False)
    assert go_on(client, tokens[0]).status_code == 401
    ada.delete()
    assert go_on(client, tokens[1]).status_code == 401
    assert not PendingSignIn.objects.exists()


def reset(user):
    code = codes.issue(user_id=user.pk, purpose=Purpose.RESET_PASSWORD, now=timezone.now())
    reset_password(email=user.email, code=code, new_password=NEW)


def change(user):
    set_own_password(proved=user, new_password=NEW)


def set_by_staff(user):
    form = PasswordByStaffForm(user, {"password1": NEW, "password2": NEW, "set-password": "1"})
    assert form.is_valid(), form.errors
    form.save()


@pytest.mark.parametrize("new_password", [reset, change, set_by_staff])
def test_half_done_sign_ins_of_an_old_password_hold_no_place_after_a_new_one(
    client, ada, new_password
):
    for _ in range(4):
        begin(client)
    new_password(ada)
    answer = post(client, "login", email="ada@example.org", password=NEW)
    assert go_on(client, answer.json()["mfa_token"]).status_code == 200
    assert taken() == 0


def deactivate(user):
    set_active(user=user, is_active=False)


def deactivate_in_code(user):
    user.is_active = False
    user.save()


@pytest.mark.parametrize("end", [deactivate, deactivate_in_code])
def test_a_half_done_sign_in_does_not_outlive_a_deactivation_that_is_taken_back(client, ada, end):
    token = begin(client)["mfa_token"]
    end(ada)
    set_active(user=ada, is_active=True)
    assert go_on(client, token).json()["code"] == "mfa_token_invalid"
    assert not Session.objects.exists()


def test_its_token_is_no_other_and_no_other_is_its(client, ada):
    token = begin(client)["mfa_token"]
    bearer = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert bearer.get("/api/auth/me").status_code == 401
    assert post(client, "refresh", refresh=token).status_code == 401
    pair = go_on(client, token).json()
    for other in (pair["access"], pair["refresh"], token, "x", "🔑", str(uuid.uuid4())):
        assert go_on(client, other[:64]).json()["code"] == "mfa_token_invalid"
    assert token not in str(PendingSignIn.objects.values())
    assert Session.objects.count() == 1


def test_a_method_that_was_not_named_is_a_wrong_answer_and_earns_no_further_tries(client, ada):
    token = begin(client)["mfa_token"]
    for _ in range(5):
        answer = go_on(client, token, method="totp")
        assert (answer.status_code, answer.json()["code"]) == (401, "code_invalid")
    assert go_on(client, token).json()["code"] == "mfa_token_invalid"
    assert PendingSignIn.objects.count() == 1


def test_two_steps_are_asked_one_after_the_other_in_the_minutes_of_the_first(
    client, ada, settings, time_machine
):
    settings.ACCOUNTS_SIGN_IN_STEPS = [VERIFIED, COLOUR, NUMBER]
    time_machine.move_to(timezone.now(), tick=False)
    first = begin(client)["mfa_token"]
    time_machine.shift(timedelta(minutes=4))
    second = go_on(client, first).json()
    assert second["methods"] == ["number", "word"]
    assert go_on(client, first).json()["code"] == "mfa_token_invalid"  # it went on already
    assert taken() == 1
    answer = go_on(client, second["mfa_token"], "seven", method="word")
    assert answer.status_code == 200
    assert Session.objects.get().amr == ["pwd", "kba", "otp"]
    assert taken() == 0
    third = begin(client)["mfa_token"]
    time_machine.shift(timedelta(minutes=4))
    late = go_on(client, third).json()["mfa_token"]
    time_machine.shift(timedelta(minutes=1))
    assert go_on(client, late, "seven", method="word").status_code == 401


def test_one_that_has_expired_holds_no_place_after_a_completion(client, ada, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    begin(client)
    time_machine.shift(timedelta(minutes=5))
    assert go_on(client, begin(client)["mfa_token"]).status_code == 200
    assert taken() == 0


def test_answers_of_any_kind_are_no_crash(client, ada):
    token = begin(client)["mfa_token"]
    for code in ("\0", "x" * 1025, "", 7, None):
        assert go_on(client, token, code).status_code == 400
    assert go_on(client, "x" * 65).status_code == 400
    assert go_on(client, token, method="m" * 33).status_code == 400
