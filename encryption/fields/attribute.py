"""The attribute on the model: ciphertext until it is accessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models.query_utils import DeferredAttribute

from encryption.ciphertext import Bare

if TYPE_CHECKING:
    from django.db import models


class EncryptedAttribute(DeferredAttribute):
    """Opens a value the first time it is read, and keeps it in clear in that instance.

    One value that cannot be read spoils only itself: the row and its other columns load.
    """

    field: Any  # the stubs know of no encrypted field

    def __init__(self, field: Any) -> None:
        """Keep what every access needs at hand."""
        super().__init__(field)
        self.name = field.attname
        self.closed_type = field.closed_type
        self.read_value = field.read_value

    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        """Return the clear value."""
        if instance is None:
            return self
        values = instance.__dict__
        try:
            value = values[self.name]
        except KeyError:
            return super().__get__(instance, cls)
        kind = type(value)
        if kind is self.closed_type:
            value = values[self.name] = self.read_value(value)
        elif kind is Bare:
            value = values[self.name] = self.field.open_bare(value, instance)
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        """Take a clear value, or ciphertext from the database."""
        instance.__dict__[self.name] = value
