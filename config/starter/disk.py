"""A full disk, named as such: it ends a start in a hundred ways, few of which say why."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from config.starter.failure import StartFailure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
LEAST_BYTES = 1024 * 1024  # with less free, the next file may be the one that did not fit


@contextmanager
def named(*folders: Path) -> Iterator[None]:
    """Raise what fails in the block as a sentence about the disk where one of these has no room."""
    try:
        yield
    except (StartFailure, OSError) as failure:
        full = [folder for folder in folders if _is_full(folder)]
        told = getattr(failure, "errno", None) in FULL or os.strerror(FULL[0]) in str(failure)
        if not (full or told):
            raise
        raise StartFailure(
            f"The disk that holds {(full or folders)[0]} is full. Free some space, or choose "
            "another place with VAR_DIR, and run the command again."
        ) from failure


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LEAST_BYTES
    except OSError:  # it is not there: then it holds nothing
        return False
