"""The registries of what a restore drill checks, and of the files that backups take along.

An app brings a ``drills.py`` that registers how its own data proves to be whole after a restore:
a chain that verifies, samples that decrypt, files that hash as before. ``backups`` runs them
against the scratch database; an app that is not installed is absent from the report, never green.
An app whose files lie in a storage of its own registers that there, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from garrison.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.files.storage import Storage


@dataclass(frozen=True, slots=True)
class Restored:
    """Where the restored copy is.

    ``using`` is the alias of the scratch database; ``files`` a storage over the restored files, or
    ``None`` where the backup held none. Nothing outside of these may be written.
    """

    using: str
    files: Storage | None = None


@dataclass(frozen=True, slots=True)
class DrillResult:
    """What a drill returns; ``looked_at`` is how many things it read, ``detail`` a sentence."""

    is_whole: bool
    looked_at: int
    detail: str


class Drill(Protocol):
    """A function that reads the restored copy; raising counts as broken."""

    def __call__(self, restored: Restored) -> DrillResult:
        """Check the copy, and return the result."""


DRILLS: Registry[Drill] = Registry("drill")


def register(name: str) -> Callable[[Drill], Drill]:
    """Add a drill under a name; a decorator."""

    def add(drill: Drill) -> Drill:
        return DRILLS.add(name, drill)

    return add


FILE_STORAGES: Registry[type] = Registry("file storage")


def back_up_files(alias: str, *, owner: type) -> None:
    """Have the files of a storage backed up, whatever the site's settings name besides.

    ``alias`` is its name in ``STORAGES``; ``owner`` a class of the app that brings it, such as the
    model that has the files.
    """
    FILE_STORAGES.add(alias, owner, source=owner)
