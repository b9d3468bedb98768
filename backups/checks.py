"""Checks of backups: keys, targets, and where the secret half of the key is."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Info, Warning  # noqa: A004 - Django's own name
from django.core.files.storage import storages

from backups import databases, keys, signing
from backups.conf import settings
from backups.errors import RecipientInvalid, RecipientMissing
from backups.files.sources import aliases, root
from garrison.drills import FILE_STORAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

W001 = "backups.W001"  # nobody to encrypt to: every backup is refused
W002 = "backups.W002"  # backups are written in plain text
E003 = "backups.E003"  # a recipient that is none, or a secret key in its place
W004 = "backups.W004"  # a target or file storage that is not in STORAGES
E005 = "backups.E005"  # a target inside a storage of files
W006 = "backups.W006"  # the identity can be read where backups are made
W007 = "backups.W007"  # the identity file can be read by others
E008 = "backups.E008"  # a trusted signer that is no public key
I009 = "backups.I009"  # one target only
W010 = "backups.W010"  # the targets' lock outlasts the retention
W011 = "backups.W011"  # the keys of single people are backed up, so that nobody can be erased
E012 = "backups.E012"  # databases that no run can back up together


def _check(look: Callable[[], Iterator[CheckMessage]]) -> Callable[..., list[CheckMessage]]:
    """Make a check of Django's of a function that yields what it finds."""

    def check(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
        return list(look())

    check.__name__, check.__doc__ = look.__name__, look.__doc__
    return check


@_check
def check_recipients() -> Iterator[CheckMessage]:
    """Find out whether there is somebody to encrypt to."""
    try:
        found = keys.recipients()
    except RecipientMissing as refusal:
        hint = "Run `manage.py backup_keygen --output PATH` where restores run; set its public key."
        yield Warning(f"No backup can be made. {refusal.detail}", hint=hint, id=W001)
    except RecipientInvalid as refusal:
        yield Error(refusal.detail, hint="Only public keys (age1…) belong there.", id=E003)
    else:
        if not found:
            yield Warning(
                "BACKUPS ARE WRITTEN IN PLAIN TEXT: whoever reads a target reads every row and "
                "file.",
                hint="Set BACKUP_ENCRYPTION_KEY, and remove BACKUPS_ALLOW_UNENCRYPTED.",
                id=W002,
            )


@_check
def check_databases() -> Iterator[CheckMessage]:
    """Find what is wrong with the list of databases."""
    hint = "Correct BACKUPS_DATABASES, a list of aliases of DATABASES; until then no run begins."
    for problem in databases.problems():
        yield Error(problem, hint=hint, id=E012)


@_check
def check_targets() -> Iterator[CheckMessage]:
    """Find targets that do not exist, or that lie inside what they back up."""
    for who, alias in (
        *(("BACKUPS_TARGETS names", alias) for alias in settings.targets),
        *(("BACKUPS_FILE_STORAGES names", alias) for alias in settings.file_storages),
        *((f"{FILE_STORAGES.origin(alias)} brings", alias) for alias, _ in FILE_STORAGES.items()),
    ):
        if alias not in django_settings.STORAGES:
            hint = "Add it to STORAGES, or take it out of the list."
            yield Warning(f"{who} {alias!r}, which is not in STORAGES.", hint=hint, id=W004)
    yield from _nested()
    if settings.object_lock_days > settings.retention_days:
        yield Warning(
            f"The targets keep everything for {settings.object_lock_days} days, longer than "
            f"BACKUPS_RETENTION_DAYS ({settings.retention_days}).",
            hint="Shorten the lock, or say the longer time in BACKUPS_RETENTION_DAYS.",
            id=W010,
        )
    yield from _subject_keys()


def _nested() -> Iterator[CheckMessage]:
    for target in settings.targets:
        for source in aliases():
            if _lies_in(target, source):
                yield Error(
                    f"The target {target!r} lies inside the file storage {source!r}, so backups "
                    "would be backed up, and served where files are served.",
                    hint="Give the target a location of its own.",
                    id=E005,
                )


def _lies_in(alias: str, other: str) -> bool:
    inside, outside = _root(alias), _root(other)
    return bool(inside and outside and inside.is_relative_to(outside))


def _root(alias: str) -> Path | None:
    found = root(storages[alias]) if alias in django_settings.STORAGES else None
    return found.resolve() if found else None


def _subject_keys() -> Iterator[CheckMessage]:
    """Look it up by the setting's name, so that no import binds this app to ``encryption``."""
    keys_in = getattr(django_settings, "ENCRYPTION_SUBJECT_KEYS_STORAGE", "subject_keys")
    for alias in aliases():
        if alias == keys_in or _lies_in(keys_in, alias):
            yield Warning(
                f"The keys of single people ({keys_in!r}) lie in {alias!r}, which is backed up: "
                "whoever is erased stays readable in every backup.",
                hint=f"Take {keys_in!r} out of BACKUPS_FILE_STORAGES, and give it a place apart.",
                id=W011,
            )


@_check
def check_identity() -> Iterator[CheckMessage]:
    """Find a secret key where it should not be, or that others can read."""
    if len(settings.targets) == 1:
        yield Info(
            "There is one target: whoever deletes it deletes every backup.",
            hint="Add a second one to BACKUPS_TARGETS, with another owner, best with a lock.",
            id=I009,
        )
    path = Path(settings.identity_file) if settings.identity_file else None
    if path is None or not os.access(path, os.R_OK):
        return
    if not settings.restores_run_here:
        yield Warning(
            "The machine that makes backups can read them, too: the age identity is here.",
            hint="Keep BACKUP_IDENTITY_FILE where restores run, or say that this is the place "
            "with BACKUPS_RESTORES_RUN_HERE = True.",
            id=W006,
        )
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        hint = f"Run: chmod 600 {path}"
        yield Warning("Others can read the age identity.", hint=hint, id=W007)


@_check
def check_signers() -> Iterator[CheckMessage]:
    """Find trusted signers that are no public keys."""
    for text in settings.trusted_signers:
        try:
            signing.parse_public_key(text)
        except ValueError:
            yield Error(
                f"BACKUPS_TRUSTED_SIGNERS holds {text[:20]!r}, which is not a public key.",
                hint="Write each as `manage.py backup_keygen --signer` prints it: ed25519:…",
                id=E008,
            )
