"""Django's own sign-ins as events, where no app is installed that reports them better.

An app that emits its own says ``reports_sign_ins = True`` on its ``AppConfig``, as ``accounts``
does; audit is then silent, and no sign-in is two events.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.exceptions import ObjectDoesNotExist
from django.utils.crypto import salted_hmac

from audit import events
from garrison.events import emit

LONGEST_NAME = 254  # characters; a longer one is looked up nowhere
_SALT = "audit.sign_ins"


def connect() -> None:
    """Listen to Django's signals; called once at start."""
    if any(getattr(app, "reports_sign_ins", False) for app in apps.get_app_configs()):
        return
    user_logged_in.connect(_succeeded, dispatch_uid="audit.sign_ins.succeeded")
    user_login_failed.connect(_failed, dispatch_uid="audit.sign_ins.failed")
    user_logged_out.connect(_ended, dispatch_uid="audit.sign_ins.ended")


def _succeeded(user: Any, **_: Any) -> None:
    backend = getattr(user, "backend", "")
    emit(events.LOGIN_SUCCEEDED, actor=user, target=f"user:{user.pk}", data={"backend": backend})


def _failed(credentials: dict[str, Any], **_: Any) -> None:
    """Name the account where there is one; what was typed otherwise may be a password."""
    name = str(credentials.get("username", credentials.get(get_user_model().USERNAME_FIELD, "")))
    account = _account(name)
    data = {"name_fingerprint": _fingerprint(name)}
    if account is not None:
        data["account"] = account.get_username()
    emit(events.LOGIN_FAILED, target=f"user:{account.pk}" if account else "", data=data)


def _ended(user: Any, **_: Any) -> None:
    if user is not None:  # signing out without having signed in sends the signal too
        emit(events.LOGOUT_COMPLETED, actor=user, target=f"user:{user.pk}")


def _account(name: str) -> Any | None:
    if not name.isprintable() or len(name) > LONGEST_NAME:  # PostgreSQL refuses NUL
        return None
    try:
        return get_user_model()._default_manager.get_by_natural_key(name)
    except ObjectDoesNotExist:  # the usual answer for a name of nobody
        return None


def _fingerprint(name: str) -> str:
    """Return a keyed digest, which tells whether two attempts meant the same name."""
    folded = unicodedata.normalize("NFKC", name[:LONGEST_NAME]).casefold()
    return salted_hmac(
        _SALT, folded.encode("utf-8", "surrogatepass"), algorithm="sha256"
    ).hexdigest()[:32]
