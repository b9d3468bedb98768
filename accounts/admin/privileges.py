"""Whom staff may change: nobody who may do more than they."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Permission
from django.db.models import Q

if TYPE_CHECKING:
    from accounts.models import User


def may_touch(*, actor: Any, target: User | None) -> bool:
    """Return whether ``actor`` may change ``target``, as far as privileges go.

    Whoever could set the password or the address of somebody with more permissions could become
    them. So an account is changed by superusers, by its owner, and by those who may do all that it
    may; it does not matter whether it is active, for activating it would be the next step.
    """
    if target is None or actor.is_superuser or target.pk == actor.pk:
        return True
    return not target.is_superuser and _permissions_of(target) <= actor.get_all_permissions()


def _permissions_of(user: User) -> set[str]:
    """Name the permissions, direct and by group; one query."""
    held = Permission.objects.filter(Q(user=user) | Q(group__user=user)).distinct()
    pairs = held.values_list("content_type__app_label", "codename")
    return {f"{label}.{codename}" for label, codename in pairs}
