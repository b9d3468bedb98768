"""Files and folders that only their owner may read."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from config.starter.failure import StartFailure

if TYPE_CHECKING:
    from pathlib import Path

ONLY_OWNER = 0o600
ONLY_OWNER_FOLDER = 0o700


def make_folder(folder: Path) -> Path:
    """Create a folder of mode 0700, with its parents; one that exists keeps its permissions."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=ONLY_OWNER_FOLDER)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied", str(folder))
    except OSError as refusal:
        raise StartFailure(
            f"The folder {folder} cannot be used: {refusal.strerror}. Give it to the user who runs "
            "this, or choose another place with VAR_DIR."
        ) from refusal
    return folder


def write_new(path: Path, content: str) -> bool:
    """Write a file of mode 0600, whole or not at all; one that exists is never touched.

    Returns whether the file was written.
    """
    draft = _draft(path, content)
    try:
        os.link(draft, path)  # unlike a rename, a link refuses to replace
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def replace(path: Path, content: str) -> None:
    """Write a file of mode 0600, whole or not at all, in place of an older one."""
    _draft(path, content).replace(path)


def _draft(path: Path, content: str) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, ONLY_OWNER)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as refusal:
        draft.unlink(missing_ok=True)
        raise StartFailure(f"{path} cannot be written: {refusal.strerror}.") from refusal
    return draft


def read_state(path: Path) -> dict[str, Any]:
    """Read what an earlier run remembered; empty where there is nothing, or nothing legible."""
    try:
        remembered = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    except OSError as refusal:
        raise StartFailure(
            f"{path} cannot be read: {refusal.strerror}. An earlier run by another user wrote it; "
            "run as that user, or choose another place with VAR_DIR."
        ) from refusal
    return remembered if isinstance(remembered, dict) else {}


def write_state(path: Path, remembered: dict[str, Any]) -> None:
    """Remember something for the next run."""
    replace(path, json.dumps(remembered, indent=1) + "\n")
