"""What accounts proposes to Celery's beat."""

from celery.schedules import crontab

SCHEDULE = {
    "accounts.clean": {
        "task": "accounts.tasks.clean_accounts",
        "schedule": crontab(minute=17),
    },
    "accounts.send_mails": {
        "task": "accounts.tasks.send_mails",
        "schedule": crontab(),  # every minute
    },
}
