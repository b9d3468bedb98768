"""Files: content-addressed, incremental by hash, each encrypted on its own.

A file whose content a target holds already is not sent again; every backup has a complete list of
its files, so each can be restored alone.
"""

from backups.files.entry import LIST_NAME, LONGEST_LINE, Entry, shown
from backups.files.sending import FileBackup, ListWriter
from backups.files.sources import aliases, root, storage
from backups.files.walking import OURS

__all__ = [
    "LIST_NAME",
    "LONGEST_LINE",
    "OURS",
    "Entry",
    "FileBackup",
    "ListWriter",
    "aliases",
    "root",
    "shown",
    "storage",
]
