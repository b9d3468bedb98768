"""A column for addresses that folds whatever is written to it or looked up in it."""

from __future__ import annotations

from typing import Any

from django.db import models

from accounts.login_name import LONGEST_LOGIN_NAME, fold


class EmailAddressField(models.EmailField):  # type: ignore[type-arg]  # generic only in the stubs
    """An e-mail address, stored folded (see :func:`accounts.login_name.fold`).

    Folding happens in the field, so no way past it exists through the ORM: forms, ``save``,
    ``bulk_create``, ``update``, ``exact`` and ``in`` go through it, and a plain unique index is
    enough for one account per address in any spelling. Patterns (``startswith``) are taken as they
    are: fold them yourself.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Cap the length at 254 characters unless told otherwise."""
        kwargs.setdefault("max_length", LONGEST_LOGIN_NAME)
        super().__init__(*args, **kwargs)

    def to_python(self, value: Any) -> Any:
        """Fold what a form or a fixture holds."""
        value = super().to_python(value)
        return fold(value) if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        """Fold what goes to the database, as a value or as the right side of a lookup."""
        value = super().get_prep_value(value)
        return fold(value) if isinstance(value, str) else value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: FBT001 - Django's
        """Fold the attribute too, so the object in memory is what was stored."""
        value = super().pre_save(model_instance, add)
        if isinstance(value, str):
            value = fold(value)
            setattr(model_instance, self.attname, value)
        return value
