"""Sealing all the time: in beat's process, or in one of its own (``audit_seal --forever``).

Not as a task every second: a task waits behind long ones, and fills the log. Several loops on
several machines are harmless, one of them works. Whatever fails is logged and tried again.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from django.db import close_old_connections, connection
from django.utils import timezone

from audit.checkpoints import writing
from audit.conf import settings
from audit.models import EventSeal
from audit.sealing import reporting, sealer

if TYPE_CHECKING:
    from collections.abc import Callable

    from audit.sealing.sealer import ChainHead

logger = logging.getLogger("garrison.audit.sealing")

LONGEST_PAUSE_SECONDS = 30.0  # after failures, one after the other


class Memory:
    """The newest link of each stream, as it was after the last look.

    Between two checkpoints somebody who owns the database could remove the newest seals, change
    their events and let the sealer seal them anew. A sealer that runs on notices within one look,
    because its own memory is in no database.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._heads: dict[str, ChainHead] = {}

    def compare_and_renew(self) -> list[str]:
        """Report, as events, streams whose remembered link is gone; then remember the newest."""
        known = self._heads.items()
        lost = {s: head for s, head in known if not sealer.stands(s, head.seq, head.mac)}
        for stream, head in lost.items():
            what = f"Number {head.seq} of {stream!r} was removed or replaced while the sealer ran."
            reporting.emit_broken(stream=stream, detail=what, number=head.seq)
        self._heads = {stream: sealer.head_of(stream) for stream in EventSeal.objects.streams()}
        return [*lost]


def keep_sealing(
    stop: threading.Event, *, report: Callable[[int], None] = lambda _sealed: None
) -> None:
    """Seal what is new until ``stop`` is set; ``report`` gets how many each time there were any."""
    pause, memory = settings.seal_seconds, Memory()
    while True:
        try:
            close_old_connections()
            if sealed := sealer.keep_up(now=timezone.now()):
                report(sealed)
                memory.compare_and_renew()
                writing.write_first()
            pause = settings.seal_seconds
        except Exception as failure:
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            logger.exception("Sealing failed; trying again in %.1f s.", pause)
            _give_up_connection(failure)
        if stop.wait(pause):
            break
    connection.close()


def _give_up_connection(failure: Exception) -> None:
    try:
        connection.close()
    except Exception:  # noqa: BLE001 - a new one is made at the next look, whatever this one says
        logger.debug("The connection did not close after %s.", type(failure).__name__)


def seal_beside_beat() -> None:
    """Keep sealing in a thread of Celery's beat, which has nothing else to do and never forks."""
    try:
        from celery import signals
    except ImportError:  # a host without Celery runs the command
        return
    signals.beat_init.connect(_start_thread, dispatch_uid="audit.sealing.loop")


def _start_thread(**_: object) -> None:
    threading.Thread(
        target=keep_sealing, args=(threading.Event(),), name="audit-sealer", daemon=True
    ).start()
