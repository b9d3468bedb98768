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
    from collections.abc import Mapping

    from django.db.models import Model


class FieldPolicy(Protocol):
    """What an answer looks like: sets of field names, empty where nothing is allowed."""

    def visible_fields(self, user: Any, model: type[Model]) -> frozenset[str]:
        """Name the fields the user may see."""

    def writable_fields(self, user: Any, model: type[Model]) -> frozenset[str]:
        """Name the fields the user may write."""


class DjangoPermissions:
    """All fields to whoever has a permission on the model, none to anybody else.

    As in Django's admin, the right to change is the right to view; who adds rows writes fields.
    """

    def visible_fields(self, user: Any, model: type[Model]) -> frozenset[str]:
        """Name every field, where the user may view or change the model."""
        return _fields_for(user, model, "view", "change")

    def writable_fields(self, user: Any, model: type[Model]) -> frozenset[str]:
        """Name every field, where the user may change or add to the model."""
        return _fields_for(user, model, "change", "add")


def _fields_for(user: Any, model: type[Model], *actions: str) -> frozenset[str]:
    options = model._meta
    if not any(
        user.has_perm(f"{options.app_label}.{action}_{options.model_name}") for action in actions
    ):
        return frozenset()
    return frozenset(field.name for field in (*options.concrete_fields, *options.many_to_many))


def policy() -> FieldPolicy:
    """Return the configured answer."""
    return cast("FieldPolicy", import_string(settings.field_policy)())


def visible_values(*, user: Any, model: type[Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what the user may see of a row's values or changes by field; for exports and history."""
    visible = policy().visible_fields(user, model)
    return {name: value for name, value in values.items() if name in visible}
