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

from audit.conf import settings
from audit.sealing import sealer
from audit.sealing.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("garrison.audit.sealing")

LONGEST_PAUSE_SECONDS = 30.0  # after failures, one after the other


def keep_sealing(
    stop: threading.Event, *, report: Callable[[int], None] = lambda _sealed: None
) -> None:
    """Seal what is new until ``stop`` is set; ``report`` gets how many each time there were any."""
    pause, memory = settings.seal_seconds, Memory()
    while True:
        try:
            if sealed := _look():
                report(sealed)
                memory.compare_and_renew()
            pause = settings.seal_seconds
        except Exception as failure:
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            logger.exception("Sealing failed; trying again in %.1f s.", pause)
            _give_up_connection(failure)
        if stop.wait(pause):
            break
    connection.close()


def _look() -> int:
    close_old_connections()
    return sealer.keep_up(now=timezone.now())


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
