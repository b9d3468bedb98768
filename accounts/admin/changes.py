"""What staff changed of an account, found by comparing before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accounts import codes, events
from accounts.attempt import target_of
from accounts.services.administration import DEACTIVATED
from garrison.events import emit
from sessions_tracking.services import end_sessions

if TYPE_CHECKING:
    from accounts.models import User


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
        permissions = user.user_permissions.values_list("content_type__app_label", "codename")
        return cls(
            email=user.email,
            is_active=user.is_active,
            is_staff=user.is_staff,
            is_superuser=user.is_superuser,
            groups=frozenset(user.groups.values_list("name", flat=True)),
            permissions=frozenset(f"{label}.{codename}" for label, codename in permissions),
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
            end_sessions(user=user, reason=DEACTIVATED)
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
