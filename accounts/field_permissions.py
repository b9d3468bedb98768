"""Fields of a model that take a permission of their own, declared once and asked for everywhere.

``declare(Patient, personal=["name", "born_on"])`` makes two permissions of Django's,
``view_personal_patient`` and ``change_personal_patient``. Whoever lacks the first does not see the
fields, whoever lacks either does not write them, whatever else they may do with the model.
:class:`FieldPermissions` answers so, as ``GARRISON_FIELD_POLICY``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from django.apps import apps as registry
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import router

from garrison.errors import ConfigurationError
from garrison.field_policy import DjangoPermissions, policy
from garrison.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import Model

_KIND = re.compile(r"[a-z][a-z_]{0,30}")


class Declaration(NamedTuple):
    """Fields of one kind: seen and written by whoever has the kind's permissions on the model."""

    model: type[Model]
    kind: str
    fields: frozenset[str]

    def codename(self, action: str) -> str:
        """Return the permission's name inside its app, such as ``view_personal_user``."""
        return f"{action}_{self.kind}_{self.model._meta.model_name}"

    def permission(self, action: str) -> str:
        """Return the permission's name as ``has_perm`` takes it."""
        return f"{self.model._meta.app_label}.{self.codename(action)}"


DECLARATIONS: Registry[Declaration] = Registry("declaration of fields")


def declare(model: type[Model], **fields_by_kind: Iterable[str]) -> None:
    """Have fields of a model take a permission of their own; called in ``AppConfig.ready``.

    Proxies and children of the model inherit it. Raises
    :class:`~garrison.errors.ConfigurationError` for a field that the model does not have, for the
    primary key, and for a kind that is no lower-case name.
    """
    for kind, names in fields_by_kind.items():
        found = Declaration(model, kind, frozenset(_field_name(model, name) for name in names))
        if not _KIND.fullmatch(kind):
            raise ConfigurationError(
                f"{kind!r} is no kind of fields; use up to 31 lower-case letters and underscores."
            )
        label = f"{model._meta.label_lower}.{kind}"
        DECLARATIONS.add(label, found, source=model._meta.app_config.name)


def _field_name(model: type[Model], name: str) -> str:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        raise ConfigurationError(f"{model._meta.label} has no field {name!r}.") from None
    if getattr(field, "primary_key", True):
        raise ConfigurationError(f"{name!r} is no field of {model._meta.label} that can be hidden.")
    return field.name


class FieldPermissions(DjangoPermissions):
    """By Django's permissions on the model, less the declared fields that the user may not have."""

    def visible_fields(self, user: Any, model: type[Model]) -> frozenset[str]:
        """Name the fields the user may see."""
        return super().visible_fields(user, model) - _denied(user, model, "view")

    def writable_fields(self, user: Any, model: type[Model]) -> frozenset[str]:
        """Name the fields the user may write: those of which they may see what they write."""
        denied = _denied(user, model, "change") | _denied(user, model, "view")
        return super().writable_fields(user, model) - denied


def _denied(user: Any, model: type[Model], action: str) -> frozenset[str]:
    denied = [
        found.fields
        for found in DECLARATIONS
        if issubclass(model, found.model) and not user.has_perm(found.permission(action))
    ]
    return frozenset[str]().union(*denied)


def may_see(*, user: Any, model: type[Model], path: str) -> bool:
    """Return whether the user may see every field on a path, such as ``-owner__name__icontains``.

    What is no field, such as a method or an annotation, is nobody's to hide here.
    """
    answer, model_here = policy(), model
    for name in path.lstrip("-+=^@").split("__"):
        options = model_here._meta
        try:
            field: Any = options.pk if name == "pk" else options.get_field(name)
        except FieldDoesNotExist:
            return True
        is_stored = (field.concrete or field.many_to_many) and not field.auto_created
        if is_stored and field.name not in answer.visible_fields(user, model_here):
            return False
        if not field.related_model:
            return True
        model_here = field.related_model
    return True


# --- The permissions as rows ----------------------------------------------------------------------


def create_permissions(sender: Any, using: str, apps: Any = registry, **_: Any) -> None:
    """Create the permissions of an app's models after it was migrated or flushed, as Django does.

    ``apps`` is the state that the migrations have reached.
    """
    try:
        permissions = apps.get_model("auth", "Permission")
        types = apps.get_model("contenttypes", "ContentType")
    except LookupError:  # migrated so far that there are none yet
        return
    if not router.allow_migrate_model(using, permissions):
        return
    for model, codename, name in _declared_permissions():
        options = model._meta
        if options.app_label == sender.label:
            of, _is_new = types.objects.using(using).get_or_create(
                app_label=options.app_label, model=options.model_name
            )
            permissions.objects.using(using).get_or_create(
                content_type=of, codename=codename, defaults={"name": name[:255]}
            )


def _declared_permissions() -> Iterator[tuple[type[Model], str, str]]:
    """Name those of declared fields, and those that whatever user model there is has with us."""
    for found in DECLARATIONS:
        of = f"{found.kind.replace('_', ' ')} fields of {found.model._meta.verbose_name}"
        for action in ("view", "change"):
            yield found.model, found.codename(action), f"Can {action} {of}"
    users = get_user_model()
    name = users._meta.model_name
    yield users, f"send_reset_{name}", "Can end a password, and mail its owner a code for a new one"
    yield users, f"set_password_{name}", "Can choose the password of somebody else"
