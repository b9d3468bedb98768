"""The last passwords do not come back, and only who has proved who they are learns of them."""

from datetime import timedelta

import pytest
from django.contrib.auth.hashers import is_password_usable, make_password
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.errors import PasswordRejected
from accounts.forms import PasswordByStaffForm
from accounts.models import UsedPassword
from accounts.password import history
from accounts.password.hashers import GarrisonArgon2PasswordHasher
from accounts.services import (
    administration,
    change_password,
    check_credentials,
    conclude_password_set,
    reset_password,
)
from tests.accounts.conftest import PASSWORD, WRONG, mailed_code, post
from tests.accounts.test_password_change import change, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = ("amber", "birch", "cedar", "delta", "ember", "fern")
NEW = [f"walnut ferry 82 cobalt heron {word}" for word in WORDS]


def set_one_after_the_other(user, passwords):
    for before, after in zip([PASSWORD, *passwords], passwords, strict=False):
        change_password(user=user, current_password=before, new_password=after)


def test_none_of_the_last_five_is_taken_and_the_one_before_them_is(ada):
    set_one_after_the_other(ada, NEW[:5])
    for used in NEW[:5]:
        with pytest.raises(PasswordRejected) as refused:
            change_password(user=ada, current_password=NEW[4], new_password=used)
        assert [error.code for error in refused.value.errors] == ["reused"]
    change_password(user=ada, current_password=NEW[4], new_password=PASSWORD)
    assert UsedPassword.objects.filter(user=ada).count() == 5


def test_the_one_from_before_there_was_a_history_counts(ada):
    set_one_after_the_other(ada, NEW[:2])
    with pytest.raises(PasswordRejected):
        change_password(user=ada, current_password=NEW[1], new_password=PASSWORD)


def test_how_many_is_a_setting(ada, settings):
    settings.ACCOUNTS_PASSWORD_HISTORY = 2
    set_one_after_the_other(ada, NEW[:3])
    change_password(user=ada, current_password=NEW[2], new_password=PASSWORD)
    assert UsedPassword.objects.count() == 2
    settings.ACCOUNTS_PASSWORD_HISTORY = 0
    change_password(user=ada, current_password=PASSWORD, new_password=PASSWORD)
    assert UsedPassword.objects.count() == 1  # the date of the present one


def test_each_of_them_is_compared_whichever_it_is_and_no_more(ada, monkeypatch):
    set_one_after_the_other(ada, NEW)
    compared = []
    monkeypatch.setattr(
        history, "check_password", lambda _, encoded: compared.append(encoded) or True
    )
    ada.refresh_from_db()
    with pytest.raises(PasswordRejected):
        history.require_unused("whatever", account=ada)
    assert len(compared) == len(set(compared)) == 5


def test_a_used_one_is_told_to_nobody_who_does_not_know_the_present_one(ada, no_rate_limits):
    set_one_after_the_other(ada, NEW[:1])
    here, _ = signed_in(password=NEW[0])
    assert change(here, current=WRONG, new=PASSWORD).json()["code"] == "current_password_wrong"
    answer = change(here, current=NEW[0], new=PASSWORD).json()
    assert (answer["code"], answer["errors"][0]["code"]) == ("password_rejected", "reused")
    browser = Client()
    ada.refresh_from_db()
    ada.is_staff = True
    ada.save()
    browser.force_login(ada)
    fields = {"new_password1": PASSWORD, "new_password2": PASSWORD}
    for old, said in ((WRONG, False), (NEW[0], True)):
        page = browser.post(
            reverse("admin:password_change"), {"old_password": old, **fields}, secure=True
        )
        assert page.status_code == 200
        assert (b"last 5 passwords" in page.content) is said


def test_a_reset_refuses_it_and_the_code_stays_good(client, ada):
    post(client, "password/reset", email="ada@example.org")
    given = {"email": "ada@example.org", "code": mailed_code()}
    with pytest.raises(PasswordRejected) as refused:
        reset_password(new_password=PASSWORD, **given)
    assert [error.code for error in refused.value.errors] == ["reused"]
    reset_password(new_password=NEW[0], **given)
    assert UsedPassword.objects.filter(user=ada).count() == 2  # the one it replaced, too


def test_one_that_staff_set_is_noted_with_its_date(ada):
    ada.set_password(NEW[0])
    ada.save()
    conclude_password_set(user=ada)
    row = history.newest_of(ada)
    assert row is not None
    assert timezone.now() - row.set_at < timedelta(minutes=1)


def test_the_same_password_hashed_anew_keeps_its_date(ada, settings):
    set_one_after_the_other(ada, NEW[:1])
    set_at = UsedPassword.objects.latest("pk").set_at
    settings.PASSWORD_HASHERS = [
        "accounts.password.hashers.GarrisonArgon2PasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    assert make_password("x").startswith(GarrisonArgon2PasswordHasher.algorithm)
    account = check_credentials(login_name=ada.email, password=NEW[0])
    row = history.newest_of(account)
    assert row is not None
    assert row.set_at == set_at


def test_they_go_with_the_account(ada):
    set_one_after_the_other(ada, NEW[:2])
    ada.delete()
    assert not UsedPassword.objects.exists()


@pytest.mark.parametrize("most", [1, 5])
@pytest.mark.parametrize("how", ["send_reset", "form"])
def test_a_password_that_staff_end_does_not_come_back(ada, settings, most, how):
    """Nor where nobody had dated it, as after an upgrade."""
    settings.ACCOUNTS_PASSWORD_HISTORY = most
    if how == "send_reset":
        administration.send_reset(user=ada)
    else:
        form = PasswordByStaffForm(ada, {"password1": NEW[0], "password2": NEW[0]})
        assert form.is_valid(), form.errors
        form.save()
    ada.refresh_from_db()
    if how == "send_reset" or most > 1:
        with pytest.raises(PasswordRejected):
            history.require_unused(PASSWORD, account=ada)
    assert all(is_password_usable(row.encoded) for row in UsedPassword.objects.filter(user=ada))
