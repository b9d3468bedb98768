"""Error pages and error mails without the values that are encrypted at rest.

Nothing in this package raises with a value in sight. But ``Patient.objects.create(note="…")`` puts
the caller's value into the frames of the caller and of Django, and Django's error mail prints the
variables of every frame. This filter hides, by name, everything that is called like an encrypted
field: variables, entries of dictionaries, and what was posted. Switch it on by::

    DEFAULT_EXCEPTION_REPORTER_FILTER = "encryption.reporting.EncryptedValuesFilter"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.views.debug import SafeExceptionReporterFilter

from encryption.fields import encrypted_fields

if TYPE_CHECKING:
    from django.http import HttpRequest

DEEPEST = 6  # nested dictionaries and lists


class EncryptedValuesFilter(SafeExceptionReporterFilter):
    """Django's filter, and nothing named like an encrypted field; in DEBUG too.

    A value that was copied into a variable of another name is not found by it.
    """

    def get_traceback_frame_variables(self, request: Any, tb_frame: Any) -> Any:
        """Hide values in the variables of one frame."""
        names = secret_names()
        return [
            (name, self.hidden(name, value, names))
            for name, value in super().get_traceback_frame_variables(request, tb_frame)
        ]

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        """Hide what was typed into encrypted fields."""
        names, posted = secret_names(), super().get_post_parameters(request)
        if names.isdisjoint(posted):
            return posted
        return {name: self.hidden(name, value, names) for name, value in posted.items()}

    def hidden(self, name: Any, value: Any, names: frozenset[str], depth: int = 0) -> Any:
        """Return the value, or a mask where it or a part of it is named like an encrypted field."""
        if name in names:
            return self.cleansed_substitute
        if depth >= DEEPEST:
            return value
        if isinstance(value, dict):
            return {k: self.hidden(k, v, names, depth + 1) for k, v in value.items()}
        if type(value) in (list, tuple, set, frozenset):
            return [self.hidden(None, item, names, depth + 1) for item in value]
        return value


def secret_names() -> frozenset[str]:
    """Name every encrypted field of every installed model."""
    if not apps.models_ready:
        return frozenset()
    return frozenset(field.name for model in apps.get_models() for field in encrypted_fields(model))
