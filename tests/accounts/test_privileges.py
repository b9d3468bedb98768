"""Every road to more privileges: guarded in the admin, and an event from wherever it is taken."""

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts import checks
from accounts.admin.guard import AccountGuard, GuardedGroupAdmin
from accounts.models import User
from audit.models import SecurityEvent
from garrison.events import Severity
from tests.accounts.conftest import PASSWORD, post

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_rate_limits")]

ALL_OF = ("user", "group")
NEW = "fresh kelp orbit 88 plum"
GROUPS = reverse("admin:auth_group_changelist")
USERS = reverse("admin:accounts_user_changelist")


def permission(codename):
    return Permission.objects.get(codename=codename)


@pytest.fixture
def staff(db):
    """Somebody of the staff who has every permission on users and groups, and no other."""
    user = User.objects.create_user(
        email="help@example.org",
        password=PASSWORD,
        is_staff=True,
        email_verified_at="2026-01-01T00:00Z",
    )
    held = [f"{verb}_{m}" for verb in ("view", "add", "change", "delete") for m in ALL_OF]
    user.user_permissions.set(Permission.objects.filter(codename__in=held))
    return user


@pytest.fixture
def browser(staff):
    client = Client()
    client.force_login(staff)
    return client


@pytest.fixture
def granting(settings):
    """Let whoever may change groups give privileges, of their own."""
    settings.ACCOUNTS_PRIVILEGES_PERMISSION = "auth.change_group"


@pytest.fixture
def own_group(staff):
    group = Group.objects.create(name="helpers")
    staff.groups.add(group)
    return group


def group_url(group, page="change"):
    return reverse(f"admin:auth_group_{page}", args=[group.pk])


def user_url(user, page="change"):
    return reverse(f"admin:accounts_user_{page}", args=[user.pk])


def held(user):
    user = User.objects.get(pk=user.pk)
    return user.get_all_permissions() | {
        f for f in ("is_staff", "is_superuser") if getattr(user, f)
    }


def changes(kind="accounts.privileges.changed", **columns):
    found = SecurityEvent.objects.of_kinds([kind]).filter(**columns).order_by("pk")
    return [{k: v for k, v in e.data.items() if k != "by_themselves"} for e in found]


# --- The admin: whoever may change groups and accounts does not become anybody --------------------


def roads(user, group, everything=()):
    """Return each road of somebody who may change users and groups: an address and a form."""
    more = {"name": "helpers", "permissions": everything}
    me = {"email": user.email, "name": "", "is_active": "on", "is_staff": "on"}
    powers = {"is_superuser": "on", "groups": [group.pk], "user_permissions": everything}
    delete = {"action": "delete_selected", "_selected_action": [group.pk], "post": "yes"}
    new = {"email": "mole@example.org", "password1": NEW, "password2": NEW, "usable_password": ""}
    add_group, add_user = reverse("admin:auth_group_add"), reverse("admin:accounts_user_add")
    return {
        "a group's form": (group_url(group), more),
        "a group's form, saved as new": (group_url(group), more | {"_saveasnew": "1"}),
        "a new group": (add_group, more | {"name": "moles"}),
        "a new group in a popup": (f"{add_group}?_popup=1", more | {"name": "m", "_popup": "1"}),
        "a new group with presets": (f"{add_group}?permissions=1", more | {"name": "moles"}),
        "a group deleted": (group_url(group, "delete"), {"post": "yes"}),
        "groups deleted": (GROUPS, delete),
        "one's own account": (user_url(user), me | powers),
        "a new account": (add_user, new | powers | {"is_staff": "on"}),
        "the list edited in place": (
            USERS,
            {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": user.pk, "_save": "1"}
            | {"form-0-is_superuser": "on"},
        ),
    }


@pytest.mark.parametrize("road", roads(User(), Group(pk=1)))
def test_no_road_through_the_admin_leads_up(browser, staff, own_group, road, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(User), "list_editable", ("is_superuser",))
    monkeypatch.setattr(
        admin.site.get_model_admin(User), "list_display", ("email", "is_superuser"), raising=True
    )
    before, groups = held(staff), list(Group.objects.values_list("name"))
    known = changes()
    everything = list(Permission.objects.values_list("pk", flat=True))
    address, form = roads(staff, own_group, everything)[road]
    assert browser.post(address, form, secure=True).status_code in {200, 302, 403}
    assert held(staff) == before
    assert list(Group.objects.values_list("name")) == groups
    assert not own_group.permissions.exists()
    assert not any(held(user) for user in User.objects.exclude(pk=staff.pk))
    assert (changes(), changes("accounts.group.changed")) == (known, [])


@pytest.mark.usefixtures("granting")
@pytest.mark.parametrize("form", ["group", "account"])
def test_whom_a_setting_names_gives_what_they_hold_and_no_more(browser, own_group, ada, form):
    mine, theirs = permission("view_user"), permission("view_securityevent")
    if form == "group":
        address, data = group_url(own_group), {"name": "helpers"}
        name, holder = "permissions", own_group.permissions
    else:
        address, data = user_url(ada), {"email": ada.email, "is_active": "on"}
        name, holder = "user_permissions", ada.user_permissions
    refused = browser.post(address, {**data, name: [mine.pk, theirs.pk]}, secure=True)
    assert "not one of the available choices" in refused.content.decode()
    assert not holder.exists()
    assert browser.post(address, {**data, name: [mine.pk]}, secure=True).status_code == 302
    assert list(holder.all()) == [mine]
    assert browser.post(user_url(ada), {"email": ada.email, "is_superuser": "on"}, secure=True)
    assert not User.objects.get(pk=ada.pk).is_superuser


@pytest.mark.usefixtures("granting")
@pytest.mark.parametrize("by", ["its permissions", "a member's permission", "a superuser in it"])
def test_a_group_of_people_who_may_do_more_is_left_alone(browser, own_group, ada, by, admin_user):
    if by == "its permissions":
        own_group.user_set.clear()
        own_group.permissions.add(permission("view_securityevent"))
    elif by == "a member's permission":
        ada.user_permissions.add(permission("view_securityevent"))
        ada.groups.add(own_group)
    else:
        admin_user.groups.add(own_group)
    assert browser.post(group_url(own_group), {"name": "mine"}, secure=True).status_code == 403
    gone = browser.post(group_url(own_group, "delete"), {"post": "yes"}, secure=True)
    assert gone.status_code == 403
    assert Group.objects.filter(name="helpers").exists()


def test_the_api_assigns_no_privilege(ada):
    client = APIClient()
    token = post(client, "login", email=ada.email, password=PASSWORD).json()["access"]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    for field in ("is_staff", "is_superuser", "groups", "user_permissions", "is_active", "email"):
        answer = client.patch("/api/auth/me", {"name": "x", field: True}, format="json")
        assert answer.status_code == 400, field
        new = {"email": "mole@example.org", "password": NEW, field: True}
        assert field == "email" or post(APIClient(), "register", **new).status_code == 400
    assert held(ada) == set()


# --- Events, whoever does it ----------------------------------------------------------------------


def test_flags_are_events_from_code_and_commands(ada):
    ada.is_staff = True
    ada.save()
    ada.is_superuser, ada.is_active = True, False
    ada.save(update_fields=["is_superuser"])
    ada.save()
    ada.save()
    assert changes(target=f"user:{ada.pk}") == [{"is_staff": True}, {"is_superuser": True}]
    assert len(changes("accounts.user.deactivated", target=f"user:{ada.pk}")) == 1
    call_command("createsuperuser", email="new@example.org", interactive=False, verbosity=0)
    new = User.objects.get(email="new@example.org")
    created = changes(target=f"user:{new.pk}")
    assert created == [{"is_staff": True, "is_superuser": True}]


def test_only_the_first_superuser_of_a_site_is_no_alarm(db):
    for name in ("first", "second"):
        call_command("createsuperuser", email=f"{name}@example.org", interactive=False, verbosity=0)
        User.objects.update(is_active=False)  # whoever is switched off was here all the same
    found = SecurityEvent.objects.of_kinds(["accounts.privileges.changed"]).order_by("pk")
    assert [event.severity for event in found] == [Severity.INFO, Severity.HIGH]


def moves():
    """Return what to do to a user, a group and a permission, and what the event says it was."""
    given = {"added": ["g"], "removed": []}
    taken = {"added": [], "removed": ["g"]}
    may = {"added": ["accounts.view_user"], "removed": []}
    may_not = {"added": [], "removed": ["accounts.view_user"]}
    return {
        "user.groups.add": (lambda u, g, p: u.groups.add(g), {"groups": given}),
        "group.user_set.add": (lambda u, g, p: g.user_set.add(u), {"groups": given}),
        "user.groups.set": (lambda u, g, p: u.groups.set([g]), {"groups": given}),
        "user.user_permissions.add": (
            lambda u, g, p: u.user_permissions.add(p),
            {"permissions": may},
        ),
        "permission.user_set.add": (lambda u, g, p: p.user_set.add(u), {"permissions": may}),
    }, {
        "user.groups.remove": (lambda u, g, p: u.groups.remove(g), {"groups": taken}),
        "user.groups.clear": (lambda u, g, p: u.groups.clear(), {"groups": taken}),
        "group.user_set.clear": (lambda u, g, p: g.user_set.clear(), {"groups": taken}),
        "user.groups.set nothing": (lambda u, g, p: u.groups.set([]), {"groups": taken}),
        "user.user_permissions.clear": (
            lambda u, g, p: u.user_permissions.clear(),
            {"permissions": may_not},
        ),
        "permission.user_set.remove": (
            lambda u, g, p: p.user_set.remove(u),
            {"permissions": may_not},
        ),
    }  # fmt: skip


GIVING, TAKING = moves()


@pytest.mark.parametrize("way", [*GIVING, *TAKING])
def test_what_a_user_is_given_or_loses_is_one_event_from_either_side(ada, way):
    group, may = Group.objects.create(name="g"), permission("view_user")
    if way in TAKING:
        ada.groups.add(group)
        ada.user_permissions.add(may)
    known = len(changes(target=f"user:{ada.pk}"))
    do, expected = (GIVING | TAKING)[way]
    for _ in range(2):  # the second time there is nothing left to do
        do(ada, group, may)
    assert changes(target=f"user:{ada.pk}")[known:] == [expected]


def test_what_a_group_is_given_or_loses_is_an_event(ada):
    group, may = Group.objects.create(name="g"), permission("view_user")
    ada.groups.add(group)
    group.permissions.add(may)
    may.group_set.remove(group)
    group.permissions.set([may])
    group.name = "h"
    group.save()
    group.delete()
    named = {"group": "g"}
    added = named | {"permissions": {"added": ["accounts.view_user"], "removed": []}}
    removed = named | {"permissions": {"added": [], "removed": ["accounts.view_user"]}}
    renamed = {"group": "h", "name": {"before": "g", "after": "h"}}
    assert changes("accounts.group.changed") == [added, removed, added, renamed]
    gone = {"group": "h", "permissions": ["accounts.view_user"], "members": 1}
    assert changes("accounts.group.deleted") == [gone]


# --- A host's own admins --------------------------------------------------------------------------


def inline(of):
    return type("Inline", (admin.TabularInline,), {"model": of})


@pytest.mark.parametrize(
    ("model", "model_admin", "is_found"),
    [
        (Group, GuardedGroupAdmin, False),
        (Group, GroupAdmin, True),
        (User, type("Guarded", (AccountGuard, UserAdmin), {}), False),
        (User, type("Stock", (UserAdmin,), {}), True),
        (Permission, admin.ModelAdmin, True),
        (
            Group,
            type("Inlined", (GuardedGroupAdmin,), {"inlines": [inline(User.groups.through)]}),
            True,
        ),
    ],
)
def test_an_admin_that_leads_up_is_reported(model, model_admin, is_found):
    site = admin.AdminSite("hosts")
    site.register(model, model_admin)
    found = [message.id for message in checks.check_admins(None)]
    site.unregister(model)  # Django knows every site there is
    assert found == [checks.W007] * is_found


def test_the_stock_admin_of_groups_is_replaced():
    assert isinstance(admin.site.get_model_admin(Group), GuardedGroupAdmin)
    assert get_user_model() is User
