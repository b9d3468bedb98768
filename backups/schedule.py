"""What the apps' beat runs: a tick, which finds out itself what is due."""

from celery.schedules import crontab

SCHEDULE = {
    "backups.tick": {"task": "backups.tasks.tick", "schedule": crontab(minute="*/5")},
}
