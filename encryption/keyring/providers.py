"""Where keys come from: settings, a file, or whatever fulfils the protocol."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from encryption.conf import settings
from encryption.errors import KeyringUnusable
from encryption.keyring.entries import read
from garrison.keys import KeyList, Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from garrison.keys import Key

OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


class KeyProvider(Protocol):
    """Returns the master keys, once per process; a KMS fulfils it by unwrapping data keys.

    ``ENCRYPTION_KEY_PROVIDER`` names a class without arguments. Raise
    :class:`~encryption.errors.KeyringUnusable` with a sentence that holds no key.
    """

    def keys(self) -> Sequence[Key[Secret]]:
        """Return every key of 32 bytes that may be needed for reading; the first one encrypts."""


class SettingsKeyProvider:
    """Keys from ``ENCRYPTION_KEYS``, which ``config/settings.py`` fills from the environment."""

    def keys(self) -> Sequence[Key[Secret]]:
        """Read the setting."""
        return accepted(read(settings.keys))


class FileKeyProvider:
    """Keys from ``ENCRYPTION_KEYS_FILE``: one entry a line, ``#`` starts a comment.

    Fits Docker and Kubernetes secrets and systemd credentials. A file that others than its owner
    may read is refused.
    """

    def keys(self) -> Sequence[Key[Secret]]:
        """Read the file."""
        return accepted(_read_file(settings.keys_file))


def accepted(found: KeyList[Secret]) -> Sequence[Key[Secret]]:
    """Return the keys, or raise every problem, from a frame that never held what was written."""
    if found.problems:
        raise KeyringUnusable(" ".join(found.problems))
    return found.keys


def _read_file(path: str) -> KeyList[Secret]:
    if not path:
        return KeyList(problems=["ENCRYPTION_KEYS_FILE is not set; name the file of the keys."])
    try:
        with Path(path).open(encoding="utf-8") as lines:
            mode = os.fstat(lines.fileno()).st_mode
            if mode & OTHERS_MAY:
                shown = f"{stat.S_IMODE(mode):04o}"
                problem = f"The key file has mode {shown}; others may open it. Run `chmod 600`."
                return KeyList(problems=[problem])
            return read([line for raw in lines if (line := raw.partition("#")[0].strip())])
    except OSError as failure:
        return KeyList(problems=[f"The key file cannot be read: {failure.strerror}."])
    except UnicodeDecodeError:
        return KeyList(problems=["The key file is not text in UTF-8."])
