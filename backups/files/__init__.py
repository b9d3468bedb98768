"""Files: content-addressed, incremental by hash, each encrypted on its own.

A file whose content a target holds already is not sent again; every backup has a complete list of
its files, so each can be restored alone.
"""

from backups.files.entry import LIST_NAME, LONGEST_LINE, Entry
from backups.files.listing import ListWriter
from backups.files.sending import FileBackup
from backups.files.sources import OURS, aliases, names, root, storage

__all__ = [
    "LIST_NAME",
    "LONGEST_LINE",
    "OURS",
    "Entry",
    "FileBackup",
    "ListWriter",
    "aliases",
    "names",
    "root",
    "storage",
]
