"""A serializer that shows and takes only the fields that the field policy allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser
from django.utils.translation import gettext_lazy as _
from rest_framework.serializers import ModelSerializer, ValidationError

from accounts.field_permissions import may_see
from garrison.field_policy import policy

if TYPE_CHECKING:
    _Serializer = ModelSerializer[Any]
else:
    _Serializer = object

NOT_YOURS = _("There is no such field, or you may not write it.")


class FieldsGuarded(_Serializer):
    """For a serializer of a model: ``class Patient(FieldsGuarded, ModelSerializer)``.

    A field that the asking user may not see is not in it, and writing one that they may not write
    is refused with 400. Without a request in the context nobody asks, and nothing is shown.
    """

    def get_fields(self) -> dict[str, Any]:
        """Leave out what may not be seen; take nothing that may not be written."""
        fields = super().get_fields()
        if getattr(self.context.get("view"), "swagger_fake_view", False):
            return fields  # the schema is one for everybody
        user: Any = getattr(self.context.get("request"), "user", None) or AnonymousUser()
        model: Any = self.Meta.model
        seen = {
            name: field
            for name, field in fields.items()
            if may_see(user=user, model=model, path=(field.source or name).replace(".", "__"))
        }
        options, writable = model._meta, policy().writable_fields(user, model)
        columns = {field.name for field in (*options.concrete_fields, *options.many_to_many)}
        for name, field in seen.items():
            if (field.source or name) in columns - writable:
                field.read_only, field.required = True, False
        return seen

    def to_internal_value(self, data: Any) -> Any:
        """Refuse what may not be written, lest it be passed over as if it were done."""
        if isinstance(data, Mapping):
            taken = {name for name, field in self.fields.items() if not field.read_only}
            declared = {name for name, field in super().get_fields().items() if not field.read_only}
            if refused := sorted((declared - taken) & set(data)):
                raise ValidationError({name: [NOT_YOURS] for name in refused}, "unknown_field")
        return super().to_internal_value(data)
