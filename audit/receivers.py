"""What audit does when something is said on ``garrison.events``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from audit import services
from audit.conf import settings
from garrison.events import Delivery, listener, security_event

if TYPE_CHECKING:
    from garrison.events import SecurityEvent


def store(event: SecurityEvent) -> None:
    """Store the event where it commits or falls with the change it describes."""
    services.record(event=event)


def log(event: SecurityEvent) -> None:
    """Write the event to the log: when its change is committed, if it has one."""
    if settings.log_events and event.kind.delivery is Delivery.AFTER_ROLLBACK:
        services.write_to_log(event=event)
    elif settings.log_events:
        transaction.on_commit(lambda: services.write_to_log(event=event), robust=True)


def connect() -> None:
    """Listen; called once at start. The log comes first, so that it has what cannot be stored."""
    logs = listener(log, writes=False)
    stores = listener(store, must_record=lambda: settings.on_failure == "refuse")
    security_event.connect(logs, weak=False, dispatch_uid="audit.receivers.log")
    security_event.connect(stores, weak=False, dispatch_uid="audit.receivers.store")
