"""Which databases are backed up, and into which one each of a backup's goes back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.db import connections

from backups.conf import settings
from backups.errors import BackupDamaged, BackupNotFound, EngineUnsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backups.manifest import DatabaseState, Manifest

MAIN = "database"  # what the part of the first one is called; the others' add their alias
_ALIAS = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")  # it becomes part of a file's name


def sources() -> dict[str, str]:
    """Return the alias of each database by its part; refuses a list that no run can back up."""
    for problem in problems():
        raise EngineUnsupported(problem)
    main, *others = settings.databases
    return {MAIN: main, **{f"{MAIN}.{alias}": alias for alias in others}}


def problems() -> Iterator[str]:
    """Return what is wrong with ``BACKUPS_DATABASES``, as far as settings alone show it."""
    if not settings.databases:
        yield "BACKUPS_DATABASES names no database."
    seen: dict[tuple[str, ...], str] = {}
    for alias in settings.databases:
        if alias not in connections.databases:
            yield f"BACKUPS_DATABASES names {alias!r}, which is not in DATABASES."
            continue
        if not _ALIAS.match(alias):
            yield (
                f"The alias {alias!r} in BACKUPS_DATABASES cannot be part of a file's name. Use "
                "at most 64 letters, digits, hyphens and underscores."
            )
        mirrored = connections.databases[alias]["TEST"].get("MIRROR")
        if mirrored in settings.databases:
            yield f"BACKUPS_DATABASES names {mirrored!r} and its mirror {alias!r}; leave that out."
        elif other := seen.get(_place(alias)):
            yield f"BACKUPS_DATABASES names one database twice, as {other!r} and as {alias!r}."
        seen[_place(alias)] = alias


def _place(alias: str) -> tuple[str, ...]:
    known = connections.databases[alias]
    where = (*(known[key] for key in ("HOST", "PORT", "NAME")), known["OPTIONS"].get("service"))
    return tuple(map(str, where))


def alias_of(manifest: Manifest, part: str = MAIN) -> str:
    """Return the alias of one of a backup's databases.

    A backup of one database goes into the only one of a project, whatever either is called.
    """
    if part not in manifest.databases:
        raise BackupNotFound(f"The backup {manifest.folder} holds no database.")
    is_only = len(manifest.databases) == len(settings.databases) == 1
    return (not is_only and manifest.databases[part].alias) or settings.databases[0]


def destinations(manifest: Manifest, *, only: str | None = None) -> dict[str, str]:
    """Return the alias into which each database of a backup goes, or the ``only`` one, by its part.

    The main one comes last: it has the index, so that an earlier failure leaves that as it was.
    Refuses an alias that this project does not back up, and a database of another engine.
    """
    parts = sorted(manifest.databases, key=MAIN.__eq__)
    found = {part: alias_of(manifest, part) for part in parts}
    found = {part: alias for part, alias in found.items() if only in {None, alias}}
    if not found:
        raise BackupNotFound(f"The backup {manifest.folder} holds no database {only!r}.")
    for part, alias in found.items():
        _require_fitting(manifest.databases[part], alias)
    return found


def _require_fitting(state: DatabaseState, alias: str) -> None:
    if alias not in settings.databases:
        raise BackupDamaged(
            f"The backup holds the database {alias!r}, which BACKUPS_DATABASES does not name here. "
            "Add it, or restore another one with --database."
        )
    vendor = connections[alias].vendor
    if state.engine != vendor:
        raise BackupDamaged(
            f"The backup is of {state.engine}, and the database {alias!r} is {vendor}."
        )
