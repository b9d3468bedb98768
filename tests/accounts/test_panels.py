"""What the security officer sees of signing in."""

import pytest
from django.test import Client
from django.utils import timezone

from accounts.panels import FailedSignIns, LockedAccounts, locked_accounts
from garrison import panels
from tests.accounts.conftest import PASSWORD, WRONG, post

pytestmark = pytest.mark.django_db


def window():
    return panels.window("24h", now=timezone.now() + timezone.timedelta(seconds=5))


@pytest.fixture
def page(admin_user):
    """Read the dashboard as an administrator."""
    client = Client()
    client.force_login(admin_user)

    def read():
        response = client.get("/admin/", secure=True)
        assert response.status_code == 200
        return response.content.decode()

    return read


def test_all_ten_of_ten_wrong_logins_are_among_the_newest(client, ada, rf):
    """Five were looked at, and five were refused by the rate limit before that."""
    post(client, "verify-email/resend", email="ada@example.org")
    for _ in range(10):
        post(client, "login", email="ada@example.org", password=WRONG)
    shown = FailedSignIns().context(request=rf.get("/"), window=window())
    assert [row["reason"] for row in shown["rows"]] == ["too many requests"] * 5 + [
        "wrong password"
    ] * 3
    assert sum(shown["chart"]["series"][0]["values"]) == 5
    assert shown["rows"][-1]["account"] == "ada@example.org"
    assert shown["rows"][0]["account"] is None


def test_refusals_at_other_doors_are_not_failed_sign_ins(client, ada, rf):
    for _ in range(7):
        post(client, "verify-email/resend", email="ada@example.org")
    assert FailedSignIns().context(request=rf.get("/"), window=window())["rows"] == []


def test_the_panels_cost_few_queries_whatever_happened(
    client, ada, rf, no_rate_limits, django_assert_max_num_queries
):
    for number in range(30):
        post(client, "login", email=f"user{number % 7}@example.org", password=WRONG)
    with django_assert_max_num_queries(6):  # three of the counts, which the page asks once
        shown = FailedSignIns().context(request=rf.get("/"), window=window())
        locked = LockedAccounts().context(request=rf.get("/"), window=window())
        assert locked_accounts(window()) == 2
    assert len(shown["rows"]) == 8
    assert len(locked["rows"]) == 2


def test_the_dashboard_shows_who_failed_and_what_is_locked(client, ada, page, no_rate_limits):
    for name in ("ada@example.org", "nobody@example.org"):
        for _ in range(6):
            post(client, "login", email=name, password=WRONG)
    text = page()
    assert 'id="panel-failed-sign-ins"' in text
    assert 'id="panel-locked-accounts"' in text
    assert "ada@example.org" in text
    assert "no account (" in text
    assert "nobody@example.org" not in text
    assert locked_accounts(window()) == 2


def test_the_dashboard_says_when_there_is_nothing(page):
    text = page()
    assert "Nobody failed to sign in." in text
    assert "Nothing is locked." in text


def test_what_was_typed_cannot_break_the_page(client, page, no_rate_limits):
    for name in ("<script>alert(1)</script>", "a&b@example.org"):
        post(client, "login", email=name, password=PASSWORD)
    assert "<script>alert(1)" not in page()
