"""Tasks: each calls a service."""

from __future__ import annotations

from celery import shared_task

from accounts import mails
from accounts.services.cleaning import clean


@shared_task
def clean_accounts() -> dict[str, int]:
    """Remove what decides nothing any more; return how many rows of each kind."""
    return clean()


@shared_task
def send_mails() -> int:
    """Send the mails that could not be sent at once; return how many were."""
    return mails.send_due()
