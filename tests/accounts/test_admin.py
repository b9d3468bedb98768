"""The administration: the one login form, people, buckets; each change an event."""

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import codes, lockout, mails, services
from accounts.errors import CodeInvalid, PasswordRejected
from accounts.models import LockoutBucket, User
from accounts.models.mailed_code import Purpose
from audit.models import SecurityEvent
from garrison.errors import Refusal
from sessions_tracking.models import Session
from sessions_tracking.services import start_token_session
from tests.accounts.conftest import PASSWORD, WRONG, mailed_code

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_rate_limits")]

LOGIN = reverse("admin:login")
USERS = reverse("admin:accounts_user_changelist")
BUCKETS = reverse("admin:accounts_lockoutbucket_changelist")
NEW = "fresh kelp orbit 88 plum"


def sign_in(client, password=PASSWORD, email="root@example.org"):
    return client.post(LOGIN, {"username": email, "password": password}, secure=True)


@pytest.fixture
def browser(admin_user):
    """An administrator's browser, signed in by the form."""
    client = Client()
    assert sign_in(client).status_code == 302
    return client


@pytest.fixture
def helper(db):
    """Somebody of the staff who may view and change accounts, and is no superuser."""
    user = get_user_model().objects.create_user(
        email="help@example.org",
        password=PASSWORD,
        is_staff=True,
        email_verified_at="2026-01-01T00:00Z",
    )
    codenames = ["view_user", "change_user", "delete_user", "add_user", "change_personal_user"]
    codenames += ["view_personal_user"]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def helpers_browser(helper):
    client = Client()
    assert sign_in(client, email="help@example.org").status_code == 302
    return client


def kinds(*, skip="accounts.login.succeeded"):
    ours = SecurityEvent.objects.filter(kind__startswith="accounts.")
    by_fixtures = {"kind": "accounts.privileges.changed", "actor_id": ""}
    found = ours.exclude(kind=skip).exclude(**by_fixtures).order_by("pk")
    return list(found.values_list("kind", flat=True))


def act(browser, action, *objects, url=USERS):
    return browser.post(
        url,
        {"action": action, "_selected_action": [o.pk for o in objects]},
        follow=True,
        secure=True,
    )


def change(browser, user, **fields):
    data = {"email": user.email, "name": user.name, "is_active": "on" if user.is_active else ""}
    if user.is_staff:
        data["is_staff"] = "on"
    if user.is_superuser:
        data["is_superuser"] = "on"
    url = reverse("admin:accounts_user_change", args=[user.pk])
    return browser.post(url, {**data, **fields}, secure=True)


# --- Signing in -----------------------------------------------------------------------------------


def test_a_sign_in_by_the_form_is_an_event_that_names_its_session(browser, admin_user):
    (event,) = SecurityEvent.objects.of_kinds(["accounts.login.succeeded"])
    session = Session.objects.get()
    assert (event.actor_id, event.session_id) == (str(admin_user.pk), str(session.pk))
    assert event.data["kind"] == "cookie"


def test_a_wrong_password_gets_the_one_sentence(admin_user):
    response = sign_in(Client(), WRONG)
    assert response.status_code == 200
    assert "Please enter the correct" in response.content.decode()
    assert kinds() == ["accounts.login.failed"]


def test_a_locked_account_is_told_how_long_to_wait(admin_user):
    for _ in range(5):
        sign_in(Client(), WRONG)
    response = sign_in(Client())
    assert response.status_code == 200
    assert "Try again in 15 minutes" in response.content.decode()


def test_an_unverified_administrator_is_told_so_after_the_right_password(admin_user):
    admin_user.email_verified_at = None
    admin_user.save()
    assert "Verify your address first" not in sign_in(Client(), WRONG).content.decode()
    assert "Verify your address first" in sign_in(Client()).content.decode()


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("x" * 300, "y"),
        ("a\0b", "y"),
        ("root@example.org", "a\0b"),
        ("root@example.org", "x" * 2000),
        ("", ""),
        ("\ud7ff\u202e", "\ud7ff"),
    ],
)
def test_the_form_takes_anything(admin_user, name, password):
    response = sign_in(Client(), password, email=name)
    assert response.status_code == 200
    assert b"errornote" in response.content


def test_somebody_who_is_no_staff_is_not_let_in(ada):
    response = sign_in(Client(), email="ada@example.org")
    assert response.status_code == 200
    assert "_auth_user_id" not in response.client.session


# --- People ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?q=ADA@", "?q=Ada", "?is_staff__exact=1", "?q=a%20b"])
def test_the_list_can_be_searched_in_any_spelling(browser, ada, query):
    response = browser.get(USERS + query, secure=True)
    assert response.status_code == 200
    if query in {"", "?q=ADA@", "?q=Ada"}:
        assert "ada@example.org" in response.content.decode()


def test_staff_create_an_account_and_its_password_has_to_be_good(browser):
    url = reverse("admin:accounts_user_add")
    form = {"email": "BOB@example.org", "name": "Bob", "usable_password": "true"}
    weak = browser.post(url, form | {"password1": "password", "password2": "password"}, secure=True)
    assert weak.status_code == 200
    assert "guessed too soon" in weak.content.decode()
    assert (
        browser.post(url, form | {"password1": NEW, "password2": NEW}, secure=True).status_code
        == 302
    )
    user = User.objects.get(email="bob@example.org")
    assert user.check_password(NEW)
    assert kinds() == ["accounts.user.created"]


def test_an_address_that_is_taken_in_another_spelling_is_refused_by_the_form(browser, ada):
    url = reverse("admin:accounts_user_add")
    form = {
        "email": "ADA@example.org",
        "password1": NEW,
        "password2": NEW,
        "usable_password": "true",
    }
    response = browser.post(url, form, secure=True)
    assert response.status_code == 200
    assert "There is an account with this address already" in response.content.decode()


def test_a_changed_address_has_to_be_verified_again(browser, ada):
    assert change(browser, ada, email="countess@example.org").status_code == 302
    ada.refresh_from_db()
    assert (ada.email, ada.is_email_verified) == ("countess@example.org", False)
    (event,) = SecurityEvent.objects.of_kinds(["accounts.email.changed"])
    assert event.data == {"before": "ada@example.org", "after": "countess@example.org"}


def test_a_code_that_was_mailed_to_the_address_before_proves_nothing_of_the_new_one(browser, ada):
    now = timezone.now()
    mailed = {purpose: codes.issue(user_id=ada.pk, purpose=purpose, now=now) for purpose in Purpose}
    change(browser, ada, email="countess@example.org")
    with pytest.raises(CodeInvalid):
        services.verify_email(email="countess@example.org", code=mailed[Purpose.VERIFY_EMAIL])
    with pytest.raises(CodeInvalid):
        services.reset_password(
            email="countess@example.org", code=mailed[Purpose.RESET_PASSWORD], new_password=NEW
        )
    ada.refresh_from_db()
    assert not ada.is_email_verified


def test_a_change_of_spelling_is_no_change_of_address(browser, ada):
    assert change(browser, ada, email="ADA@example.org").status_code == 302
    ada.refresh_from_db()
    assert ada.is_email_verified
    assert kinds() == []


def test_a_privilege_is_an_event_with_what_was_given_by_whom(browser, ada, admin_user):
    group = Group.objects.create(name="auditors")
    permission = Permission.objects.get(codename="view_user")
    change(browser, ada, is_staff="on", groups=[group.pk], user_permissions=[permission.pk])
    found = SecurityEvent.objects.of_kinds(["accounts.privileges.changed"])
    changes = [
        event.data
        for event in found.filter(target=f"user:{ada.pk}", actor_id=str(admin_user.pk))
        if event.actor_label == "root@example.org"
    ]
    expected = [
        {"is_staff": True},
        {"groups": {"added": ["auditors"], "removed": []}},
        {"permissions": {"added": ["accounts.view_user"], "removed": []}},
    ]
    assert len(changes) == len(expected)
    assert all(change | {"by_themselves": False} in changes for change in expected)


def test_deactivating_ends_the_sessions(browser, ada):
    start_token_session(user=ada, amr=["pwd"])
    change(browser, ada, is_active="")
    ada.refresh_from_db()
    assert not ada.is_active
    assert Session.objects.get(user=ada).ended_at
    assert "accounts.user.deactivated" in kinds()


def test_deactivating_and_activating_several_at_once(browser, ada, admin_user):
    start_token_session(user=ada, amr=["pwd"])
    response = act(browser, "deactivate", ada, admin_user)
    assert "1 of 1 accounts deactivated" in response.content.decode()
    ada.refresh_from_db()
    admin_user.refresh_from_db()
    assert (ada.is_active, admin_user.is_active) == (False, True)
    assert Session.objects.get(user=ada).ended_at
    act(browser, "activate", ada)
    ada.refresh_from_db()
    assert ada.is_active
    assert [kind for kind in kinds() if "activated" in kind] == [
        "accounts.user.deactivated",
        "accounts.user.activated",
    ]


def test_staffs_word_verifies_an_address_once(browser, ada):
    User.objects.filter(pk=ada.pk).update(email_verified_at=None)
    act(browser, "mark_verified", ada)
    act(browser, "mark_verified", ada)
    ada.refresh_from_db()
    assert ada.is_email_verified
    (event,) = SecurityEvent.objects.of_kinds(["accounts.email.verified"])
    assert event.data == {"by": "staff"}


def test_unlocking_an_account_is_an_event(browser, ada, admin_user):
    for _ in range(5):
        sign_in(Client(), WRONG, email="ada@example.org")
    page = browser.get(reverse("admin:accounts_user_change", args=[ada.pk]), secure=True)
    assert "locked after failed sign-ins" in page.content.decode()
    response = act(browser, "unlock", ada)
    assert "1 of 1 accounts unlocked" in response.content.decode()
    assert not lockout.is_locked(key=lockout.account_key("ada@example.org"), now=timezone.now())
    (event,) = SecurityEvent.objects.of_kinds(["accounts.account.unlocked"])
    assert (event.actor_id, event.target) == (str(admin_user.pk), f"user:{ada.pk}")


def test_a_password_set_by_staff_ends_the_sessions_and_is_told(browser, ada, admin_user):
    start_token_session(user=ada, amr=["pwd"])
    url = reverse("admin:auth_user_password_change", args=[ada.pk])
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    assert browser.post(url, form, secure=True).status_code == 302
    ada.refresh_from_db()
    assert ada.check_password(NEW)
    assert Session.objects.get(user=ada).ended_at
    (event,) = SecurityEvent.objects.of_kinds(["accounts.password.set_by_staff"])
    assert (event.actor_id, event.target) == (str(admin_user.pk), f"user:{ada.pk}")


def test_deleting_is_an_event_that_still_says_who_it_was(browser, ada):
    url = reverse("admin:accounts_user_delete", args=[ada.pk])
    assert browser.post(url, {"post": "yes"}, secure=True).status_code == 302
    (event,) = SecurityEvent.objects.of_kinds(["accounts.user.deleted"])
    assert event.data == {"account": "ada@example.org"}
    assert not User.objects.filter(pk=ada.pk).exists()


def test_a_search_for_what_cannot_be_a_name_is_no_crash(browser):
    for term in ("%00", "%ED%A0%80", "x" * 5000, "'--", "%25"):
        assert browser.get(f"{USERS}?q={term}", secure=True).status_code in {200, 400}


# --- Staff who are no superusers ------------------------------------------------------------------


def test_the_right_to_change_accounts_is_not_the_right_to_become_anybody(
    helpers_browser, helper, ada, admin_user
):
    change(helpers_browser, helper, is_superuser="on", groups=[Group.objects.create(name="g").pk])
    change(helpers_browser, ada, is_staff="on", is_superuser="on")
    for user in (helper, ada):
        user.refresh_from_db()
    assert (helper.is_superuser, helper.groups.count()) == (False, 0)
    assert (ada.is_staff, ada.is_superuser) == (False, False)
    assert "accounts.privileges.changed" not in kinds()


def test_superusers_are_left_to_superusers(helpers_browser, admin_user):
    assert change(helpers_browser, admin_user, is_active="").status_code == 403
    password = reverse("admin:auth_user_password_change", args=[admin_user.pk])
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    assert helpers_browser.post(password, form, secure=True).status_code == 403
    delete = reverse("admin:accounts_user_delete", args=[admin_user.pk])
    assert helpers_browser.post(delete, {"post": "yes"}, secure=True).status_code == 403
    act(helpers_browser, "deactivate", admin_user)
    act(helpers_browser, "delete_selected", admin_user)
    admin_user.refresh_from_db()
    assert admin_user.is_active
    assert admin_user.check_password(PASSWORD)


@pytest.mark.parametrize("is_active", [True, False])
@pytest.mark.parametrize("by_group", [True, False])
def test_whoever_may_do_more_is_left_to_whoever_may_do_as_much(
    helpers_browser, helper, ada, is_active, by_group
):
    permission = Permission.objects.get(codename="view_securityevent")
    if by_group:
        group = Group.objects.create(name="auditors")
        group.permissions.add(permission)
        ada.groups.add(group)
    else:
        ada.user_permissions.add(permission)
    ada.is_active = is_active
    ada.save()
    assert change(helpers_browser, ada, email="mine@example.org").status_code == 403
    password = reverse("admin:auth_user_password_change", args=[ada.pk])
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    assert helpers_browser.post(password, form, secure=True).status_code == 403
    act(helpers_browser, "activate", ada)
    ada.refresh_from_db()
    assert (ada.is_active, ada.email) == (is_active, "ada@example.org")
    helper.user_permissions.add(permission)
    assert change(helpers_browser, ada, name="Countess").status_code == 302


def test_staff_may_change_their_own_name(helpers_browser, helper):
    assert change(helpers_browser, helper, name="Helpful").status_code == 302
    helper.refresh_from_db()
    assert helper.name == "Helpful"


def test_several_deleted_at_once_leave_superusers_alone(helpers_browser, ada, admin_user):
    helpers_browser.post(
        USERS,
        {"action": "delete_selected", "_selected_action": [ada.pk, admin_user.pk], "post": "yes"},
        secure=True,
    )
    assert User.objects.filter(pk=admin_user.pk).exists()


# --- Buckets --------------------------------------------------------------------------------------


@pytest.fixture
def locked(ada):
    for email in ("ada@example.org", "nobody@example.org"):
        for _ in range(5):
            sign_in(Client(), WRONG, email=email)


def test_what_is_locked_is_listed_without_names_of_nobody(browser, locked):
    page = browser.get(BUCKETS + "?state=locked", secure=True).content.decode()
    assert "ada@example.org" in page
    assert "no account (" in page
    assert "nobody@example.org" not in page
    assert browser.get(BUCKETS, secure=True).status_code == 200
    bucket = LockoutBucket.objects.accounts().first()
    detail = reverse("admin:accounts_lockoutbucket_change", args=[bucket.pk])
    assert browser.get(detail, secure=True).status_code == 200


def test_a_bucket_is_unlocked_and_cannot_be_written_to(browser, locked, admin_user):
    buckets = list(LockoutBucket.objects.accounts().filter(locked_until__isnull=False))
    response = act(browser, "unlock", *buckets, url=BUCKETS)
    assert "2 unlocked" in response.content.decode()
    assert not LockoutBucket.objects.filter(locked_until__isnull=False).exists()
    events = SecurityEvent.objects.of_kinds(["accounts.account.unlocked"])
    assert {event.actor_id for event in events} == {str(admin_user.pk)}
    assert browser.get(reverse("admin:accounts_lockoutbucket_add"), secure=True).status_code == 403


def test_whoever_may_only_look_cannot_unlock(helpers_browser, helper, locked):
    helper.user_permissions.add(Permission.objects.get(codename="view_lockoutbucket"))
    bucket = LockoutBucket.objects.filter(locked_until__isnull=False).first()
    act(helpers_browser, "unlock", bucket, url=BUCKETS)
    assert LockoutBucket.objects.filter(pk=bucket.pk).exists()


def test_what_axes_recorded_can_be_looked_at(browser, locked):
    url = reverse("admin:axes_accessattempt_changelist")
    page = browser.get(url, secure=True).content.decode()
    assert "ada@example.org" in page
    from axes.models import AccessLog

    assert not admin.site.is_registered(AccessLog)


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [
        (USERS, USERS),
        (f"{USERS}?q=a%20b", f"{USERS}?q=a%20b"),
        (USERS.rstrip("/"), USERS.rstrip("/")),  # Django adds the slash
        ("/there-is-nothing-here", "/admin/"),
        ("/admin/nor/here/", "/admin/"),
        ("/admin/logout/", "/admin/"),  # takes POST only
        ("//elsewhere.example/", "/admin/"),
        ("http://[", "/admin/"),
    ],
)
@pytest.mark.parametrize("where", ["address", "form"])
def test_a_sign_in_leads_to_a_page_that_is_there(client, admin_user, asked, leads_to, where):
    form = {"username": admin_user.email, "password": PASSWORD}
    query = {"query_params": {"next": asked}} if where == "address" else {}
    body = form if query else form | {"next": asked}
    answer = client.post(LOGIN, body, secure=True, **query)
    assert (answer.status_code, answer["Location"]) == (302, leads_to)


# --- Looking after people without knowing their passwords -----------------------------------------


def test_a_reset_that_staff_send_ends_the_password_and_the_sessions_and_mails_a_code(
    helper, helpers_browser, ada
):
    start_token_session(user=ada, amr=["pwd"])
    assert act(helpers_browser, "send_reset", ada).status_code == 200
    assert Session.objects.of_user(ada).filter(ended_at=None).exists()  # it takes the permission
    helper.user_permissions.add(Permission.objects.get(codename="send_reset_user"))
    page = act(helpers_browser, "send_reset", ada, helper)
    assert "1 of 1 accounts mailed a code" in page.content.decode()  # nobody resets themselves
    assert not Session.objects.of_user(ada).filter(ended_at=None).exists()
    ada.refresh_from_db()
    assert not ada.has_usable_password()
    (event,) = SecurityEvent.objects.of_kinds(["accounts.password.reset_sent"])
    assert (event.actor_id, event.target) == (str(helper.pk), f"user:{ada.pk}")
    mails.send_due()
    assert mail.outbox[-1].to == [ada.email]
    with pytest.raises(PasswordRejected):
        services.reset_password(email=ada.email, code=mailed_code(), new_password=PASSWORD)
    services.reset_password(email=ada.email, code=mailed_code(), new_password=NEW)
    assert services.sign_in(login_name=ada.email, password=NEW)


def test_a_reset_goes_to_nobody_who_may_do_more_or_who_cannot_be_mailed(
    helper, helpers_browser, admin_user, ada
):
    helper.user_permissions.add(Permission.objects.get(codename="send_reset_user"))
    act(helpers_browser, "send_reset", admin_user)
    services.set_active(user=ada, is_active=False)
    ada.refresh_from_db()
    act(helpers_browser, "send_reset", ada)
    assert User.objects.filter(pk__in=[ada.pk, admin_user.pk]).exclude(password="").count() == 2
    assert all(u.has_usable_password() for u in User.objects.filter(pk__in=[ada.pk, admin_user.pk]))
    assert mails.send_due() == 0


@pytest.mark.parametrize("may", [False, True])
def test_a_password_is_typed_for_somebody_by_whom_a_permission_names_alone(
    helper, helpers_browser, ada, may
):
    if may:
        helper.user_permissions.add(Permission.objects.get(codename="set_password_user"))
    form = reverse("admin:auth_user_password_change", args=[ada.pk])
    data = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    assert helpers_browser.post(form, data, secure=True).status_code == (302 if may else 403)
    ada.refresh_from_db()
    assert ada.check_password(NEW) is may
    page = helpers_browser.get(
        reverse("admin:accounts_user_change", args=[ada.pk]), secure=True
    ).content.decode()
    assert ("../password/" in page) is may


def test_a_new_account_is_mailed_a_code_where_no_password_may_be_typed(helpers_browser):
    data = {"email": "new@example.org", "name": "", "password1": NEW, "password2": NEW}
    add = reverse("admin:accounts_user_add")
    assert "password1" not in helpers_browser.get(add, secure=True).content.decode()
    assert helpers_browser.post(add, data, secure=True).status_code == 302
    assert not User.objects.get(email="new@example.org").has_usable_password()
    mails.send_due()
    assert mail.outbox[-1].to == ["new@example.org"]
    services.reset_password(email="new@example.org", code=mailed_code(), new_password=NEW)
    assert services.sign_in(login_name="new@example.org", password=NEW)


def test_people_are_seen_at_a_glance_in_as_many_statements_for_ten_as_for_one(browser, ada):
    start_token_session(user=ada, amr=["pwd"])
    for _ in range(5):
        with pytest.raises(Refusal):
            services.sign_in(login_name=ada.email, password=WRONG)

    def glance():
        with CaptureQueriesContext(connection) as asked:
            page = browser.get(USERS, {"q": "example"}, secure=True)
        return len(asked), {u.email: u for u in page.context["cl"].result_list}

    glance()  # the first request of a session writes when it was seen
    few, found = glance()
    assert found[ada.email].alive_sessions == 1
    assert found[ada.email].locked_until > timezone.now()
    for n in range(10):
        start_token_session(user=User.objects.create_user(email=f"{n}@example.org"), amr=["pwd"])
    many, found = glance()
    assert (many, len(found)) == (few, 12)


def test_the_buttons_on_a_page_are_the_lists_own_actions(helper, helpers_browser, ada):
    page = reverse("admin:accounts_user_change", args=[ada.pk])
    names = {"unlock", "send_reset", "end_sessions"}

    def offered():
        shown = helpers_browser.get(page, secure=True).content.decode()
        return {name for name in names if f'name="action" value="{name}"' in shown}

    assert offered() == {"unlock"}
    given = ["send_reset_user", "end_session"]
    helper.user_permissions.add(*Permission.objects.filter(codename__in=given))
    assert offered() == names
    start_token_session(user=ada, amr=["pwd"])
    assert (
        "1 of 1 accounts signed out" in act(helpers_browser, "end_sessions", ada).content.decode()
    )
    assert not Session.objects.of_user(ada).filter(ended_at=None).exists()
