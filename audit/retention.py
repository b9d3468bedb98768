"""Removing evidence that has been kept long enough: behind a signed anchor, the oldest first."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connection

from audit import append_only
from audit.checkpoints import writing
from audit.conf import settings
from audit.events import ATTESTATION_INTRODUCED, EVENTS_REMOVED
from audit.models import Checkpoint, EventSeal, SealedUntil
from audit.sealing.rollout import ROLLOUT
from garrison import events

if TYPE_CHECKING:
    from datetime import datetime

BATCH_ROWS = 1000


def remove_old(*, now: datetime, batch_rows: int = BATCH_ROWS) -> int:
    """Remove sealed events that are older than ``AUDIT_KEEP_DAYS``; return how many.

    Each batch commits on its own, with the anchor behind which verification begins and the event
    that says so. Stops before a number that is missing: what somebody removed stays to be seen.
    """
    if not settings.keep_days:
        return 0
    cutoff = now - timedelta(days=settings.keep_days)
    total = 0
    for stream in EventSeal.objects.streams():
        while removed := _remove(stream, cutoff=cutoff, now=now, batch_rows=batch_rows):
            total += removed
    return total


def _remove(stream: str, *, cutoff: datetime, now: datetime, batch_rows: int) -> int:
    with append_only.door_open(connection):
        list(SealedUntil.objects.select_for_update())  # one at a time, and no sealer beside it
        before = Checkpoint.objects.removed_up_to(stream)
        last = _last_old(stream, after=before, cutoff=cutoff, batch_rows=batch_rows)
        if last is None:
            return 0
        writing.write_anchor(stream=stream, seq=last.seq, mac=bytes(last.mac), now=now)
        up_to: list[Any] = [stream, last.seq]
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM audit_securityevent WHERE id IN "
                "(SELECT event_id FROM audit_eventseal WHERE stream = %s AND seq <= %s)",
                up_to,
            )
            cursor.execute("DELETE FROM audit_eventseal WHERE stream = %s AND seq <= %s", up_to)
        data = {"from": before + 1, "up_to": last.seq, "older_than": cutoff.isoformat()}
        events.emit(EVENTS_REMOVED, target=f"stream:{stream}", data=data, now=now)
    return last.seq - before


def _last_old(stream: str, *, after: int, cutoff: datetime, batch_rows: int) -> EventSeal | None:
    """Return the last seal of the old beginning that has no number missing, event and seal."""
    seals = EventSeal.objects.filter(stream=stream).select_related("event").order_by("seq")
    last = None
    for number, seal in enumerate(seals[:batch_rows], after + 1):
        if seal.seq != number or _covers_until(seal) >= cutoff or seal.sealed_at >= cutoff:
            break
        last = seal
    return last


def _covers_until(seal: EventSeal) -> datetime:
    """Return when an event may go; that of a rollout not before what it explains."""
    is_rollout = seal.event.kind == str(ATTESTATION_INTRODUCED)
    return seal.event.at + (ROLLOUT if is_rollout else timedelta())


def clean_admin_log(*, now: datetime, batch_rows: int = BATCH_ROWS) -> int:
    """Delete what Django's admin noted longer ago than ``AUDIT_KEEP_DAYS``, in batches."""
    if not settings.keep_days or not apps.is_installed("django.contrib.admin"):
        return 0
    rows: Any = apps.get_model("admin.LogEntry")._default_manager
    old = rows.filter(action_time__lt=now - timedelta(days=settings.keep_days))
    total = 0
    while keys := list(old.values_list("pk", flat=True)[:batch_rows]):
        total += old.filter(pk__in=keys).delete()[0]
    return total
