"""Checks: the doors, the hashers and django-axes are set up as the lockout needs them."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import get_hashers
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.utils.module_loading import import_string

from accounts.backends import OWN_BACKEND
from accounts.conf import settings
from accounts.field_permissions import DECLARATIONS, FieldPermissions
from accounts.password.breaches import corpus
from accounts.password.hashers import GarrisonArgon2PasswordHasher
from accounts.user_model import missing_fields
from garrison.field_policy import policy

W001 = "accounts.W001"  # the backend is not listed, so the admin goes around the lockout
W002 = "accounts.W002"  # passwords are hashed in another way
W003 = "accounts.W003"  # several hashers: every sign-in pays for each of them
W004 = "accounts.W004"  # django-axes with a handler that stores what was posted
E005 = "accounts.E005"  # ModelBackend beside ours: a second door without a lockout
W008 = "accounts.W008"  # a mail server that falls silent is waited for without end
W007 = "accounts.W007"  # an admin that lets staff give themselves what they do not have
I030 = "accounts.I030"  # nobody knows breached passwords
W050 = "accounts.W050"  # fields are declared, and the policy that is asked does not know them
I006 = "accounts.I006"  # a user model without the fields that registering needs

SMTP = "django.core.mail.backends.smtp.EmailBackend"
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


def check_mail_timeout(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn where the threads that send mails would wait for a silent server for ever."""
    mailers = getattr(django_settings, "MAILERS", None)  # from Django 6.1 on
    if mailers:
        mailer = mailers.get("default", {})
        backend, timeout = mailer.get("BACKEND"), mailer.get("OPTIONS", {}).get("timeout")
    else:
        backend, timeout = django_settings.EMAIL_BACKEND, django_settings.EMAIL_TIMEOUT
    if backend != SMTP or timeout is not None:
        return []
    return [
        Warning(
            "A mail server that falls silent is waited for without end, and no mail is sent after.",
            hint="Set EMAIL_TIMEOUT, or the mailer's option `timeout`, to 10 seconds.",
            id=W008,
        )
    ]


def check_breaches(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Report that new passwords are not compared with those that attackers have."""
    if settings.breach_service_url or corpus.installed_path():
        return []
    return [
        CheckMessage(
            20,  # information: whether to ask a stranger is the operator's choice
            "Breached passwords are unknown here: no corpus is installed, and no service is named.",
            hint="Run `manage.py breach_corpus install FILE`, or set ACCOUNTS_BREACH_SERVICE_URL.",
            id=I030,
        )
    ]


def check_field_policy(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Find declared fields that everybody sees who sees the model."""
    host = [found for found in DECLARATIONS if found.model._meta.app_label != "accounts"]
    if not host or isinstance(policy(), FieldPermissions):
        return []
    return [
        Warning(
            "Declared fields take no permission of their own: GARRISON_FIELD_POLICY names a policy "
            "that does not know them.",
            hint="Set GARRISON_FIELD_POLICY = 'accounts.field_permissions.FieldPermissions', or a "
            "class derived from it.",
            id=W050,
        )
    ]


def check_admins(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Find admins by which staff could give themselves privileges that they do not have."""
    if not apps.is_installed("django.contrib.admin"):
        return []
    from django.contrib.admin.sites import all_sites

    registered = [
        site.get_model_admin(model)
        for site in all_sites
        for model in apps.get_models(include_auto_created=True)
        if site.is_registered(model)
    ]
    return [
        Warning(
            f"{type(found).__module__}.{type(found).__name__} lets staff give privileges that they "
            "do not have themselves.",
            hint="Derive the admin of users from accounts.admin.guard.AccountGuard, that of groups "
            "from accounts.admin.guard.GuardedGroupAdmin; edit neither inline, and register no "
            "permissions.",
            id=W007,
        )
        for found in registered
        if _is_unguarded(found)
    ]


def _is_unguarded(found: Any) -> bool:
    user_model = get_user_model()
    rows = [getattr(user_model, name, None) for name in ("groups", "user_permissions")]
    links = [relation.through for relation in (*rows, Group.permissions) if relation]
    by_form = (user_model, Group)
    never = (*links, Permission, ContentType)
    return (
        issubclass(found.model, never)
        or any(issubclass(inline.model, (*by_form, *never)) for inline in found.inlines)
        or (issubclass(found.model, by_form) and not getattr(found, "guards_privileges", False))
    )
