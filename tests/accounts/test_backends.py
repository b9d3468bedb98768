"""Django's own door: the same lockout, the same answers, and a reason that a form may tell."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import aauthenticate, authenticate
from django.core.exceptions import PermissionDenied

from accounts.backends import AccountsBackend, refusal_of
from accounts.errors import EmailUnverified, InvalidCredentials, LockedOut
from tests.accounts.conftest import PASSWORD, WRONG

pytestmark = pytest.mark.django_db


def test_the_right_password_gives_the_user(ada, rf):
    assert authenticate(rf.post("/"), username="ADA@example.org", password=PASSWORD) == ada
    assert authenticate(rf.post("/"), email="ada@example.org", password=PASSWORD) == ada


def test_it_needs_no_request(ada):
    assert authenticate(username="ada@example.org", password=PASSWORD) == ada
    assert authenticate(username="ada@example.org", password=WRONG) is None


@pytest.mark.parametrize("incomplete", [{}, {"username": "a"}, {"password": "a"}, {"token": "a"}])
def test_credentials_of_another_kind_are_left_to_other_backends(ada, incomplete):
    assert AccountsBackend().authenticate(None, **incomplete) is None


def test_why_it_refused_is_left_on_the_request(ada, rf):
    request = rf.post("/")
    assert refusal_of(request) is None
    assert authenticate(request, username="ada@example.org", password=WRONG) is None
    assert isinstance(refusal_of(request), InvalidCredentials)


def test_a_lock_stops_the_backends_after_it(ada, rf):
    for _ in range(5):
        authenticate(rf.post("/"), username="ada@example.org", password=WRONG)
    request = rf.post("/")
    with pytest.raises(PermissionDenied):
        AccountsBackend().authenticate(request, username="ada@example.org", password=PASSWORD)
    assert isinstance(refusal_of(request), LockedOut)
    assert authenticate(rf.post("/"), username="ada@example.org", password=PASSWORD) is None


def test_an_unverified_address_stops_at_this_door_too(ada, rf):
    ada.email_verified_at = None
    ada.save()
    request = rf.post("/")
    assert authenticate(request, username="ada@example.org", password=PASSWORD) is None
    assert isinstance(refusal_of(request), EmailUnverified)


@pytest.mark.django_db(transaction=True)
def test_the_asynchronous_door_goes_through_the_same_lockout(ada, rf):
    @async_to_sync
    async def attempt(password):
        return await aauthenticate(rf.post("/"), username="ada@example.org", password=password)

    assert attempt(PASSWORD) == ada
    for _ in range(5):
        assert attempt(WRONG) is None
    assert attempt(PASSWORD) is None


def test_it_knows_permissions_as_djangos_does(ada):
    assert not ada.has_perm("accounts.view_user")
    ada.is_superuser = True
    assert ada.has_perm("accounts.view_user")
