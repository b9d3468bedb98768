"""When beat runs the tasks of security_monitoring."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

SCHEDULE: dict[str, dict[str, Any]] = {
    "security_monitoring.beat": {
        "task": "security_monitoring.tasks.beat",
        "schedule": crontab(),
        "options": {"expires": 55},
    },
}
