"""The base of every serializer: these fields and no others, of these types and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import QueryDict
from rest_framework import serializers

from garrison.errors import FieldError
from http_hardening.api.problems import field_errors
from http_hardening.errors import InvalidQuery

NOT_KNOWN = "This field is not known."
MOST_UNKNOWN_NAMED = 20  # an answer need not repeat a megabyte of names
LONGEST_NAME_SHOWN = 100  # characters
LONGEST_PASSWORD = 1024  # characters
LONGEST_CURSOR = 500  # characters
MOST_ROWS = 200  # of one page

# REST framework coerces: "yes" to True, 5 to "5", "1" to 1. A request that means something else
# than it says is refused instead. Looked up from the top; a field of none of these takes anything.
JSON_TYPES: tuple[
    tuple[type[serializers.Field[Any, Any, Any, Any]], tuple[type, ...], str], ...
] = (
    (serializers.BooleanField, (bool,), "true or false"),
    (serializers.IntegerField, (int,), "a whole number"),
    (serializers.FloatField, (int, float), "a number"),
    (serializers.DecimalField, (int, float, str), "a number"),
    (serializers.CharField, (str,), "text"),
    (serializers.UUIDField, (str,), "text"),
    (serializers.DateTimeField, (str,), "text"),
    (serializers.DateField, (str,), "text"),
    (serializers.TimeField, (str,), "text"),
    (serializers.DurationField, (str,), "text"),
    (serializers.IPAddressField, (str,), "text"),
    (serializers.MultipleChoiceField, (list,), "a list"),
    (serializers.ListField, (list,), "a list"),
    (serializers.ListSerializer, (list,), "a list"),
    (serializers.ManyRelatedField, (list,), "a list"),
    (serializers.DictField, (dict,), "an object"),
    (serializers.BaseSerializer, (dict,), "an object"),
)


class StrictMixin:
    """Refuse fields that are not known or cannot be written, and values of another JSON type.

    ``null`` is the field's own business (``allow_null``). Form data, where all is text, is held to
    the names only.
    """

    fields: Any

    def to_internal_value(self, data: Any) -> Any:
        """Check names and types, then go on as the serializer does."""
        if isinstance(data, Mapping):
            errors = self._unknown(data)
            if not isinstance(data, QueryDict):
                errors |= self._mistyped(data)
            if errors:
                raise serializers.ValidationError(errors)
        return super().to_internal_value(data)  # type: ignore[misc]  # the serializer's own

    def _unknown(self, data: Mapping[str, Any]) -> dict[str, Any]:
        writable = {name for name, field in self.fields.items() if not field.read_only}
        unknown = [str(name)[:LONGEST_NAME_SHOWN] for name in data if name not in writable]
        detail = serializers.ErrorDetail(NOT_KNOWN, code="unknown_field")
        return {name: [detail] for name in unknown[:MOST_UNKNOWN_NAMED]}

    def _mistyped(self, data: Mapping[str, Any]) -> dict[str, Any]:
        found = {
            name: _wrong_type(field, data[name])
            for name, field in self.fields.items()
            if name in data and not field.read_only
        }
        return {name: errors for name, errors in found.items() if errors}


class StrictSerializer(StrictMixin, serializers.Serializer[Any]):
    """A serializer of exactly its fields and types."""


class PasswordField(serializers.CharField):
    """A password as typed: nothing trimmed, at most 1,024 characters, never sent back."""

    def __init__(self, **kwargs: Any) -> None:
        """Fix what must not vary; everything else may be given."""
        super().__init__(
            **{"max_length": LONGEST_PASSWORD, **kwargs}, trim_whitespace=False, write_only=True
        )


# Python reads "+5", " 5", "1_0" and the digits of every script as numbers.
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}", re.ASCII)


class QuerySerializer(serializers.Serializer[Any]):
    """The query parameters of an operation: these names, each once unless it is a list."""

    @classmethod
    def read(cls, given: QueryDict) -> dict[str, Any]:
        """Return the validated parameters; raises ``InvalidQuery`` with every reason."""
        query = cls(data=given)
        errors = [*query._refused_names(given)]
        if not query.is_valid():
            errors += field_errors(query.errors)
        if errors:
            raise InvalidQuery(errors=errors)
        return dict(query.validated_data)

    def _refused_names(self, given: QueryDict) -> Iterator[FieldError]:
        for name in sorted(set(given) - set(self.fields))[:MOST_UNKNOWN_NAMED]:
            shown = name[:LONGEST_NAME_SHOWN]
            yield FieldError("unknown_field", "There is no such parameter.", shown)
        for name, field in self.fields.items():
            is_list = isinstance(field, serializers.ListField)
            if not is_list and len(given.getlist(name)) > 1:
                yield FieldError("repeated", "It is given more than once.", name)
            if given.get(name) == "" and not getattr(field, "allow_blank", False):
                # REST framework would read it as left out.
                yield FieldError("blank", "It is empty; leave it out instead.", name)
            is_number = name in given and isinstance(field, serializers.IntegerField)
            if is_number and not WHOLE_NUMBER.fullmatch(str(given[name])):
                yield FieldError("invalid", "This must be a whole number.", name)


class PageQuery(QuerySerializer):
    """Which page of a list: after which cursor, and how long."""

    cursor = serializers.CharField(max_length=LONGEST_CURSOR, default="", allow_blank=True)
    limit = serializers.IntegerField(min_value=1, max_value=MOST_ROWS, default=50)


class PageOutput(serializers.Serializer[Any]):
    """A page; a subclass adds ``results``. ``next`` is the next page's cursor, or null."""

    next = serializers.CharField(allow_null=True)


def _wrong_type(field: Any, value: Any) -> Any:
    """Return the errors of one value in REST framework's shape, or nothing."""
    if value is None:
        return None
    if type(field) is serializers.ChoiceField:
        # "1" is not 1, though REST framework would find the one for the other.
        is_right = any(isinstance(choice, type(value)) for choice in [*field.choices, ""])
        return None if is_right else _error("This must be one of the choices.")
    for kind, types, name in JSON_TYPES:
        if isinstance(field, kind):
            # bool is an int in Python, and 1 is not true in JSON.
            is_right = isinstance(value, types) and (bool in types or not isinstance(value, bool))
            return _wrong_items(field, value) if is_right else _error(f"This must be {name}.")
    return None


def _wrong_items(field: Any, value: Any) -> Any:
    if not isinstance(field, serializers.ListField):
        return None
    errors = {i: wrong for i, item in enumerate(value) if (wrong := _wrong_type(field.child, item))}
    return errors or None


def _error(text: str) -> list[serializers.ErrorDetail]:
    return [serializers.ErrorDetail(text, code="invalid_type")]
