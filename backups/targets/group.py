"""The targets of one run: each on its own, and one that fails is left out from there on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from backups.errors import TargetFailed
from backups.targets.writers import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from backups.targets.storage import Target


@dataclass
class TargetGroup:
    """Several targets, and why some of them have failed."""

    targets: list[Target]
    failures: dict[str, str] = field(default_factory=dict)

    def live(self) -> list[Target]:
        """Return the targets that have not failed in this run."""
        return [each for each in self.targets if each.alias not in self.failures]

    def fail(self, alias: str, failure: Exception) -> None:
        """Leave a target out from here on."""
        self.failures.setdefault(alias, f"{type(failure).__name__}: {failure}"[:500])

    def writer(self, name: str) -> GroupWriter:
        """Begin a file on every live target; refuses where there is none left."""
        return GroupWriter(self, self.live(), name)


class GroupWriter(Writer):
    """Writes one file to several targets; one that fails is left out, the others go on."""

    def __init__(self, group: TargetGroup, targets: list[Target], name: str) -> None:
        """Open a writer on each of the targets."""
        self._group = group
        self._writers: dict[str, Writer] = {}
        for each in targets:
            self._guard(each.alias, partial(self._add, each, name))
        self._require_any()

    def _add(self, each: Target, name: str) -> None:
        self._writers[each.alias] = each.writer(name)

    def _guard(self, alias: str, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as failure:  # noqa: BLE001 - storages raise what they like
            self._group.fail(alias, failure)
            writer = self._writers.pop(alias, None)
            if writer is not None:
                writer.abort()

    def _require_any(self) -> None:
        if not self._writers:
            told = "; ".join(f"{alias}: {text}" for alias, text in self._group.failures.items())
            raise TargetFailed(f"No target could store the backup. {told}"[:900])

    @property
    def holders(self) -> list[str]:
        """The aliases of the targets that have taken everything so far."""
        return list(self._writers)

    def write(self, chunk: bytes) -> int:
        """Write to each."""
        for alias, writer in list(self._writers.items()):
            self._guard(alias, partial(writer.write, chunk))
        self._require_any()
        return len(chunk)

    def commit(self) -> None:
        """Commit on each; ``holders`` hold the file from then on."""
        for alias, writer in list(self._writers.items()):
            self._guard(alias, writer.commit)
        self._require_any()

    def abort(self) -> None:
        """Leave nothing behind."""
        for writer in self._writers.values():
            writer.abort()
        self._writers.clear()
