"""Who may give which privileges, to whom: nobody gives what they do not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db.models import Q

from accounts.conf import settings

if TYPE_CHECKING:
    from django.db.models import QuerySet

STATUS = ("is_staff", "is_superuser")
PRIVILEGES = (*STATUS, "groups", "user_permissions")


def names_of(permissions: Any) -> frozenset[str]:
    """Name them as ``has_perm`` does; one query."""
    pairs = permissions.values_list("content_type__app_label", "codename")
    return frozenset(f"{label}.{codename}" for label, codename in pairs)


def may_grant(actor: Any) -> bool:
    """Return whether they may give and take privileges: superusers, and whom a setting names."""
    named = settings.privileges_permission
    return is_superuser(actor) or bool(named and actor.has_perm(named))


def is_superuser(user: Any) -> bool:
    """Return whether they may do everything; a host's model may know no such thing."""
    return bool(getattr(user, "is_superuser", False))


def may_touch(*, actor: Any, target: Any) -> bool:
    """Return whether ``actor`` may change ``target``, as far as privileges go.

    Whoever could set the password or the address of somebody with more permissions could become
    them. So an account is changed by superusers, by its owner, and by those who may do all that it
    may; it does not matter whether it is active, for activating it would be the next step.
    """
    if target is None or is_superuser(actor) or target.pk == actor.pk:
        return True
    held = Permission.objects.filter(Q(user=target) | Q(group__user=target))
    return not is_superuser(target) and names_of(held) <= actor.get_all_permissions()


def not_held(actor: Any) -> QuerySet[Permission]:
    """Return the permissions that ``actor`` does not have, and so neither gives nor takes."""
    names = actor.get_all_permissions()
    rows = Permission.objects.values_list("pk", "content_type__app_label", "codename")
    return Permission.objects.filter(pk__in=[k for k, app, c in rows if f"{app}.{c}" not in names])


def groups_beyond(actor: Any) -> QuerySet[Group]:
    """Return the groups that hold what ``actor`` does not."""
    return Group.objects.filter(permissions__in=not_held(actor))


def may_touch_group(*, actor: Any, group: Group | None) -> bool:
    """Return whether ``actor`` may change a group: as little as they may change its members."""
    if group is None or is_superuser(actor):
        return True
    beyond = Q(groups__in=groups_beyond(actor)) | Q(user_permissions__in=not_held(actor))
    members = get_user_model()._default_manager.filter(groups=group)
    return not (
        groups_beyond(actor).filter(pk=group.pk).exists()
        or members.filter(beyond | Q(is_superuser=True)).exists()
    )
