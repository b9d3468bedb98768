"""Holding a lease: one run at a time, over all processes and machines.

A thread renews the lease while the work goes on. The work calls :meth:`HeldLease.require` at every
step and before every change that others can see; after the lease is lost it raises, and nothing is
changed any more.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from backups.conf import settings
from backups.errors import BackupBusy, LeaseLost
from backups.models import Lease
from backups.threads import BackgroundCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

logger = logging.getLogger("backups")

BACKUP, DRILL = "backup", "drill"


class HeldLease:
    """A lease that this process holds, as far as it knows."""

    def __init__(self, name: str, owner: uuid.UUID, fence: int) -> None:
        """Begin with a lease just acquired."""
        self.name = name
        self.owner = owner
        self.fence = fence
        self.on_beat: Callable[[], None] = lambda: None
        self._seconds = settings.lease_seconds
        self._renewed = time.monotonic()
        self._is_lost = False
        self._ended = threading.Event()
        self._beating = BackgroundCall(self._beat)

    def require(self) -> None:
        """Raise once the lease is lost; needs no query, so it may be called for every block."""
        if self._is_lost or time.monotonic() - self._renewed > self._seconds:
            raise LeaseLost(
                "This run did not answer in time and was declared dead; another one may have "
                "begun. It stops here and changes nothing more."
            )

    def require_now(self) -> None:
        """Query the database, and raise unless the lease is still ours at this moment."""
        self._renew()
        self.require()

    def _renew(self) -> None:
        asked = time.monotonic()
        now = timezone.now()
        if Lease.objects.renew(self.name, owner=self.owner, seconds=self._seconds, now=now):
            self._renewed = asked
        else:
            self._is_lost = True

    def _beat(self) -> None:
        try:
            while not self._ended.wait(self._seconds / 4) and not self._is_lost:
                try:
                    self._renew()
                    self.on_beat()
                except (DatabaseError, InterfaceError) as failure:
                    # Tried again at the next beat; without success, require() raises in time.
                    logger.warning("A lease could not be renewed: %s.", type(failure).__name__)
                    connection.close()
        finally:
            # This thread's own. Django's close() of a SQLite in memory would leave it open.
            BaseDatabaseWrapper.close(connections[DEFAULT_DB_ALIAS])

    def end(self) -> None:
        """Stop renewing and release the lease."""
        self._ended.set()
        self._beating.wait()
        with contextlib.suppress(DatabaseError, InterfaceError):  # gone: the lease will expire
            Lease.objects.release(self.name, owner=self.owner)


@contextmanager
def hold(name: str, *, now: datetime) -> Iterator[HeldLease]:
    """Hold a lease for a block; refused while another run holds it."""
    owner = uuid.uuid4()
    seconds = settings.lease_seconds
    fence = Lease.objects.acquire(name, owner=owner, seconds=seconds, now=now)
    if fence is None:
        raise BackupBusy(
            f"Another {name} run holds the lease. Wait for its end; if its process is dead, the "
            f"lease expires within {seconds} seconds."
        )
    held = HeldLease(name, owner, fence)
    try:
        yield held
    finally:
        held.end()
