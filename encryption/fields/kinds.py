"""What may be wrapped, and the class of the field that wraps it: what it wraps, for whoever asks.

Serializers, filters and the admin choose by class, so ``Encrypted(DecimalField())`` is a
``DecimalField`` too. What it does is ours, and otherwise the plain ``Field``'s: of the wrapped
class it has only what no plain field has.
"""

from __future__ import annotations

from functools import cache
from types import new_class
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.db import models

_ST = TypeVar("_ST")
_GT = TypeVar("_GT")

# Of the class itself; what its fields are and do is all the rest.
_OF_THE_CLASS = {"__module__", "__doc__", "__dict__", "__weakref__", "__init_subclass__"}
_OF_FIELDS = {
    name: member for name, member in vars(models.Field).items() if name not in _OF_THE_CLASS
}

if TYPE_CHECKING:

    class PlainField(models.Field[_ST, _GT]):
        """Django's field, which is generic in the stubs alone."""

else:
    # Django's field made generic, with its members in front of those of a wrapped class.
    PlainField = new_class(
        "PlainField",
        (models.Field, Generic[_ST, _GT]),
        exec_body=lambda own: own.update(_OF_FIELDS),
    )


@cache
def class_for(own: Any, wrapped: Any) -> Any:
    """Return the class of a field that wraps another: a subclass of both."""
    if issubclass(own, wrapped):
        return own  # a copy
    return type(f"{own.__name__}{wrapped.__name__}", (own, wrapped), {"__module__": own.__module__})


def unwrappable(base: models.Field[Any, Any]) -> str:
    """Report why a field cannot be encrypted; an empty text if it can."""
    if base.remote_field is not None:
        return "A relation cannot be encrypted; the database must follow it."
    if isinstance(base, models.FileField):
        return "A file field holds a name, not the file; encrypting it protects nothing."
    if isinstance(base, models.AutoField | models.BigAutoField | models.SmallAutoField):
        return "A key that the database assigns cannot be encrypted."
    if getattr(base, "generated", False) or base.db_parameters is None:
        return "A generated column cannot be encrypted."
    return ""
