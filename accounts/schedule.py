"""What accounts proposes to Celery's beat."""

from celery.schedules import crontab

SCHEDULE = {
    "accounts.clean": {
        "task": "accounts.tasks.clean_accounts",
        "schedule": crontab(minute=17),
    },
}
