"""What another process needs to work on the database of the present test."""

import os

from django.conf import settings
from django.db import connection


def environment(**more):
    """Return this process's environment, with the address of the test's own PostgreSQL database."""
    known = settings.DATABASES["default"] | connection.settings_dict
    address = f"postgresql://{known['USER']}@{known['HOST']}:{known['PORT']}/{known['NAME']}"
    password = {"PGPASSWORD": known["PASSWORD"]} if known.get("PASSWORD") else {}
    return os.environ | {"DATABASE_URL": address} | password | more
