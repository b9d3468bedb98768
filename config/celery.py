"""Celery: the worker and beat run what the apps propose in their ``schedule.py``."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.apps import apps
from django.conf import settings
from django.utils.log import configure_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("garrison")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def log_as_the_site_does(**_: object) -> None:
    """Keep ``LOGGING``: Celery's own handlers know nothing of requests."""
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)


@app.on_after_finalize.connect
def propose_schedules(sender: Celery, **_: object) -> None:
    """Collect ``SCHEDULE`` of every installed app that has a ``schedule`` module."""
    sender.conf.beat_schedule = beat_schedule()


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Merge what the apps propose: name → Celery beat entry."""
    merged: dict[str, dict[str, Any]] = {}
    for app_config in apps.get_app_configs():
        module = f"{app_config.name}.schedule"
        if find_spec(module):
            merged |= import_module(module).SCHEDULE
    return merged
