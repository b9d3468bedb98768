"""What gives and takes privileges, and deletions, noticed wherever they happen.

Django's signals report them, so the admin, an API, code and a shell leave the same events, each
with who did it where that is known. No signal is sent, and so nothing is noticed, where rows are
written around the models: ``update()``, ``bulk_create()``, ``bulk_update()``, rows of a
many-to-many table by hand, and SQL. Fixtures are passed over.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist
from django.db import transaction
from django.db.models.signals import m2m_changed, post_save, pre_delete, pre_save

from accounts import axes_records, events, lockout, pending
from accounts.attempt import target_of
from accounts.granting import STATUS, names_of
from accounts.models import LockoutBucket
from accounts.services.administration import DEACTIVATED
from garrison import context
from garrison.events import Severity, emit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Model

FLAGS = frozenset({"is_active", *STATUS})


def connect() -> None:
    """Listen for every kind of user, proxies among them, and for groups; called once at start."""
    user_model = get_user_model()
    for model in apps.get_models():
        if issubclass(model, user_model):
            pre_save.connect(_user_saving, sender=model, dispatch_uid="accounts.user_saving")
            post_save.connect(_user_saved, sender=model, dispatch_uid="accounts.user_saved")
            pre_delete.connect(_user_deleting, sender=model, dispatch_uid="accounts.deleting")
    pre_save.connect(_group_saving, sender=Group, dispatch_uid="accounts.group_saving")
    pre_delete.connect(_group_deleting, sender=Group, dispatch_uid="accounts.group_deleting")
    for owner, name in (
        (user_model, "groups"),
        (user_model, "user_permissions"),
        (Group, "permissions"),
    ):
        for field in _many_to_many(owner, name):
            m2m_changed.connect(
                partial(_relation_changed, field),
                sender=field.remote_field.through,
                weak=False,
                dispatch_uid=f"accounts.{owner.__name__}.{name}",
            )


def _many_to_many(model: type[Model], name: str) -> list[Any]:
    """Return the field, where a host's own user model has it."""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return []
    return [field] if field.many_to_many else []


def _actor() -> Any | None:
    """Return whoever's request this is, lest the event know them by key only."""
    key = context.current().actor_id
    return get_user_model()._default_manager.filter(pk=key).first() if key else None


# --- Users ----------------------------------------------------------------------------------------


def _user_saving(
    sender: Any,
    instance: Any,
    raw: bool,  # noqa: FBT001 - the signal's
    using: str,
    update_fields: Any,
    **_: Any,
) -> None:
    """Compare with the row before it is written: a change that cannot be recorded is not made."""
    columns = {field.name for field in sender._meta.concrete_fields} & FLAGS
    names = columns if update_fields is None else columns & set(update_fields)
    if raw or instance._state.adding or not names:
        return
    was = sender._base_manager.using(using).filter(pk=instance.pk).values(*names).first() or {}
    changed = {name: bool(getattr(instance, name)) for name in sorted(was)}
    changed = {name: value for name, value in changed.items() if value != was[name]}
    is_active = changed.pop("is_active", None)
    if is_active:
        emit(events.USER_ACTIVATED, actor=_actor(), target=target_of(instance))
    elif is_active is False:
        with transaction.atomic():
            emit(events.USER_DEACTIVATED, actor=_actor(), target=target_of(instance))
            pending.end_access(instance, reason=DEACTIVATED)
    if changed:
        _emit_privileges(instance, changed)


def _user_saved(instance: Any, created: bool, raw: bool, **_: Any) -> None:  # noqa: FBT001
    held = {name: True for name in STATUS if getattr(instance, name, False)}
    if created and held and not raw:
        # Somebody has to be the first, and an alarm on a fresh site teaches to overlook alarms.
        severity = Severity.INFO if _is_first_superuser(instance) else None
        _emit_privileges(instance, held, severity=severity)


def _is_first_superuser(user: Any) -> bool:
    if "is_superuser" not in {field.name for field in user._meta.concrete_fields}:
        return False
    others = get_user_model()._base_manager.filter(is_superuser=True).exclude(pk=user.pk)
    return user.is_superuser and not others.exists()


def _user_deleting(instance: Any, **_: Any) -> None:
    """Leave nothing behind by which the name stays locked, and say who it was."""
    lockout.account_buckets(instance.get_username()).delete()
    LockoutBucket.objects.filter(user_id=instance.pk).delete()
    axes_records.forget(account=instance)
    emit(
        events.USER_DELETED,
        actor=_actor(),
        target=target_of(instance),
        data={"account": instance.get_username()},
        severity=None if instance.last_login else Severity.LOW,  # a registration never used
    )


def _emit_privileges(
    user: Any, changed: dict[str, Any], *, severity: Severity | None = None
) -> None:
    actor = _actor()
    data = changed | {"by_themselves": bool(actor and actor.pk == user.pk)}
    target = target_of(user)
    emit(events.PRIVILEGES_CHANGED, actor=actor, target=target, data=data, severity=severity)


# --- Groups ---------------------------------------------------------------------------------------


def _group_saving(instance: Group, raw: bool, using: str, **_: Any) -> None:  # noqa: FBT001
    """Report a new name: a host may ask for a group by it."""
    was = None if raw else Group.objects.using(using).filter(pk=instance.pk).first()
    if was is not None and was.name != instance.name:
        _emit_group(instance, {"name": {"before": was.name, "after": instance.name}})


def _group_deleting(instance: Group, using: str, **_: Any) -> None:
    data = {
        "group": instance.name,
        "permissions": sorted(names_of(instance.permissions.using(using))),
        "members": get_user_model()._base_manager.using(using).filter(groups=instance).count(),
    }
    emit(events.GROUP_DELETED, actor=_actor(), target=f"group:{instance.pk}", data=data)


def _emit_group(group: Group, changed: dict[str, Any]) -> None:
    data = {"group": group.name, **changed}
    emit(events.GROUP_CHANGED, actor=_actor(), target=f"group:{group.pk}", data=data)


# --- What they hold -------------------------------------------------------------------------------


def _relation_changed(  # noqa: PLR0913, PLR0917 - the signal's
    field: Any,
    instance: Any,
    action: str,
    reverse: bool,  # noqa: FBT001
    pk_set: set[Any] | None,
    using: str,
    **_: Any,
) -> None:
    """Emit an event for each who holds more or less, from whichever side it was changed."""
    if action not in {"post_add", "pre_remove", "pre_clear"}:
        return
    ends = field.m2m_field_name(), field.m2m_reverse_field_name()
    mine, others = reversed(ends) if reverse else ends
    if action != "post_add":  # what was not there is not taken
        rows = field.remote_field.through._default_manager.using(using).filter(
            **{mine: instance.pk}
        )
        rows = rows if pk_set is None else rows.filter(**{f"{others}__in": pk_set})
        pk_set = set(rows.values_list(others, flat=True))
    if not pk_set:
        return
    held = field.related_model._default_manager.using(using)
    names = _names(held.filter(pk__in=[instance.pk] if reverse else pk_set))
    holders = field.model._default_manager.using(using).filter(pk__in=pk_set)
    for holder in holders if reverse else [instance]:
        added, removed = (names, []) if action == "post_add" else ([], names)
        changed = {
            field.name.removeprefix("user_"): {"added": list(added), "removed": list(removed)}
        }
        (_emit_group if isinstance(holder, Group) else _emit_privileges)(holder, changed)


def _names(held: Any) -> list[str]:
    named: Iterable[str]
    named = held.values_list("name", flat=True) if held.model is Group else names_of(held)
    return sorted(named)
