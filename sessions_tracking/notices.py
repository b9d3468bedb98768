"""What a session's user is told by mail."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.db import transaction
from django.utils.module_loading import import_string

from garrison import background
from garrison.mails import compose, device_name
from sessions_tracking.conf import settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from garrison.context import RequestContext
    from sessions_tracking.models import Session

logger = logging.getLogger("sessions_tracking")


def mail_reuse(session: Session, *, seen_from: RequestContext, at: datetime) -> None:
    """Inform the user that their session was ended because its refresh token was in two hands.

    By ``SESSIONS_MAILER``, after the commit; no answer waits for it.
    """
    facts = {
        "signed_in_at": session.created_at,
        "last_used_at": session.last_seen_at,
        "last_used_ip": session.ip,
        "device": session.device or device_name(session.user_agent),
        "at": at,
        "ip": seen_from.ip,
    }
    mailer = import_string(settings.mailer)
    mailer(template="sessions_tracking/mail/refresh_reused", user=session.user, facts=facts)


def send_soon(*, template: str, user: Any, facts: Mapping[str, Any]) -> None:
    """Mail the user from a thread, once; a mail server that is down is logged and nothing more."""
    address = getattr(user, user.get_email_field_name(), "")
    if not address:
        return
    values = {"site_name": getattr(django_settings, "SITE_NAME", "this site"), **facts}

    def after_commit() -> None:
        background.run(partial(_send, template, address, values))

    transaction.on_commit(after_commit, robust=True)


def _send(template: str, address: str, values: Mapping[str, Any]) -> None:
    try:
        compose(template, address=address, values=values).send()
    except Exception as failure:  # noqa: BLE001 - a driver may raise anything; nobody waits for it
        # The class only: a mail server's answer may hold the address.
        logger.error(  # noqa: TRY400
            "The mail %s could not be sent: %s.", template, type(failure).__name__
        )
