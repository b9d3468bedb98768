"""Celery: the worker and beat run what the apps propose in their ``schedule.py``."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from celery import Celery
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("garrison")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


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
