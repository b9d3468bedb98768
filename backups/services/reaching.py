"""The targets of one pruning, and what fails on them, in few sentences."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from backups import targets
from backups.conf import settings
from backups.errors import TargetFailed
from backups.models import Copy
from backups.models.backup import CopyState
from backups.services.sweeping import collect_orphans, sweep_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from backups.targets import Target

HOLDING = (CopyState.GOOD, CopyState.DAMAGED)


class Reach:
    """The targets of one pruning, each looked at once; whatever fails there is one sentence.

    ``require`` raises once the lease is lost; it is called before each deletion.
    """

    def __init__(self, require: Callable[[], None]) -> None:
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
            self._targets[alias] = self._found(alias)
        return self._targets[alias]

    def _found(self, alias: str) -> Target | None:
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
            self._sentences.append(
                f"The folder of the target {alias!r} is not there, or holds no backup at all; it "
                "may not be mounted."
            )
            return None
        try:
            self._unknown[alias] = sweep_target(target)
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

    def delete_folder(self, alias: str, folder: str) -> bool:
        """Return whether a backup's folder is gone."""
        target = self._target(alias)
        return target is not None and self._try(alias, partial(target.delete_folder, folder))

    def delete_file(self, alias: str, name: str) -> bool:
        """Return whether an encrypted file is gone; none where an unknown backup may need it."""
        target = self._target(alias)
        if target is None or self._unknown[alias]:
            return False
        return self._try(alias, partial(target.delete, name))

    def collect_orphans(self, alias: str) -> int:
        """Delete what the index does not know, unless it does not know a whole backup."""
        target, collected = self._target(alias), list[str]()
        if target is not None and not self._unknown[alias]:
            self._try(alias, partial(collect_orphans, target, collected))
        return len(collected)

    def _try(self, alias: str, delete: Callable[[], object]) -> bool:
        self._require()
        try:
            delete()
        except Exception as failure:  # noqa: BLE001 - storages raise what they like
            self._failed[alias, type(failure).__name__] += 1
            return False
        return True

    def failures(self) -> list[str]:
        """Return a sentence for each target, and for each kind of failure on it."""
        counted = [f"{a}: {n} deletions failed: {why}" for (a, why), n in self._failed.items()]
        return [*self._sentences, *counted]
