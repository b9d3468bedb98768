"""Bringing one table's rows back beside the live ones."""

from __future__ import annotations

import secrets
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from backups import events, leases, scratch
from backups.conf import settings
from backups.restore import rescue
from backups.services import indexing
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

    from backups.opening import Opened


def bring_table(opened: Opened, *, table: str, schema: str, user: Any = None, now: datetime) -> int:
    """Bring one table's rows into a side schema; nothing that exists is changed."""
    using = settings.database
    rescue.find(opened, table)
    held = leases.hold(leases.DRILL, now=now) if indexing.exists() else nullcontext()
    with held:
        scratch.sweep(using)
        name = scratch.name_for(using, secrets.token_hex(16))
        rows = rescue.bring(opened, table=table, schema=schema, using=using, scratch_name=name)
    if indexing.exists():
        emit(
            events.RESTORE_COMPLETED,
            actor=user,
            target=f"table:{schema}.{table}",
            data={"folder": opened.folder, "rows": rows},
        )
    return rows
