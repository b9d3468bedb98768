"""What this app proposes to beat."""

from celery.schedules import crontab

SCHEDULE = {
    "sessions_tracking.clean": {
        "task": "sessions_tracking.tasks.clean_sessions",
        "schedule": crontab(hour=3, minute=17),
    },
}
