"""The registry of what a restore drill checks.

An app brings a ``drills.py`` that registers how its own data proves to be whole after a restore:
a chain that verifies, samples that decrypt, files that hash as before. ``backups`` runs them
against the scratch database; an app that is not installed is absent from the report, never green.
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
