"""What a run records at its end: in the manifest, and in the index."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings as django_settings

from backups import manifest, signing
from backups.models import State

if TYPE_CHECKING:
    from backups.keys import Recipients
    from backups.manifest import DatabaseState, FilesState, Manifest, Part
    from backups.models import Backup


def describe(
    backup: Backup,
    recipients: Recipients,
    parts: dict[str, Part],
    *,
    databases: dict[str, DatabaseState],
    files: FilesState | None,
) -> Manifest:
    """Return the manifest of a run whose parts are all written."""
    return manifest.Manifest(
        backup=str(backup.pk),
        folder=backup.folder,
        kind=backup.kind,
        snapshot_at=backup.snapshot_at.isoformat() if backup.snapshot_at else "",
        site=str(getattr(django_settings, "SITE_NAME", "")),
        software=_software(),
        recipients=list(recipients.texts),
        signer=signing.signer(),
        parts=parts,
        databases=databases,
        files=files,
    )


def _software() -> dict[str, str]:
    try:
        own = version("django-garrison")
    except PackageNotFoundError:
        own = "source"
    return {"garrison": own, "django": django.get_version(), "python": platform.python_version()}


def row_of(described: Manifest, *, manifest_sha256: str) -> dict[str, Any]:
    """Return what the index holds of a whole backup: sizes, counts and hashes."""
    engines = [f"{each.engine} {each.version}" for each in described.databases.values()]
    files = described.files
    raw = sum(part.sealed.raw_size for part in described.parts.values())
    return {
        "state": State.GOOD,
        "stage": "",
        "engine": ", ".join(engines)[:40],
        "raw_bytes": raw + (files.raw_bytes if files else 0),
        "rows": described.rows,
        "files": files.count if files else 0,
        "skipped": files.skipped if files else {},
        "parts": [
            {
                "what": what,
                "name": part.name,
                "sha256": part.sealed.sha256,
                "size": part.sealed.size,
            }
            for what, part in described.parts.items()
        ],
        "recipients": described.recipients,
        "signer": described.signer,
        "manifest_sha256": manifest_sha256,
    }
