"""When beat runs the tasks of audit."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

SCHEDULE: dict[str, dict[str, Any]] = {
    "audit.count_events": {
        "task": "audit.tasks.count_events",
        "schedule": crontab(),
        "options": {"expires": 55},
    },
    "audit.recount_events": {
        "task": "audit.tasks.recount_events",
        "schedule": crontab(hour="3", minute="20"),
    },
    # The sealer runs beside beat (audit.sealing.loop); these find what comes late.
    "audit.seal_events": {
        "task": "audit.tasks.seal_events",
        "schedule": crontab(),
        "options": {"expires": 55},
    },
    "audit.seal_late": {
        "task": "audit.tasks.seal_late",
        "schedule": crontab(hour="3", minute="40"),
    },
    "audit.write_checkpoints": {
        "task": "audit.tasks.write_checkpoints",
        "schedule": crontab(minute="5"),
    },
    "audit.remove_old": {
        "task": "audit.tasks.remove_old",
        "schedule": crontab(hour="4", minute="40"),
    },
    "audit.verify_chain": {
        "task": "audit.tasks.verify_chain",
        "schedule": crontab(hour="4", minute="10"),
    },
}
