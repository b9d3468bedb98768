"""What the targets hold already, so that it need not be sent again."""

from __future__ import annotations

import contextlib
import hashlib
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

from backups import events, pipeline
from backups.errors import BackupDamaged, LeaseLost
from backups.models import StoredFile
from backups.targets import GroupWriter
from garrison.events import emit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from backups.outlet import Outlet
    from backups.targets import Target

READ = 1024 * 1024


class Holdings:
    """The encrypted files of earlier backups, as the index and the targets themselves know them."""

    def __init__(self, outlet: Outlet, step: Callable[[int], None]) -> None:
        """Begin with nothing listed."""
        self._outlet = outlet
        self._group = outlet.group
        self._step = step
        self._listed: dict[tuple[str, str], array[int]] = {}

    def held(self, **which: Collection[str]) -> list[StoredFile]:
        """Return the rows whose file every live target holds, after copying where one lacks it.

        ``which`` chooses them: by ``name__in``, or by ``digest__in``.

        The index is not believed alone: a file that was deleted on a target behind its back must
        not be counted on by one more backup.
        """
        rows = StoredFile.objects.filter(
            **which, sealed_to=self._outlet.recipients.fingerprint
        ).order_by("pk")
        found: list[StoredFile] = []
        for row in rows:
            self._look_for(row)
            lacking = [each for each in self._group.live() if each.alias not in row.targets]
            if not lacking or self._copy(row, lacking):
                found.append(row)
        return found

    def _look_for(self, row: StoredFile) -> None:
        """Take a target off the row that does not hold its file any more, and report it."""
        lost = [
            each.alias
            for each in self._group.live()
            if each.alias in row.targets and not self._holds(each, row.name)
        ]
        if lost:
            row.lose(lost)
            emit(events.FILE_LOST, target=f"file:{row.name}", data={"targets": lost})

    def _holds(self, target: Target, name: str) -> bool:
        """Return whether the target holds it, by its list, or a new one where that has it not.

        A list may be older than what this very run has written into that folder.
        """
        folder, _, file = name.rpartition("/")
        key, number = (target.alias, folder), _number(file)
        try:
            if key in self._listed and _is_in(self._listed[key], number):
                return True
            self._listed[key] = array("Q", sorted(map(_number, target.list(folder)[1])))
        except Exception as failure:  # noqa: BLE001 - storages raise what they like
            self._group.fail(target.alias, failure)
            return True  # nobody can tell; the target is left out from here on
        return _is_in(self._listed[key], number)

    def _copy(self, row: StoredFile, takers: list[Target]) -> bool:
        """Copy the encrypted file from a target that holds it to those that lack it."""
        sources = [each for each in self._group.live() if each.alias in row.targets]
        if not sources:
            return False
        for each in takers:
            with contextlib.suppress(Exception):  # a damaged one may lie there; writing will tell
                each.delete(row.name)
        try:
            with GroupWriter(self._group, takers, row.name) as out:
                self._pour(row, sources[0], out)
                out.commit()
        except LeaseLost:
            raise
        except Exception:  # noqa: BLE001 - storages raise what they like; it is sealed anew
            return False
        row.hold(out.holders)
        return True

    def _pour(self, row: StoredFile, source: Target, out: GroupWriter) -> None:
        """Copy the bytes; refuses others than the index knows."""
        tally = pipeline.Tally()
        with source.open(row.name) as file:
            while chunk := file.read(READ):
                tally.add(chunk)
                self._outlet.throttle.wait_for(len(chunk))
                out.write(chunk)
                self._step(0)
        if (tally.sha256, tally.size) != (row.sha256, row.size):
            raise BackupDamaged(f"{row.name} on {source.alias!r} is not what was written there.")


def _is_in(ordered: array[int], number: int) -> bool:
    place = bisect_left(ordered, number)
    return place < len(ordered) and ordered[place] == number


def _number(name: str) -> int:
    """Return 64 bits for a name: a million of them fit where the names would not."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
