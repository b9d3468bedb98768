"""The question "which fields of this model may this user see or write?".

Asked by APIs, the admin, exports and object history; answered by the class that
``GARRISON_FIELD_POLICY`` names. The one here knows only Django's model permissions; ``accounts``
brings one that knows roles and single fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from django.utils.module_loading import import_string

from garrison.conf import settings

if TYPE_CHECKING:
    from django.db.models import Model


class FieldPolicy(Protocol):
    """What an answer looks like: sets of field names, empty where nothing is allowed."""

    def visible_fields(self, user: Any, model: type[Model]) -> frozenset[str]:
        """Name the fields the user may see."""

    def writable_fields(self, user: Any, model: type[Model]) -> frozenset[str]:
        """Name the fields the user may write."""


class DjangoPermissions:
    """All fields to whoever has the model's view or change permission, none to anybody else."""

    def visible_fields(self, user: Any, model: type[Model]) -> frozenset[str]:
        """Name every field, where the user may view the model."""
        return _fields(model) if _has(user, model, "view") else frozenset()

    def writable_fields(self, user: Any, model: type[Model]) -> frozenset[str]:
        """Name every field, where the user may change the model."""
        return _fields(model) if _has(user, model, "change") else frozenset()


def _fields(model: type[Model]) -> frozenset[str]:
    return frozenset(field.name for field in model._meta.get_fields() if field.concrete)


def _has(user: Any, model: type[Model], action: str) -> bool:
    options = model._meta
    return bool(user.has_perm(f"{options.app_label}.{action}_{options.model_name}"))


def policy() -> FieldPolicy:
    """Return the configured answer."""
    return cast("FieldPolicy", import_string(settings.field_policy)())
