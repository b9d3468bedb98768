"""What beat runs."""

from celery import shared_task

from sessions_tracking import cookies, services


@shared_task
def clean_sessions() -> None:
    """Delete rows that are past their keeping, and Django's own; twice at once does no harm."""
    services.clean_sessions()
    cookies.clear_expired()
