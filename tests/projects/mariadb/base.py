"""SQLite under the name of MariaDB: no server of it is needed to be refused."""

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Answer to another name."""

    vendor = "mysql"
    display_name = "MariaDB"
