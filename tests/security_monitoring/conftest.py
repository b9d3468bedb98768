"""A clean slate: what starting the project recorded is not what these tests look at."""

from datetime import UTC, datetime

import pytest
from django.db import connection

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def no_events(db) -> None:
    """Forget what was recorded and counted before."""
    verb = "TRUNCATE" if connection.vendor == "postgresql" else "DELETE FROM"
    with connection.cursor() as cursor:
        for table in ("securityevent", "eventcount", "counteduntil"):
            cursor.execute(f"{verb} audit_{table}")


@pytest.fixture
def officer(django_user_model):
    """A member of the staff who may view events and nothing else."""
    from django.contrib.auth.models import Permission

    user = django_user_model.objects.create_user("officer@example.org", None, is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_securityevent"))
    return user
