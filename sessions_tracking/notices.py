"""What a session's user is told by mail."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings as django_settings

from garrison import background
from garrison.mails import compose, device_name

if TYPE_CHECKING:
    from datetime import datetime

    from garrison.context import RequestContext
    from sessions_tracking.models import Session

logger = logging.getLogger("sessions_tracking")


def mail_reuse(session: Session, *, seen_from: RequestContext, at: datetime) -> None:
    """Inform the user that their session was ended because its refresh token was in two hands.

    Sent beside the answer, which would else be as slow as the mail server. One that is down is
    logged and nothing more: the session has been ended all the same.
    """
    user = session.user
    address = getattr(user, user.get_email_field_name(), "")
    if address:
        known = {
            "site_name": getattr(django_settings, "SITE_NAME", "this site"),
            "session": session,
            "device": session.device or device_name(session.user_agent),
            "seen_from": seen_from,
            "at": at,
        }
        background.run(partial(_send, session, address, known))


def _send(session: Session, address: str, known: dict[str, object]) -> None:
    try:
        compose("sessions_tracking/mail/refresh_reused", address=address, values=known).send()
    except Exception:  # a driver may raise anything; nobody waits for the result
        logger.exception("The notice about session %s could not be mailed.", session.pk)
