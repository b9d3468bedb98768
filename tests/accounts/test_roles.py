"""Roles are groups that the installed apps declare, made by a command that takes nothing away."""

import json
from io import StringIO

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command

from accounts import roles, services
from accounts.errors import GrantRefused
from accounts.models import User
from audit.models import SecurityEvent

pytestmark = pytest.mark.django_db

NAMES = ["auditor", "operator", "security officer", "support", "user"]


def run(*options):
    out = StringIO()
    call_command("create_roles", *options, stdout=out)
    return out.getvalue()


def held(role):
    return {p.codename for p in Group.objects.get(name=role).permissions.all()}


def events():
    kinds = ["accounts.role.created", "accounts.group.changed"]
    return list(SecurityEvent.objects.of_kinds(kinds).values_list("kind", flat=True))


def test_every_declared_permission_exists_and_auditors_only_read():
    found = {c.role: c for c in services.compare_roles()}
    assert sorted(found) == NAMES
    assert [name for c in found.values() for name in c.unknown] == []
    assert {name.split(".")[1].split("_")[0] for name in found["auditor"].missing} == {"view"}
    assert not any("personal" in name for name in found["auditor"].missing)


def test_the_command_makes_what_is_missing_once_and_each_change_is_an_event():
    for looking in ("--dry-run", "--check"):
        if looking == "--check":
            with pytest.raises(CommandError, match="incomplete"):
                run(looking)
        else:
            assert "auditor: does not exist" in run(looking)
    assert not Group.objects.exists()
    assert "auditor: created" in run()
    assert "view_securityevent" in held("auditor")
    # The role of everybody holds nothing, so giving it nothing is no event.
    assert sorted(events()) == ["accounts.group.changed"] * 4 + ["accounts.role.created"] * 5
    assert all(not (c["missing"] or c["extra"]) for c in json.loads(run("--json")))
    assert len(events()) == 9
    assert run("--check")


def test_what_staff_added_is_left_unless_the_command_is_told():
    run()
    extra = Permission.objects.get(codename="delete_user")
    lost = Permission.objects.get(
        codename="view_session", content_type__app_label="sessions_tracking"
    )
    Group.objects.get(name="support").permissions.add(extra)
    Group.objects.get(name="support").permissions.remove(lost)
    assert "accounts.delete_user  (not declared, left)" in run()
    assert {"delete_user", "view_session"} <= held("support")
    assert "accounts.delete_user  (taken)" in run("--take-extra")
    assert "delete_user" not in held("support")


def test_a_host_adds_roles_and_leaves_some_out(settings):
    settings.ACCOUNTS_ROLES = {
        "operator": None,
        "support": ["accounts.delete_user"],
        "librarian": ["auth.view_group", "books.lend_book"],
    }
    found = {c.role: c for c in services.compare_roles()}
    assert sorted(found) == ["auditor", "librarian", "security officer", "support", "user"]
    assert "accounts.delete_user" in found["support"].missing
    assert found["librarian"].unknown == ["books.lend_book"]
    assert "books.lend_book  (there is no such permission" in run()


def test_an_app_that_is_not_there_contributes_nothing(monkeypatch):
    backups = apps.get_app_config("backups")
    left = [config for config in apps.get_app_configs() if config is not backups]
    monkeypatch.setattr(apps, "get_app_configs", lambda: left)
    assert not any(n.startswith("backups.") for names in roles.declared().values() for n in names)


@pytest.mark.parametrize(
    ("named", "given"),
    [
        ("", "view_user"),
        ("auth.change_group", "view_user"),
        ("auth.change_group", "view_securityevent"),
    ],
)
@pytest.mark.parametrize("as_group", [False, True])
def test_the_service_lets_nobody_give_what_they_do_not_have(settings, ada, named, given, as_group):
    settings.ACCOUNTS_PRIVILEGES_PERMISSION = named
    giver = User.objects.create_user(email="giver@example.org")
    is_refused = not named or given == "view_securityevent"
    may = Permission.objects.filter(codename__in=["change_group", "view_user"])
    giver.user_permissions.set(may)
    wanted = list(Permission.objects.filter(codename=given))
    if as_group:
        group = Group.objects.create(name="g")
        group.permissions.set(wanted)
    asked = {"groups": [group]} if as_group else {"user_permissions": wanted}
    for change in (asked, {name: [] for name in asked}):  # to give it, and to take it again
        if is_refused:
            with pytest.raises(GrantRefused):
                services.require_grantable(by=giver, holder=ada, given=change)
        else:
            services.require_grantable(by=giver, holder=ada, given=change)
        for name, rows in asked.items():
            getattr(ada, name).set(rows)
