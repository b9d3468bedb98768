"""Copies of checkpoints outside the database: in a Django storage, and in files that are handed in.

Whoever owns the database must not be able to write there. Sending them on by webhook or to a SIEM
comes with those apps.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.files.base import ContentFile
from django.core.files.storage import InvalidStorageError, storages

from audit.checkpoints.signing import LARGEST_FILE, Signed, from_file, to_file
from audit.conf import settings
from audit.errors import CheckpointRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.files.storage import Storage

logger = logging.getLogger("garrison.audit.checkpoints")

SUFFIX = ".json"
MOST_READ = 2_000  # of a stream, newest first: 83 days; `audit_verify --checkpoint` reads a folder


def storage() -> Storage | None:
    """Return the storage for copies; ``None`` where none is set up."""
    try:
        return storages[settings.checkpoint_storage] if settings.checkpoint_storage else None
    except InvalidStorageError:  # audit.W005 and each verification say so
        return None


def store(signed: Signed) -> str:
    """Put a copy into the storage; gives its name, or nothing where that failed or is not set up.

    Never raises: a checkpoint that stays in the database is better than none, and the health
    report tells.
    """
    place = storage()
    if place is None:
        return ""
    head = signed.head
    name = f"{head.stream}/{head.at:%Y/%m}/{head.seq:012d}-{head.purpose}-{head.at:%Y%m%dT%H%M%S}"
    try:
        return place.save(name + SUFFIX, ContentFile(to_file(signed)))
    except Exception:  # whatever a storage raises: a full disk, a network, a refusal
        logger.exception("The checkpoint %s could not be stored.", name)
        return ""


@dataclass(slots=True)
class Copies:
    """What was found outside the database, what of it is no checkpoint, and what to know of it.

    ``doubts`` are why it may not be all there is.
    """

    signed: list[Signed] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def stored() -> Copies:
    """Read every copy in the storage; never raises."""
    found, place = Copies(), storage()
    if place is None:
        found.doubts.append(
            "There are no copies of checkpoints outside the database to compare with: set up "
            "AUDIT_CHECKPOINT_STORAGE, or name files with --checkpoint."
        )
        return found
    try:
        for stream in sorted(_folders(place)):
            names = [*_names(place, stream)]
            if len(names) > MOST_READ:
                sentence = (
                    f"Of {len(names):,} copies of {stream!r} the newest {MOST_READ:,} were read."
                )
                found.remarks.append(sentence)
            for name in names[-MOST_READ:]:
                _read(place, name, found)
    except Exception as failure:  # whatever a storage raises
        logger.exception("The copies of checkpoints could not be read.")
        sentence = f"The copies of checkpoints could not be read ({type(failure).__name__})."
        found.doubts.append(f"{sentence} Look at the log, and verify again.")
    return found


def _folders(place: Storage) -> list[str]:
    try:
        return place.listdir("")[0]
    except FileNotFoundError:  # nothing was stored yet
        return []


def _read(place: Storage, name: str, found: Copies) -> None:
    with place.open(name) as file:
        content = file.read(LARGEST_FILE)
    try:
        found.signed.append(from_file(content, source=name))
    except CheckpointRefused as refusal:
        found.malformed.append(refusal.detail)


def _names(place: Storage, folder: str) -> Iterator[str]:
    folders, files = place.listdir(folder)
    for name in sorted(files):
        if name.endswith(SUFFIX):
            yield f"{folder}/{name}"
    for name in sorted(folders):
        yield from _names(place, f"{folder}/{name}")


def from_path(path: str) -> list[Signed]:
    """Read one file, or every file of a folder and its folders."""
    root = Path(path)
    files = sorted(root.rglob(f"*{SUFFIX}")) if root.is_dir() else [root]
    if not files:
        raise CheckpointRefused(f"There is no checkpoint in {path}.")
    return [_from_one(file) for file in files]


def _from_one(file: Path) -> Signed:
    try:
        with file.open("rb") as opened:
            return from_file(opened.read(LARGEST_FILE), source=str(file))
    except OSError as failure:
        raise CheckpointRefused(f"{file} cannot be read: {failure.strerror}.") from None
