"""The verbs: record an event, write it to the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from audit import models
from audit.cleaning import canonical, cleaned, printable
from audit.keys import key_of
from garrison import client_ip
from garrison.context import LONGEST_USER_AGENT

if TYPE_CHECKING:
    from garrison.events import SecurityEvent

logger = logging.getLogger("garrison.audit")


def record(*, event: SecurityEvent) -> models.SecurityEvent:
    """Store the event: one INSERT, in the caller's transaction.

    The same event recorded twice is refused by its key (``IntegrityError``).
    """
    return models.SecurityEvent.objects.create(**columns(event))


def columns(event: SecurityEvent) -> dict[str, object]:
    """Lay the event out as a row: printable, cut to its columns, without secrets."""
    where = event.context
    address = client_ip.parse(where.ip or "")
    return {
        "id": key_of(event.at, event.id),
        "kind": event.kind.name,
        "severity": int(event.severity),
        "outcome": str(event.kind.outcome),
        "at": event.at,
        "actor_id": printable(event.actor_id or "", longest=models.LONGEST_ID),
        "actor_label": printable(event.actor_label, longest=models.LONGEST_LABEL),
        "target": printable(event.target, longest=models.LONGEST_TARGET),
        "ip": str(address) if address else None,
        "user_agent": printable(where.user_agent, longest=LONGEST_USER_AGENT),
        "session_id": printable(where.session_id or "", longest=models.LONGEST_ID),
        "request_id": printable(where.request_id, longest=models.LONGEST_ID),
        "data": cleaned(event.data),
    }


def write_to_log(*, event: SecurityEvent) -> None:
    """Write the event as one line of canonical JSON to ``garrison.audit``.

    A formatter of :mod:`garrison.logs` writes its ``fields`` among the line's own.
    """
    row = columns(event)
    line = row | {"id": str(row["id"]), "at": event.at.isoformat()}
    fields = {"event": row["kind"]} | {n: v for n, v in line.items() if v not in ("", None)}
    logger.info("%s", canonical(line), extra={"fields": fields})
