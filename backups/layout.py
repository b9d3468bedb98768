"""How a target is laid out: one folder for each backup, and the files that backups share.

``<folder>/manifest.age``, ``<folder>/database.dump.gz.age``, of each further database
``<folder>/database.<alias>.dump.gz.age``, ``<folder>/files.tsv.gz.age`` and
``files/<two>/<random>.gz.age``. Whatever else lies there is not ours, and is never deleted.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

FOLDER_NAME = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{12}\Z")
MANIFEST_NAME = re.compile(r"manifest(?:\.(\d{1,6}))?(\.age)?\Z")
PART_NAME = re.compile(
    r"(?:database(?:\.[A-Za-z0-9_-]{1,64})?\.(?:dump|sqlite3)|files\.tsv)\.gz(?:\.age)?\Z"
)
BLOB_NAME = re.compile(r"files/([0-9a-f]{2})/\1[0-9a-f]{30}\.gz(?:\.age)?\Z")
FILES = "files"
PARTIAL = ".partial"


def made_at(folder: str) -> datetime:
    """Return the time in a folder's name, which must be one."""
    return datetime.strptime(folder[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def is_ours(name: str) -> bool:
    """Return whether a file of a backup's folder has one of the names that a backup uses."""
    whole = name.removesuffix(PARTIAL)
    return bool(MANIFEST_NAME.match(whole) or PART_NAME.match(whole))
