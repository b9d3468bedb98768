"""Collecting static files, which takes seconds, only when one of them has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TextIO

from config.starter import private_files


def collect(*, var_dir: Path, log: TextIO) -> bool:
    """Collect, compress and fingerprint the static files; tell whether there was a need to."""
    from django.conf import settings
    from django.core.management import call_command

    remembered = var_dir / "run" / "static.json"
    sources = {"sources": fingerprint(), "root": str(settings.STATIC_ROOT)}
    is_there = Path(settings.STATIC_ROOT, "staticfiles.json").exists()
    if is_there and private_files.read_state(remembered) == sources:
        return False
    call_command("collectstatic", interactive=False, verbosity=0, stdout=log)
    private_files.make_folder(remembered.parent)
    private_files.write_state(remembered, sources)
    return True


def fingerprint() -> str:
    """Digest name, size and time of every file that would be collected."""
    from django.contrib.staticfiles.finders import get_finders

    found = sorted(
        storage.path(name) for finder in get_finders() for name, storage in finder.list([])
    )
    digest = hashlib.sha256()
    for path in found:
        status = Path(path).stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
