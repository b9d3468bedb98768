"""Roles: Django's groups, with the permissions that the installed apps declare for them.

An app declares in its ``AppConfig`` what its permissions mean to a role, and one that is not
installed contributes nothing::

    role_permissions = {"auditor": ["view_invoice"], "support": ["view_invoice", "resend_invoice"]}

``ACCOUNTS_ROLES`` adds to it, and leaves a role out where it is ``None``.
"""

from __future__ import annotations

from django.apps import apps
from django.contrib.auth import get_user_model

from accounts.conf import settings
from accounts.field_permissions import DECLARATIONS

SECURITY_OFFICER = "security officer"
AUDITOR = "auditor"
OPERATOR = "operator"
SUPPORT = "support"
USER = "user"

# What they may do with accounts, whose model may be the host's own.
_ON_USERS = {
    SECURITY_OFFICER: ("view", "add", "change", "view_personal", "change_personal", "send_reset"),
    AUDITOR: ("view",),
    OPERATOR: (),
    SUPPORT: ("view", "change", "view_personal", "send_reset"),
    USER: (),
}


def declared() -> dict[str, frozenset[str]]:
    """Return each role with its permissions, named as ``has_perm`` takes them."""
    users = get_user_model()._meta
    knows_personal = f"{users.label_lower}.personal" in DECLARATIONS  # a host declares its own
    roles: dict[str, set[str]] = {
        role: {
            f"{users.app_label}.{action}_{users.model_name}"
            for action in actions
            if knows_personal or not action.endswith("_personal")
        }
        for role, actions in _ON_USERS.items()
    }
    for role in (SECURITY_OFFICER, AUDITOR):
        roles[role].add("auth.view_group")
    for config in apps.get_app_configs():
        for role, codenames in getattr(config, "role_permissions", {}).items():
            roles.setdefault(role, set()).update(f"{config.label}.{name}" for name in codenames)
    for role, names in settings.roles.items():
        if names is None:
            roles.pop(role, None)
        else:
            roles.setdefault(role, set()).update(names)
    return {role: frozenset(names) for role, names in sorted(roles.items())}
