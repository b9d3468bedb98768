"""Where the tables may live that decide who may do what: one database, and never behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.db import router

if TYPE_CHECKING:
    from django.db.models import Model

VENDORS = ("postgresql", "sqlite")  # what every statement is written for, and tested on
DJANGOS_OWN = frozenset(
    {"auth", "axes", "contenttypes", "sessions"}
)  # they decide as well, where they are read


def own_models() -> list[type[Model]]:
    """Return the models of every app whose ``AppConfig`` says ``tables_decide``, and the user's.

    They live together: an event is stored in the transaction of what it reports, and a session is
    read joined with its user. Empty where no such app is installed.
    """
    ours = [app for app in apps.get_app_configs() if getattr(app, "tables_decide", False)]
    found = [model for app in ours for model in app.get_models(include_auto_created=True)]
    return [*found, apps.get_model(settings.AUTH_USER_MODEL)] if found else []


def deciding_models() -> list[type[Model]]:
    """Return those, and the models of Django's and django-axes that decide beside them."""
    named = own_models()
    beside = [app for app in apps.get_app_configs() if app.label in DJANGOS_OWN]
    return [*named, *(model for app in beside for model in app.get_models())] if named else []


class PrimaryRouter:
    """Reads what decides where it is written, never in a replica that lags behind.

    First in ``DATABASE_ROUTERS``; where it is written, and everything else, the next ones say.
    """

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """Return where the model is written, if it decides."""
        if model._meta.app_label in _labels():
            written: str = router.db_for_write(model, **hints)
            return written
        return None


def _labels() -> frozenset[str]:
    ours = {app.label for app in apps.get_app_configs() if getattr(app, "tables_decide", False)}
    return DJANGOS_OWN | ours | {settings.AUTH_USER_MODEL.partition(".")[0]}
