"""Tests of audit begin without a trace: starting the project leaves events of its own."""

import pytest
from django.db import connection

from audit import append_only

TABLES = (
    "securityevent", "eventcount", "counteduntil",
    "eventseal", "sealeduntil", "checkpoint", "chainverification",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_earlier_events(request: pytest.FixtureRequest) -> None:
    if not request.node.get_closest_marker("django_db") and not (
        {"db", "transactional_db", "protected"} & set(request.fixturenames)
    ):
        return
    request.getfixturevalue("_django_db_helper")
    verb = "TRUNCATE" if connection.vendor == "postgresql" else "DELETE FROM"
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"{verb} audit_{table}")


@pytest.fixture
def protected(transactional_db):
    """Have the database as it is in production; tests otherwise may empty it."""
    append_only.protect(connection)
    yield
    append_only.permit_flush(connection)


@pytest.fixture(autouse=True)
def elsewhere(settings, tmp_path):
    """Return each test a storage for copies of checkpoints that no attack of its own reaches."""
    settings.STORAGES = settings.STORAGES | {
        "audit_checkpoints": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "copies"},
        }
    }
    return tmp_path / "copies"
