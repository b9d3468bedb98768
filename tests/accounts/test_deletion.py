"""Deleting an account: what goes, what stays, and who may not be deleted."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import codes, lockout, services
from accounts.errors import LastSuperuser, OwnAccount
from accounts.models import LockoutBucket, MailedCode, PendingSignIn, User
from accounts.models.mailed_code import Purpose
from audit.models import SecurityEvent
from sessions_tracking.models import Session
from sessions_tracking.services import start_token_session
from tests.accounts.conftest import PASSWORD, WRONG, post
from tests.accounts.threads import all_at_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_rate_limits")]

USERS = reverse("admin:accounts_user_changelist")


def page_of(user, page="delete"):
    return reverse(f"admin:accounts_user_{page}", args=[user.pk])


@pytest.fixture
def browser(admin_user):
    client = Client()
    client.force_login(admin_user)
    return client


def by_its_page(browser, user):
    asked = browser.get(page_of(user), secure=True).content.decode()
    assert "Are you sure" in asked
    assert "permission to delete" not in asked
    return browser.post(page_of(user), {"post": "yes"}, secure=True)


def selected(browser, *users):
    form = {"action": "delete_selected", "_selected_action": [u.pk for u in users], "post": "yes"}
    return browser.post(USERS, form, secure=True, follow=True)


WAYS = {
    "its page": by_its_page,
    "the action": selected,
    "code": lambda _, user: user.delete(),
    "a queryset": lambda _, user: User.objects.filter(pk=user.pk).delete(),
}


@pytest.mark.parametrize("way", WAYS)
def test_sessions_end_traces_go_and_evidence_stays(browser, ada, admin_user, way):
    signed_in = Client()
    signed_in.force_login(ada)
    client = APIClient()
    tokens = start_token_session(user=ada, amr=["pwd"])
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.access}")
    assert client.get("/api/auth/me").status_code == 200
    codes.issue(user_id=ada.pk, purpose=Purpose.RESET_PASSWORD, now=timezone.now())
    PendingSignIn.objects.create(
        user=ada, digest="d", reservations=[], amr=[], passed=[], expires_at=timezone.now()
    )
    for _ in range(5):
        post(APIClient(), "login", email=ada.email, password=WRONG)
    before = SecurityEvent.objects.filter(target=f"user:{ada.pk}").count()
    target, key, name = f"user:{ada.pk}", lockout.account_key(ada.email), str(ada)

    WAYS[way](browser, ada)

    assert not User.objects.filter(email=name).exists()
    assert client.get("/api/auth/me").status_code == 401
    assert signed_in.get(reverse("admin:index"), secure=True).status_code == 302
    assert not MailedCode.objects.exists()
    assert not PendingSignIn.objects.exists()
    assert not LockoutBucket.objects.filter(key=key).exists()
    assert SecurityEvent.objects.filter(target=target).count() > before
    (ended,) = SecurityEvent.objects.of_kinds(["sessions.user.signed_out"]).filter(target=target)
    assert (ended.data["reason"], ended.data["count"]) == ("user_deleted", 2)
    (deleted,) = SecurityEvent.objects.of_kinds(["accounts.user.deleted"])
    assert (deleted.target, deleted.data) == (target, {"account": name})
    if way in {"its page", "the action"}:
        assert (deleted.actor_id, deleted.actor_label) == (str(admin_user.pk), str(admin_user))


def test_whoever_deletes_is_named_when_they_are_gone(browser, ada, admin_user):
    by_its_page(browser, ada)
    admin_user.delete()
    deleted = SecurityEvent.objects.of_kinds(["accounts.user.deleted"]).order_by("pk").first()
    assert deleted.actor_label == "root@example.org"


def test_a_session_alone_is_not_deleted(browser, ada):
    session = start_token_session(user=ada, amr=["pwd"]).session
    url = reverse("admin:sessions_tracking_session_delete", args=[session.pk])
    assert browser.post(url, {"post": "yes"}, secure=True).status_code == 403
    listed = reverse("admin:sessions_tracking_session_changelist")
    form = {"action": "delete_selected", "_selected_action": [session.pk], "post": "yes"}
    browser.post(listed, form, secure=True)
    assert Session.objects.filter(pk=session.pk).exists()


def changed(browser, user, **flags):
    form = {"email": user.email, "is_active": "on", "is_staff": "on", "is_superuser": "on"} | flags
    sent = {name: value for name, value in form.items() if value}
    return browser.post(page_of(user, "change"), sent, secure=True)


@pytest.mark.parametrize("taken", ["is_active", "is_superuser"])
def test_the_last_superuser_is_neither_deactivated_nor_demoted(browser, admin_user, taken):
    second = User.objects.create_superuser(email="second@example.org")
    assert changed(browser, second, **{taken: ""}).status_code == 302
    refused = changed(browser, admin_user, **{taken: ""})
    assert "This is the last superuser who can sign in" in refused.content.decode()
    assert list(refused.context["adminform"].form.errors) == [taken]
    assert User.objects.get(is_superuser=True, is_active=True) == admin_user
    with pytest.raises(LastSuperuser):
        services.set_active(user=admin_user, is_active=False)


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("way", ["its page", "the action"])
def test_nobody_deletes_themselves(browser, ada, admin_user, way, method):
    User.objects.create_superuser(email="second@example.org")
    if way == "its page":
        response = getattr(browser, method)(
            page_of(admin_user), {"post": "yes"}, secure=True, follow=True
        )
    else:
        response = selected(browser, ada, admin_user)
    assert "Nobody may delete their own account" in response.content.decode()
    assert User.objects.count() == 3, "all of them or none"
    assert not SecurityEvent.objects.of_kinds(["accounts.user.deleted"]).exists()


def test_the_last_superuser_who_can_sign_in_stays(ada, admin_user):
    User.objects.create_superuser(email="gone@example.org", is_active=False)
    with pytest.raises(LastSuperuser):
        services.require_deletable(accounts=[admin_user, ada], by=None)
    with pytest.raises(OwnAccount):
        services.require_deletable(accounts=[admin_user], by=admin_user)
    services.require_deletable(accounts=[ada], by=admin_user)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "way",
    [
        lambda browser, user: browser.post(page_of(user), {"post": "yes"}, secure=True),
        lambda browser, user: changed(browser, user, is_superuser=""),
        lambda browser, user: changed(browser, user, is_active=""),
        lambda browser, user: browser.post(
            USERS, {"action": "deactivate", "_selected_action": [user.pk]}, secure=True
        ),
    ],
    ids=["delete", "demote", "deactivate", "deactivate by the action"],
)
def test_of_two_superusers_who_do_it_to_each_other_one_stays(admin_user, way):
    second = User.objects.create_superuser(email="second@example.org", password=PASSWORD)
    pairs = [(admin_user, second), (second, admin_user)]
    browsers = [Client(), Client()]
    for browser, (by, _) in zip(browsers, pairs, strict=True):
        browser.force_login(by)
    all_at_once(lambda number: way(browsers[number], pairs[number][1]), times=2)
    assert User.objects.filter(is_superuser=True, is_active=True).count() == 1
