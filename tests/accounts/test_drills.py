"""After a restore, people can sign in; the drill says how many could."""

import pytest

from accounts.drills import people_can_sign_in
from accounts.models import User
from garrison import drills
from garrison.drills import Restored

pytestmark = pytest.mark.django_db


def test_the_drill_is_registered():
    assert drills.DRILLS["accounts"] is people_can_sign_in


def test_whole_accounts_are_whole(ada, admin_user):
    User.objects.create_user(email="no-password@example.org")
    found = people_can_sign_in(Restored(using="default"))
    assert (found.is_whole, found.looked_at) == (True, 3)


@pytest.mark.parametrize("damage", ["", "sha0$salt$hash", "garbage"])
def test_a_damaged_hash_is_found(ada, damage):
    User.objects.filter(pk=ada.pk).update(password=damage)
    found = people_can_sign_in(Restored(using="default"))
    assert not found.is_whole
    assert found.detail == "0 of 1 accounts could sign in."
    assert "sha0" not in found.detail


def test_an_empty_table_is_whole():
    assert people_can_sign_in(Restored(using="default")).looked_at == 0
