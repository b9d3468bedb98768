"""Several targets at once, each on its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from backups.errors import TargetFailed

if TYPE_CHECKING:
    from backups.targets.storage import Target
    from backups.targets.writer import Writer


class Fan:
    """Writes one file to several targets; one that fails is left out, the others go on."""

    def __init__(self, targets: list[Target], failures: dict[str, str], name: str) -> None:
        """Open a writer on each target that has not failed before."""
        self._failures = failures
        self._writers: dict[str, Writer] = {}
        for each in targets:
            if each.alias not in failures:
                self._guard(each.alias, partial(self._add, each, name))
        self._require_any()

    def _add(self, each: Target, name: str) -> None:
        self._writers[each.alias] = each.writer(name)

    def _guard(self, alias: str, step: Any) -> None:
        try:
            step()
        except Exception as failure:  # noqa: BLE001 - storages raise what they like
            self._failures[alias] = f"{type(failure).__name__}: {failure}"[:500]
            writer = self._writers.pop(alias, None)
            if writer is not None:
                writer.abort()

    def _require_any(self) -> None:
        if not self._writers:
            told = "; ".join(f"{alias}: {text}" for alias, text in self._failures.items())
            raise TargetFailed(f"No target could store the backup. {told}"[:900])

    def write(self, chunk: bytes) -> int:
        """Write to each."""
        for alias, writer in list(self._writers.items()):
            self._guard(alias, partial(writer.write, chunk))
        self._require_any()
        return len(chunk)

    def commit(self) -> list[str]:
        """Commit on each; gives the aliases that hold the file now."""
        for alias, writer in list(self._writers.items()):
            self._guard(alias, writer.commit)
        self._require_any()
        return list(self._writers)

    def abort(self) -> None:
        """Leave nothing behind."""
        for writer in self._writers.values():
            writer.abort()
        self._writers.clear()
