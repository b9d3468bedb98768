"""Every hashing slot is taken: 503 at once at every door, and whoever came loses nothing by it."""

import pytest
from django.test import Client
from django.utils import timezone

from accounts import codes
from accounts.models import LockoutBucket, MailedCode
from accounts.models.mailed_code import Purpose
from audit.models import SecurityEvent
from tests.accounts.conftest import PASSWORD, WRONG, post
from tests.accounts.threads import slots_taken

pytestmark = pytest.mark.django_db
NEW = "a quite different one 83 lamp"


@pytest.fixture
def busy(settings, ada):
    """Ada has a code for a reset when the only slot is taken."""
    code = codes.issue(user_id=ada.pk, purpose=Purpose.RESET_PASSWORD, now=timezone.now())
    settings.ACCOUNTS_HASHING_SLOTS = 1
    with slots_taken(1):
        yield code


DOORS = {
    "login": {"email": "ada@example.org", "password": WRONG},
    "login ": {"email": "nobody@example.org", "password": WRONG},
    "register": {"email": "new@example.org", "password": NEW, "name": "New"},
    "password/reset/confirm": {"email": "ada@example.org", "new_password": NEW},
    "password/change": {"current_password": WRONG, "new_password": NEW},
}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_answers_503_at_once_as_often_as_one_asks(busy, ada, client, door):
    """More often than a rate limit with its refunds, a bucket, or a code would allow."""
    client.force_authenticate(ada if door == "password/change" else None)
    body = DOORS[door] | ({"code": busy} if "confirm" in door else {})
    events = SecurityEvent.objects.count()
    for _ in range(16):
        answer = post(client, door.strip(), **body)
        assert (answer.status_code, answer.json()["code"]) == (503, "busy"), answer.json()
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Retry-After"] == "1"
    assert SecurityEvent.objects.count() == events
    assert not LockoutBucket.objects.accounts().exists()
    assert MailedCode.objects.get().tries == 0


@pytest.mark.parametrize("door", ["login", "password_change"])
def test_the_admin_s_doors_answer_503_as_often(busy, ada, client, door):
    ada.is_staff = ada.is_superuser = True
    ada.save()
    browser = Client()
    if door == "password_change":
        browser.force_login(ada)
    form = {"username": ada.email, "password": PASSWORD}
    form |= {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    for _ in range(16):
        page = browser.post(f"/admin/{door}/", form, headers={"Accept": "text/html"})
        assert (page.status_code, page["Content-Type"]) == (503, "text/html; charset=utf-8")
        assert page.headers["Retry-After"]
        assert "Too many passwords are being checked at this moment" in page.content.decode()
    assert not LockoutBucket.objects.accounts().exists()
