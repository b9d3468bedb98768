"""Making the roles that are declared, and deciding who gives which privileges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from accounts import events, roles
from accounts.errors import GrantRefused
from accounts.granting import (
    groups_beyond,
    is_superuser,
    may_grant,
    names_of,
    not_held,
)
from garrison.events import emit

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleComparison:
    """What a role's group lacks and has besides; ``unknown`` is in no table of permissions."""

    role: str
    exists: bool
    missing: list[str]
    extra: list[str]
    unknown: list[str]


def compare_roles() -> list[RoleComparison]:
    """Return how each declared role differs from the group of its name."""
    known = names_of(Permission.objects.all())
    return [_compare(role, wanted, known) for role, wanted in roles.declared().items()]


def _compare(role: str, wanted: frozenset[str], known: frozenset[str]) -> RoleComparison:
    group = Group.objects.filter(name=role).first()
    held = names_of(group.permissions.all()) if group else frozenset()
    return RoleComparison(
        role=role,
        exists=group is not None,
        missing=sorted((wanted & known) - held),
        extra=sorted(held - wanted),
        unknown=sorted(wanted - known),
    )


def create_roles(*, takes_extra: bool = False) -> list[RoleComparison]:
    """Make the groups and give them what they lack; return what differed before.

    What staff have added is left, unless ``takes_extra``. Each change is an event.
    """
    with transaction.atomic():
        compared = compare_roles()
        rows = {
            f"{row.content_type.app_label}.{row.codename}": row
            for row in Permission.objects.select_related("content_type")
        }
        for found in compared:
            group, is_new = Group.objects.get_or_create(name=found.role)
            if is_new:
                emit(events.ROLE_CREATED, target=f"group:{group.pk}", data={"group": found.role})
            group.permissions.add(*(rows[name] for name in found.missing))
            if takes_extra:
                group.permissions.remove(*(rows[name] for name in found.extra))
    return compared


def require_grantable(*, by: Any, holder: Any, given: Mapping[str, Any]) -> None:
    """Refuse to give or take, to an account or a group, what ``by`` may not give or does not hold.

    ``given`` is what the holder is to have: ``groups``, ``user_permissions`` or ``permissions``;
    other names are passed over. Raises :class:`~accounts.errors.GrantRefused`.
    """
    if is_superuser(by):
        return
    beyond = {"groups": groups_beyond, "user_permissions": not_held, "permissions": not_held}
    for name in beyond.keys() & given.keys():
        was = set(getattr(holder, name).values_list("pk", flat=True))
        changed = was ^ {row.pk for row in given[name]}
        if changed and (not may_grant(by) or beyond[name](by).filter(pk__in=changed).exists()):
            raise GrantRefused
