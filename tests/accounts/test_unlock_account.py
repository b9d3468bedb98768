"""``manage.py unlock_account``."""

import json

import pytest
from django.core.management import CommandError, call_command

from accounts.models import LockoutBucket
from audit.models import SecurityEvent
from tests.accounts.conftest import PASSWORD, WRONG, post

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_rate_limits")]


@pytest.fixture
def locked(client, ada):
    for _ in range(6):
        response = post(client, "login", email="ada@example.org", password=WRONG)
    assert response.status_code == 429


def run(capsys, *arguments):
    call_command("unlock_account", *arguments)
    return capsys.readouterr().out


def test_an_account_is_unlocked_in_any_spelling(client, locked, capsys):
    assert "is unlocked" in run(capsys, "ADA@example.org")
    assert post(client, "login", email="ada@example.org", password=PASSWORD).status_code == 200
    (event,) = SecurityEvent.objects.of_kinds(["accounts.account.unlocked"])
    assert event.target.startswith("user:")


def test_an_address_is_unlocked(locked, capsys):
    assert json.loads(run(capsys, "--address", "127.0.0.1", "--json")) == {
        "unlocked": "127.0.0.1",
        "had_failures": True,
    }
    assert not LockoutBucket.objects.filter(key="address:127.0.0.1").exists()


def test_an_account_that_is_not_locked_is_told_so(ada, capsys):
    assert "was not locked" in run(capsys, "ada@example.org")
    assert not SecurityEvent.objects.of_kinds(["accounts.account.unlocked"]).exists()


@pytest.mark.parametrize(
    "arguments", [["nobody@example.org"], ["--address", "x"], [], ["a@b.org", "--address", "::1"]]
)
def test_what_it_cannot_do_fails(db, arguments):
    with pytest.raises(CommandError):
        call_command("unlock_account", *arguments)
