"""Which accounts staff may change, and what they changed, found by comparing before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Permission
from django.db.models import Q

from accounts import codes, events, pending
from accounts.attempt import target_of
from accounts.services.administration import DEACTIVATED
from garrison.events import emit

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
    held = Permission.objects.filter(Q(user=target) | Q(group__user=target))
    return not target.is_superuser and _names(held) <= actor.get_all_permissions()


def _names(permissions: Any) -> frozenset[str]:
    """Name them as ``has_perm`` does; one query."""
    pairs = permissions.values_list("content_type__app_label", "codename")
    return frozenset(f"{label}.{codename}" for label, codename in pairs)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What of an account matters to its security."""

    email: str
    is_active: bool
    is_staff: bool
    is_superuser: bool
    groups: frozenset[str]
    permissions: frozenset[str]

    @classmethod
    def of(cls, user: User) -> Snapshot:
        """Take one; two queries, for groups and permissions."""
        return cls(
            email=user.email,
            is_active=user.is_active,
            is_staff=user.is_staff,
            is_superuser=user.is_superuser,
            groups=frozenset(user.groups.values_list("name", flat=True)),
            permissions=_names(user.user_permissions),
        )


def emit_changes(*, user: User, before: Snapshot | None, by: Any) -> None:
    """Emit what changed; a deactivated account loses its sessions."""
    target = target_of(user)
    if before is None:
        emit(events.USER_CREATED, actor=by, target=target, data={"account": user.email})
        return
    after = Snapshot.of(user)
    if after.email != before.email:
        codes.void(user_id=user.pk)  # they were mailed to the address before
        data = {"before": before.email, "after": after.email}
        emit(events.EMAIL_CHANGED, actor=by, target=target, data=data)
    if after.is_active != before.is_active:
        kind = events.USER_ACTIVATED if after.is_active else events.USER_DEACTIVATED
        emit(kind, actor=by, target=target)
        if not after.is_active:
            pending.end_access(user, reason=DEACTIVATED)
    if changed := _privileges(before, after):
        data = changed | {"by_themselves": bool(by and by.pk == user.pk)}
        emit(events.PRIVILEGES_CHANGED, actor=by, target=target, data=data)


def _privileges(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    changed: dict[str, Any] = {
        name: getattr(after, name)
        for name in ("is_staff", "is_superuser")
        if getattr(after, name) != getattr(before, name)
    }
    for name in ("groups", "permissions"):
        had, has = getattr(before, name), getattr(after, name)
        if had != has:
            changed[name] = {"added": sorted(has - had), "removed": sorted(had - has)}
    return changed
