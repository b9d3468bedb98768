"""What a session's user is told by mail."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.conf import settings as django_settings
from django.core.mail import send_mail
from django.template.loader import render_to_string

if TYPE_CHECKING:
    from datetime import datetime

    from garrison.context import RequestContext
    from sessions_tracking.models import Session

logger = logging.getLogger("sessions_tracking")


def mail_reuse(session: Session, *, seen_from: RequestContext, at: datetime) -> None:
    """Inform the user that their session was ended because its refresh token was in two hands.

    A mail server that is down is logged and nothing more: the session has been ended all the same.
    """
    user = session.user
    address = getattr(user, user.get_email_field_name(), "")
    if not address:
        return
    known = {
        "site_name": getattr(django_settings, "SITE_NAME", "this site"),
        "session": session,
        "seen_from": seen_from,
        "at": at,
    }
    subject = render_to_string("sessions_tracking/mail/refresh_reused_subject.txt", known)
    body = render_to_string("sessions_tracking/mail/refresh_reused.txt", known)
    try:
        send_mail(" ".join(subject.split()), body, None, [address])
    except Exception:  # a driver may raise anything; the answer must not depend on the post
        logger.exception("The notice about session %s could not be mailed.", session.pk)
