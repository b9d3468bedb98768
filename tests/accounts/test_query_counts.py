"""What each door costs in the database, statement by statement."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import mails
from tests.accounts.conftest import PASSWORD, WRONG, post

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = (
    (r"INSERT INTO .?accounts_lockoutbucket.* SELECT COUNT", "clear"),
    (r"INSERT INTO .?accounts_lockoutbucket", "reserve"),
    (r"UPDATE .?accounts_lockoutbucket.* SET .?taken", "release"),
    (r"UPDATE .?accounts_lockoutbucket", "lock"),
    (r"SELECT .*FROM .?accounts_lockoutbucket", "ask how long it is locked"),
    (r"SELECT .*FROM .?accounts_trusteddevice", "find the device and its account"),
    (r"INSERT INTO .?accounts_trusteddevice", "trust the device"),
    (r"UPDATE .?accounts_trusteddevice", "trust the device for longer"),
    (r"INSERT INTO .?accounts_outgoingmail", "leave a mail"),
    (r"SELECT .*FROM .?accounts_user", "find the account"),
    (r"SELECT .*FROM .?accounts_usedpassword", "ask how old the password is"),
    (r"UPDATE .?accounts_user.* SET .?last_login", "note the sign-in"),
    (r"UPDATE .?axes_accessattempt", "axes: count the failure"),
    (r"INSERT INTO .?axes_accessattempt", "axes: begin a record"),
    (r"(SELECT|DELETE) .*axes_accessattempt", "axes: forget"),
    (r"INSERT INTO .?sessions_tracking_session", "start the session"),
    (r"UPDATE .?sessions_tracking_session", "end excess sessions"),
    (r"INSERT INTO .?audit_securityevent", "store the event"),
    (r"^SAVEPOINT", "savepoint"),
    (r"^RELEASE", "release savepoint"),
    (r"^BEGIN", "begin"),
    (r"^COMMIT", "commit"),
)


def name_of(sql: str) -> str:
    flat = " ".join(sql.split())
    return next((name for pattern, name in NAMES if re.search(pattern, flat)), flat)


def statements_of(client, **body):
    with CaptureQueriesContext(connection) as captured:
        response = post(client, "login", **body)
    return response, [name_of(query["sql"]) for query in captured]


@pytest.mark.parametrize("is_trusted", [False, True])
def test_a_successful_login_takes_thirteen_statements_of_which_four_are_the_transaction(
    client, ada, is_trusted
):
    """A device's row comes with its account, so that a known one costs no statement more."""
    post(client, "login", email="ada@example.org", password=PASSWORD)  # which dates the password
    if not is_trusted:
        client.cookies.clear()
    response, names = statements_of(client, email="ada@example.org", password=PASSWORD)
    assert response.status_code == 200
    find = ["find the device and its account", "reserve"] if is_trusted else []
    assert names == [
        *(find or ["reserve", "find the account"]),
        "ask how old the password is",
        "begin",
        "note the sign-in",
        "start the session",
        "end excess sessions",
        "trust the device for longer" if is_trusted else "trust the device",
        "savepoint",
        "store the event",
        "release savepoint",
        "commit",
        "clear",
    ]


def test_a_wrong_password_after_the_first_takes_six(client, ada):
    post(client, "login", email="ada@example.org", password=WRONG)
    response, names = statements_of(client, email="ada@example.org", password=WRONG)
    assert response.status_code == 401
    assert names == [
        "reserve",
        "find the account",
        "axes: count the failure",
        "begin",
        "store the event",
        "commit",
    ]


def test_an_unknown_name_takes_the_same_statements_as_a_wrong_password(client, ada):
    for name in ("ada@example.org", "nobody@example.org"):
        post(client, "login", email=name, password=WRONG)
    _, known = statements_of(client, email="ada@example.org", password=WRONG)
    _, unknown = statements_of(client, email="nobody@example.org", password=WRONG)
    assert known == unknown


def test_a_locked_account_takes_the_same_statements_whether_it_exists_and_the_password_is_right(
    client, ada, no_rate_limits, monkeypatch
):
    monkeypatch.setattr(mails, "_send_soon", lambda: None)  # here it would be sent at once
    for name in ("ada@example.org", "nobody@example.org"):
        for _ in range(5):
            post(client, "login", email=name, password=WRONG)
    right, wrong, unknown = (
        statements_of(client, email=name, password=password)
        for name, password in (
            ("ada@example.org", PASSWORD),
            ("ada@example.org", WRONG),
            ("nobody@example.org", PASSWORD),
        )
    )
    assert right[0].status_code == wrong[0].status_code == unknown[0].status_code == 429
    assert right[1] == wrong[1] == unknown[1]
    assert right[1] == [
        "reserve",
        "clear",  # what was reserved of the address and the site
        "ask how long it is locked",
        "find the account",
        "leave a mail",
        "begin",
        "store the event",
        "commit",
    ]


def test_the_profile_takes_the_one_query_of_authentication(client, ada):
    signed_in = post(client, "login", email="ada@example.org", password=PASSWORD).json()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {signed_in['access']}")
    client.get("/api/auth/me")  # the first use of a session is noted
    with CaptureQueriesContext(connection) as captured:
        assert client.get("/api/auth/me").status_code == 200
    assert len(captured) == 1


def test_the_history_takes_one_query_more(client, ada):
    signed_in = post(client, "login", email="ada@example.org", password=PASSWORD).json()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {signed_in['access']}")
    client.get("/api/auth/me")  # the first use of a session is noted
    with CaptureQueriesContext(connection) as captured:
        assert client.get("/api/auth/login-history").status_code == 200
    assert len(captured) == 2
