"""What lies on the targets and is needed no more; only for the holder of the lease.

Dead runs and failed copies have left it, or the time of a backup has come.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from django.db import DatabaseError

from backups import events, opening, targets
from backups.conf import settings
from backups.errors import TargetFailed
from backups.layout import BLOB_NAME, FILES
from backups.models import Backup, Copy, State, StoredFile
from backups.models.backup import CopyState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backups.targets import Target

LEFT = (CopyState.WRITING, CopyState.FAILED)
HOLDING = (CopyState.GOOD, CopyState.DAMAGED)
BATCH = 500


class Sweep:
    """The targets, each swept once; whatever fails there is one sentence.

    ``require`` raises once the lease is lost; it is called before each deletion.
    """

    def __init__(self, require: Callable[[], None] = lambda: None) -> None:
        """Sweep every target that is configured or holds a copy."""
        self._require = require
        self._targets: dict[str, Target | None] = {}
        self._unknown: dict[str, str] = {}
        self._sentences: list[str] = []
        self._failed: Counter[tuple[str, str]] = Counter()
        copies = Copy.objects.exclude(state=CopyState.PRUNED)
        for alias in sorted({*settings.targets, *copies.values_list("target", flat=True)}):
            self._target(alias)

    def _target(self, alias: str) -> Target | None:
        if alias not in self._targets:
            self._targets[alias] = self._swept(alias)
        return self._targets[alias]

    def _swept(self, alias: str) -> Target | None:
        count = Copy.objects.filter(target=alias, state__in=HOLDING).count()
        try:
            target = targets.target(alias)
        except TargetFailed:
            self._sentences.append(
                f"The target {alias!r} is not in STORAGES, and {count} backups have a copy there. "
                f"Put it back, or end it: manage.py backup_prune --forget-target {alias}"
            )
            return None
        if count and target.is_away():
            self._sentences.append(opening.away(target).detail)
            return None
        try:
            self._unknown[alias] = _sweep(target)
        except DatabaseError:
            raise
        except Exception as failure:  # noqa: BLE001 - storages raise what they like
            self._sentences.append(f"The target {alias!r} fails: {type(failure).__name__}.")
            return None
        if self._unknown[alias]:
            self._sentences.append(
                f"The target {alias!r} holds a backup that the index does not know "
                f"({self._unknown[alias]}), so no file is deleted there. Where the identity is, "
                "run: manage.py backup_list --rebuild"
            )
        return target

    def delete(
        self, alias: str, deletion: Callable[[Target], object], *, of_files: bool = True
    ) -> bool:
        """Return whether it was done; none ``of_files`` where an unknown backup may need them."""
        target = self._target(alias)
        if target is None or (of_files and self._unknown[alias]):
            return False
        self._require()
        try:
            deletion(target)
        except Exception as failure:  # noqa: BLE001 - storages raise what they like
            self._failed[alias, type(failure).__name__] += 1
            return False
        return True

    def failures(self) -> list[str]:
        """Return a sentence for each target, and for each kind of failure on it."""
        counted = [f"{a}: {n} deletions failed: {why}" for (a, why), n in self._failed.items()]
        return [*self._sentences, *counted]


def _sweep(target: Target) -> str:
    """Delete half-written files, and folders that never became a backup.

    Returns a whole backup that the index does not know, if there is one: a folder with a manifest
    stays, for that is written last, whatever the index says. One whose row knows that very manifest
    was killed at its last step, and is made good; any other speaks of an index that is older than
    the target (it was restored, and not rebuilt).
    """
    target.sweep_partials()
    unknown = ""
    rows = {row.folder: row for row in Backup.objects.exclude(folder="")}
    held = Copy.objects.filter(target=target.alias).exclude(state__in=LEFT)
    expected = set(held.values_list("backup__folder", flat=True))
    for folder in opening.folders(target):
        row = rows.get(folder)
        if folder in expected and row is not None and row.state in {State.GOOD, State.PRUNED}:
            continue
        if opening.is_whole(target, folder):
            unknown = unknown if row is not None and _adopt(row, target) else folder
        elif row is not None:
            target.delete_folder(folder)
    left = Copy.objects.filter(target=target.alias, backup__state=State.FAILED)
    left.filter(state__in=LEFT).update(state=CopyState.PRUNED)
    return unknown


def _adopt(backup: Backup, target: Target) -> bool:
    """Make a backup good that was killed after its manifest was written, if it is that one."""
    found = opening.manifest_sha256(target, backup.folder)
    if not backup.manifest_sha256 or found != backup.manifest_sha256:
        return False
    fields = {"state": State.GOOD, "stage": "", "failure": ""}
    if Backup.objects.filter(pk=backup.pk, state=State.FAILED).update(**fields):
        backup.emit(events.BACKUP_CREATED, folder=backup.folder)
    backup.copies.filter(target=target.alias).exclude(state=CopyState.DAMAGED).update(
        state=CopyState.GOOD, failure=""
    )
    return True


def collect_orphans(target: Target) -> Iterator[str]:
    """Delete the encrypted files that the index does not know; yields their names.

    They were written by runs that were killed before they could record them.
    """
    for folder in target.list(FILES)[0]:
        names = iter(target.list(f"{FILES}/{folder}")[1])
        while batch := {f"{FILES}/{folder}/{name}" for name in islice(names, BATCH)}:
            known = StoredFile.objects.filter(name__in=batch).values_list("name", flat=True)
            for name in filter(BLOB_NAME.match, batch.difference(known)):
                target.delete(name)
                yield name
