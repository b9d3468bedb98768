"""Reading a backup from a target: its manifest, its parts, its files.

Nothing here is believed before it is checked: the manifest by its signature, every part by the
hashes in the manifest, every file by the hashes in its list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from backups import files, manifest, pipeline
from backups.errors import BackupDamaged, BackupNotFound, BackupsRefusal, TargetFailed
from backups.layout import FOLDER_NAME, MANIFEST_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyrage import x25519

    from backups.files import Entry
    from backups.manifest import Manifest
    from backups.pipeline import Sealed, Writable
    from backups.targets import Target


@dataclass(frozen=True, slots=True)
class OpenedBackup:
    """A backup on one target whose manifest was found genuine."""

    target: Target
    folder: str
    manifest: Manifest
    manifest_sha256: str
    identities: Sequence[x25519.Identity]

    def part(self, what: str, out: Writable) -> None:
        """Read one part (``database``, ``files``) into ``out``; see :func:`pipeline.unseal`."""
        part = self.manifest.parts.get(what)
        if part is None:
            raise BackupDamaged(f"The backup {self.folder} holds no {what}.")
        self._read(f"{self.folder}/{part.name}", out, part.sealed)

    def file(self, entry: Entry, out: Writable) -> None:
        """Read one file into ``out``."""
        self._read(entry.blob, out, entry.sealed)

    def each_file(self, handle: Callable[[Entry], None]) -> None:
        """Pass every entry of the list to ``handle``; only its end proves that it was genuine."""
        lines = _Lines(handle)
        self.part("files", lines)
        lines.require_end()

    def _read(self, name: str, out: Writable, expected: Sealed) -> None:
        with Reading(self.target, name) as source:
            pipeline.unseal(
                source=source,
                out=out,
                identities=self.identities,
                expected=expected,
                encrypted=self.manifest.is_encrypted,
            )


class _Lines:
    """Cuts raw bytes into lines, and lines into entries."""

    def __init__(self, handle: Callable[[Entry], None]) -> None:
        self._handle = handle
        self._rest = b""

    def write(self, chunk: bytes) -> int:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._handle(_entry(line))
        if len(self._rest) > files.LONGEST_LINE:
            raise BackupDamaged("A line of the file list is too long.")
        return len(chunk)

    def require_end(self) -> None:
        if self._rest:
            raise BackupDamaged("The file list ends inside a line.")


def _entry(line: bytes) -> Entry:
    try:
        return files.Entry.parse(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise BackupDamaged("A line of the file list is not UTF-8.") from None


class Reading:
    """An open file on a target, for a block; a file that is not there is a damaged backup.

    Anything else that the target raises is :class:`~backups.errors.TargetFailed`: it may be away,
    and what it holds may be whole.
    """

    def __init__(self, target: Target, name: str) -> None:
        """Open it."""
        self._name = name
        self._target = target
        try:
            self._file = target.open(name)
        except Exception as failure:
            raise self._refusal(failure) from failure

    def _refusal(self, failure: Exception) -> BackupsRefusal:
        if isinstance(failure, FileNotFoundError | NotADirectoryError):
            if self._target.is_away():
                return away(self._target)
            return BackupDamaged(f"{self._name} is no file on the target {self._target.alias!r}.")
        return TargetFailed(
            f"{self._name} cannot be read from the target {self._target.alias!r}: "
            f"{type(failure).__name__}."
        )

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes."""
        try:
            return self._file.read(size)
        except Exception as failure:
            raise self._refusal(failure) from failure

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._file.close()


def away(target: Target) -> TargetFailed:
    """Return the refusal of a target that may not be mounted."""
    return TargetFailed(
        f"The folder of the target {target.alias!r} is not there, or holds no backup at all; it "
        "may not be mounted."
    )


def _listed(target: Target, folder: str) -> tuple[list[str], list[str]]:
    try:
        return target.list(folder)
    except Exception as failure:
        raise TargetFailed(
            f"The target {target.alias!r} cannot be listed: {type(failure).__name__}."
        ) from failure


def is_whole(target: Target, folder: str) -> bool:
    """Return whether a folder has a manifest, which is written last; raises if nobody knows."""
    try:
        manifest_name(target, folder)
    except BackupNotFound:
        return False
    return True


def manifest_name(target: Target, folder: str) -> str:
    """Return the name of the newest manifest in a folder; without one there is no backup."""
    _folders, names = _listed(target, folder)
    found = [match for name in names if (match := MANIFEST_NAME.match(name))]
    if not found:
        if target.is_away():
            raise away(target)
        raise BackupNotFound(
            f"The target {target.alias!r} has no whole backup in {folder}: there is no manifest."
        )
    return max(found, key=lambda match: int(match[1] or 0))[0]


def open_backup(
    target: Target, folder: str, identities: Sequence[x25519.Identity], *, sha256: str = ""
) -> OpenedBackup:
    """Read and check the manifest.

    ``sha256`` is what the index knows of it; another one is refused, although it may be genuine: it
    was put there by somebody who is not the index's owner.
    """
    if not FOLDER_NAME.match(folder):
        raise BackupNotFound(f"{folder[:40]!r} is not the name of a backup's folder.")
    name, sealed = _sealed_manifest(target, folder)
    found = manifest.sha256(sealed)
    if sha256 and found != sha256:  # needs no key: what is not ours is damage, whoever signed it
        raise BackupDamaged(
            f"The manifest of {folder} on {target.alias!r} is not the one that was written there. "
            "If the index was lost and rebuilt, run `manage.py backup_list --rebuild`."
        )
    described = manifest.read(
        sealed, folder=folder, identities=identities, encrypted=name.endswith(".age")
    )
    return OpenedBackup(target, folder, described, found, identities)


def manifest_sha256(target: Target, folder: str) -> str:
    """Return the hash of a folder's manifest as it lies there; believes and opens nothing."""
    return manifest.sha256(_sealed_manifest(target, folder)[1])


def _sealed_manifest(target: Target, folder: str) -> tuple[str, bytes]:
    name = manifest_name(target, folder)
    with Reading(target, f"{folder}/{name}") as source:
        return name, _at_most(source, manifest.LARGEST)


def _at_most(source: Reading, most: int) -> bytes:
    data = bytearray()
    while chunk := source.read(1024 * 1024):
        data += chunk
        if len(data) > most:
            raise BackupDamaged("The manifest is larger than any manifest is.")
    return bytes(data)


def folders(target: Target) -> list[str]:
    """Return the names of the backups' folders on a target, oldest first."""
    return [name for name in _listed(target, "")[0] if FOLDER_NAME.match(name)]
