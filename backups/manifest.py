"""The manifest: what a backup holds, signed by this site and encrypted like everything else.

The file, once decrypted, is one line ``GARRISON-BACKUP-MANIFEST 3 <public key> <signature>`` and
then the JSON body that is signed. It can be read without this software. Older versions are
still read: 2 knows one database only, and 1 nothing of what was skipped, nor its list of files of
modes and times.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pyrage

from backups import pipeline, signing
from backups.errors import BackupDamaged
from backups.layout import PART_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyrage import x25519

    from backups.keys import Recipients

NAME = "manifest"
MAGIC = b"GARRISON-BACKUP-MANIFEST"
VERSION, READ = 3, (b"1", b"2", b"3")
LARGEST = 32 * 1024 * 1024  # bytes; a hundred thousand tables need a tenth of it


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the snapshot: its quoted name, its rows, and a sum over a hash of each row."""

    name: str
    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class SequenceState:
    """One sequence, as it stood before the dump began: a restored one stands here or further on."""

    name: str
    last_value: int
    is_called: bool


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What a database held at the snapshot; the same is computed of a restored one.

    ``alias`` is how the site's settings call it.
    """

    engine: str
    version: str
    name: str
    tables: list[Table]
    sequences: list[SequenceState]
    large_objects: Table
    migrations: list[list[str]]
    tool: str = ""
    alias: str = ""

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(table.rows for table in self.tables)

    @property
    def major(self) -> str:
        """The engine's major version, on which row hashes may depend."""
        return self.version.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Part:
    """One encrypted file of the backup: its name in the folder, and its hashes."""

    name: str
    sealed: pipeline.Sealed


@dataclass(frozen=True, slots=True)
class FilesState:
    """What the file storages held; ``skipped`` counts by kind what was left out.

    ``skipped_files`` are the first thousand of them: kind, storage, and the path as in the list.
    """

    count: int = 0
    raw_bytes: int = 0
    vanished: int = 0
    storages: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    skipped_files: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything about one backup.

    ``parts`` maps what (``database``, ``database.<alias>``, ``files``) to its part, ``databases``
    the same names to what was in each.
    """

    backup: str
    folder: str
    kind: str
    snapshot_at: str
    site: str
    software: dict[str, str]
    recipients: list[str]
    signer: str
    parts: dict[str, Part]
    databases: dict[str, DatabaseState] = field(default_factory=dict)
    files: FilesState | None = None

    def body(self) -> bytes:
        """Return the canonical JSON that is signed."""
        fields = {"version": VERSION, **asdict(self)}
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    @property
    def rows(self) -> int:
        """All rows of all databases."""
        return sum(state.rows for state in self.databases.values())

    @property
    def content(self) -> str:
        """Return what it holds: ``all``, or only ``database`` or ``files``."""
        kinds = {what.partition(".")[0] for what in self.parts}
        return "all" if len(kinds) > 1 else kinds.pop()

    @property
    def is_encrypted(self) -> bool:
        """Return whether the parts are encrypted."""
        return bool(self.recipients)


def write(manifest: Manifest, recipients: Recipients) -> bytes:
    """Sign and encrypt; returns the bytes of the file."""
    body = manifest.body()
    signature = base64.b64encode(signing.sign(body)).decode()
    head = b"%s %d %s %s\n" % (MAGIC, VERSION, signing.signer().encode(), signature.encode())
    if not recipients:
        return head + body
    sealed: bytes = pyrage.encrypt(head + body, recipients.keys)
    return sealed


def read(
    sealed: bytes, *, folder: str, identities: Sequence[x25519.Identity], encrypted: bool = True
) -> Manifest:
    """Decrypt, check the signature and the folder; refuses anything that is not genuine.

    The folder stands in the signed body, so the manifest of one backup cannot vouch for another.
    """
    if len(sealed) > LARGEST:
        raise BackupDamaged(f"The manifest is {len(sealed)} bytes, which no manifest is.")
    clear = _decrypted(sealed, identities) if encrypted else sealed
    head, _, body = clear.partition(b"\n")
    signer, signature = _head(head)
    signing.require_genuine(body=body, signer=signer, signature=signature)
    manifest = _parse(body)
    if manifest.folder != folder:
        raise BackupDamaged(
            f"The manifest in {folder} is that of {manifest.folder}: files were swapped."
        )
    if manifest.signer != signer:
        raise BackupDamaged("The manifest names another signer than its first line.")
    if manifest.is_encrypted != encrypted:
        raise BackupDamaged("The manifest says something else about encryption than its file name.")
    return manifest


def _decrypted(sealed: bytes, identities: Sequence[x25519.Identity]) -> bytes:
    out = io.BytesIO()
    pipeline.decrypt(source=io.BytesIO(sealed), out=out, identities=identities)
    return out.getvalue()


def _head(head: bytes) -> tuple[str, bytes]:
    words = head.split(b" ")
    if len(words) != 4 or words[0] != MAGIC:
        raise BackupDamaged("The manifest does not begin as one.")
    if words[1] not in READ:
        raise BackupDamaged(
            f"The manifest is of version {words[1][:8]!r}; this software reads up to {VERSION}."
        )
    try:
        return words[2].decode("ascii"), base64.b64decode(words[3], validate=True)
    except (UnicodeDecodeError, binascii.Error):
        raise BackupDamaged("The first line of the manifest is malformed.") from None


def _parse(body: bytes) -> Manifest:
    try:
        return _build(json.loads(body))
    except (ValueError, KeyError, TypeError):  # signed, and yet not ours: a version we never wrote
        raise BackupDamaged("The manifest's body has not the expected form.") from None


def _build(fields: dict[str, Any]) -> Manifest:
    fields.pop("version")
    parts = {
        what: Part(_part_name(part["name"]), pipeline.Sealed(**part["sealed"]))
        for what, part in fields.pop("parts").items()
    }
    databases, files = fields.pop("databases", {}), fields.pop("files")
    if only := fields.pop("database", None):  # before version 3
        databases = {"database": only}
    return Manifest(
        **fields,
        parts=parts,
        databases={what: _database(state) for what, state in databases.items()},
        files=FilesState(**files) if files else None,
    )


def _part_name(name: str) -> str:
    """Return the name of a part, which stands in the backup's folder and nowhere else."""
    if not PART_NAME.match(name):
        raise ValueError(name)
    return name


def _database(fields: dict[str, Any]) -> DatabaseState:
    fields["tables"] = [Table(**table) for table in fields["tables"]]
    fields["sequences"] = [SequenceState(**sequence) for sequence in fields["sequences"]]
    fields["large_objects"] = Table(**fields["large_objects"])
    return DatabaseState(**fields)


def sha256(sealed: bytes) -> str:
    """Hash a manifest's file, for the index."""
    return hashlib.sha256(sealed).hexdigest()
