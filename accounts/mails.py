"""Mails leave a row with the change, and are sent after the answer, until they are gone.

Nothing is mailed inside a request, so no answer takes longer for an address that has an account. A
thread of the process sends at once; what it could not send, beat's task or ``send_mails`` sends
later, on any machine (``docs/decisions/0030-…``).
"""

from __future__ import annotations

import logging
import smtplib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from accounts import events
from accounts.conf import settings
from accounts.letters import letter_for
from accounts.models import OutgoingMail
from garrison import background, context
from garrison.events import emit
from garrison.mails import compose, device_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accounts.letters import Letter

logger = logging.getLogger("accounts.mails")

FIRST_WAIT = timedelta(minutes=1)  # longer than a mail server may take; doubled with each try
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=1)


def queue(template: str, *, address: str = "", user_id: Any = None, **facts: Any) -> None:
    """Leave a mail with the present transaction; it is sent after the commit.

    ``facts`` are what its template shows, as JSON; moments are called ``at``, ``until`` or
    ``…_at``, and no secret may be among them. One statement, whoever it is for.
    """
    known = context.current()
    now = timezone.now()
    seen = {
        "at": known.started_at or now,
        "device": device_name(known.user_agent),
        "ip": known.ip,
        "request_id": known.request_id,
    }
    OutgoingMail.objects.create(
        template=template,
        address=address,
        user_id=user_id,
        facts=seen | facts,
        queued_at=now,
        due_at=now,
    )
    transaction.on_commit(_send_soon, robust=True)


def queue_notice(*, template: str, user: Any, facts: Mapping[str, Any]) -> None:
    """Leave another app's mail to a user, as ``SESSIONS_MAILER``; the template is named whole."""
    queue(template, user_id=user.pk, **facts)


def _send_soon() -> None:
    background.run(send_due)


def send_due(*, now: datetime | None = None) -> int:
    """Send every mail that is due; return how many were sent. Raises nothing for one that fails."""
    sent = 0
    while mail := _claim(now=now or timezone.now()):
        sent += _send(mail, now=now or timezone.now())
    return sent


def _claim(*, now: datetime) -> OutgoingMail | None:
    """Take a due mail by one conditional ``UPDATE``; nobody else tries it before the wait is over.

    A process that is killed while it sends leaves the mail to the next: it may arrive twice, and
    never not at all.
    """
    for mail in OutgoingMail.objects.due(now=now).select_related("user")[:20]:
        wait = min(FIRST_WAIT * 2 ** min(mail.tries, 10), LONGEST_WAIT)
        rows = OutgoingMail.objects.filter(pk=mail.pk, tries=mail.tries)
        if rows.update(tries=mail.tries + 1, due_at=now + wait):
            mail.tries += 1
            return mail
    return None


def _send(mail: OutgoingMail, *, now: datetime) -> bool:
    facts = mail.facts
    asked = context.RequestContext(request_id=facts.get("request_id", ""), ip=facts.get("ip"))
    with context.bound(asked):
        try:
            letter = letter_for(mail, now=now)
            if letter is not None:
                _deliver(mail.template, letter, facts)
        except Exception as failure:  # noqa: BLE001 - whatever a mail backend or a template raises
            _failed(mail, failure, now=now)
            return False
    mail.delete()
    return letter is not None


def _deliver(template: str, letter: Letter, facts: dict[str, Any]) -> None:
    address, values = letter
    about = {
        "site_name": settings.site_name,
        "self_service_url": settings.self_service_url,
        "unlock_url": settings.unlock_url,
        "minutes": settings.code_seconds // 60,
    }
    moments = {
        name: datetime.fromisoformat(facts[name])
        for name in facts
        if name in {"at", "until"} or name.endswith("_at")
    }
    values = about | facts | moments | dict(values)
    name = template if "/" in template else f"accounts/mail/{template}"
    compose(name, address=address, values=values).send()


def _failed(mail: OutgoingMail, failure: Exception, *, now: datetime) -> None:
    """Leave it to a later try; report it where there is none, or where the address is refused."""
    # The class only: a mail server's answer may hold the address, and a traceback the code.
    name = type(failure).__name__
    logger.error("The mail %s could not be sent: %s.", mail.template, name)
    if not _is_final(failure) and now - mail.queued_at < GIVE_UP_AFTER:
        return
    data = {"mail": mail.template, "tries": mail.tries, "error": name}
    target = f"user:{mail.user_id}" if mail.user_id is not None else ""
    with transaction.atomic():
        mail.delete()
        emit(events.MAIL_ABANDONED, target=target, data=data, now=now)


def _is_final(failure: Exception) -> bool:
    """Return whether the mail server has refused the address for good (RFC 5321 §4.2.1)."""
    if not isinstance(failure, smtplib.SMTPRecipientsRefused):
        return False
    return all(code >= 500 for code, _ in failure.recipients.values())
