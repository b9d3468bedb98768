"""Checks: the doors, the hashers and django-axes are set up as the lockout needs them."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth.hashers import get_hashers
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.utils.module_loading import import_string

from accounts.backends import OWN_BACKEND
from accounts.password.hashers import GarrisonArgon2PasswordHasher
from accounts.user_model import missing_fields

W001 = "accounts.W001"  # the backend is not listed, so the admin goes around the lockout
W002 = "accounts.W002"  # passwords are hashed in another way
W003 = "accounts.W003"  # several hashers: every sign-in pays for each of them
W004 = "accounts.W004"  # django-axes with a handler that stores what was posted
E005 = "accounts.E005"  # ModelBackend beside ours: a second door without a lockout
I006 = "accounts.I006"  # a user model without the fields that registering needs

MODEL_BACKENDS = {
    "django.contrib.auth.backends.ModelBackend",
    "django.contrib.auth.backends.AllowAllUsersModelBackend",
}
OUR_HANDLER = "accounts.axes_handler.LockoutHandler"


def check_backend(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Find doors that the lockout does not guard."""
    listed = set(django_settings.AUTHENTICATION_BACKENDS)
    if OWN_BACKEND not in listed:
        return [
            Warning(
                "Django's own sign-ins, such as the admin's, are not guarded by the lockout.",
                hint=f"Put {OWN_BACKEND!r} into AUTHENTICATION_BACKENDS.",
                id=W001,
            )
        ]
    return [
        Error(
            f"{path} checks passwords beside {OWN_BACKEND}, without a lockout.",
            hint="Remove it from AUTHENTICATION_BACKENDS; ours does what it does.",
            id=E005,
        )
        for path in sorted(listed & MODEL_BACKENDS)
    ]


def check_hashers(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Find a weaker profile, and hashers that are only there out of habit."""
    hashers = get_hashers()
    found: list[CheckMessage] = []
    if not isinstance(hashers[0], GarrisonArgon2PasswordHasher):
        found.append(
            Warning(
                f"New passwords are hashed by {type(hashers[0]).__name__}.",
                hint="Put 'accounts.password.hashers.GarrisonArgon2PasswordHasher' first in "
                "PASSWORD_HASHERS.",
                id=W002,
            )
        )
    if len(hashers) > 1:
        found.append(
            Warning(
                f"PASSWORD_HASHERS lists {len(hashers)}; every sign-in runs each of them once, so "
                "that nobody's older hash shows in the time.",
                hint="List only those that stored passwords still use.",
                id=W003,
            )
        )
    return found


def check_axes(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Find django-axes without our handler."""
    if not apps.is_installed("axes"):
        return []
    handler = getattr(django_settings, "AXES_HANDLER", "")
    if handler and issubclass(import_string(handler), import_string(OUR_HANDLER)):
        return []
    return [
        Warning(
            "django-axes counts after the password was hashed, and stores posted fields in clear.",
            hint=f"Set AXES_HANDLER = {OUR_HANDLER!r}.",
            id=W004,
        )
    ]


def check_user_model(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Report which doors are absent with a host's own user model."""
    missing = missing_fields()
    if not missing:
        return []
    return [
        CheckMessage(
            20,  # information: it is the host's choice, and nothing is wrong with it
            f"{django_settings.AUTH_USER_MODEL} lacks {', '.join(missing)}, so registering, "
            "verifying an address and renaming are not offered; signing in works.",
            hint="Nothing, where the host makes accounts itself; else add the fields.",
            id=I006,
        )
    ]
