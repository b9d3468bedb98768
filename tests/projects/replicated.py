"""Our project with a replica that has not got a single row yet: what decides must not ask it."""

from config import settings as project
from config.settings import *  # noqa: F403

REPLICA = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
DATABASES = {**project.DATABASES, "replica": REPLICA}  # a copy: the project's own stay as they are
DATABASE_ROUTERS = [
    "garrison.databases.PrimaryRouter",
    "tests.projects.replicated.EverythingFromTheReplica",
]


class EverythingFromTheReplica:
    """Send every read to the replica, as hosts with one do."""

    def db_for_read(self, model, **hints):
        """Return the replica."""
        return "replica"

    def db_for_write(self, model, **hints):
        """Return the primary."""
        return "default"
