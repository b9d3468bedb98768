"""Refusals of backups: each says what was found and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from garrison.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence


class BackupsRefusal(Refusal):
    """Base of every refusal here."""

    code = "backup_refused"
    status = 409
    title = "The backup operation was refused"


class RecipientMissing(BackupsRefusal):
    """There is nobody to encrypt to, and writing plain text was not configured."""

    code = "backup_recipient_missing"
    title = "No age recipient is configured"


class RecipientInvalid(BackupsRefusal):
    """A configured recipient is not one."""

    code = "backup_recipient_invalid"
    title = "An age recipient is malformed"


class IdentityMissing(BackupsRefusal):
    """Nothing here can open a backup."""

    code = "backup_identity_missing"
    title = "No age identity is available"


class IdentityWrong(BackupsRefusal):
    """The identity at hand is none of those the backup was encrypted to."""

    code = "backup_identity_wrong"
    title = "The identity cannot open this backup"


class SignerUnknown(BackupsRefusal):
    """A key that is not believed here signed the manifest: an older one of ours, or a forger's."""

    code = "backup_signer_unknown"
    status = 422
    title = "The signer of the backup is not known here"


class VerificationIndeterminate(BackupsRefusal):
    """A key or a target is out of reach, so nobody can tell here whether a backup is intact."""

    code = "backup_verification_indeterminate"
    title = "The verification could not decide"


class ToolMissing(BackupsRefusal):
    """The PostgreSQL programs that match the server are not here."""

    code = "backup_tool_missing"
    status = 503
    title = "A PostgreSQL program is missing"


class EngineUnsupported(BackupsRefusal):
    """The database is neither PostgreSQL nor a SQLite file."""

    code = "backup_engine_unsupported"
    title = "This database cannot be backed up"


class BackupBusy(BackupsRefusal):
    """Another run holds the lease."""

    code = "backup_busy"
    title = "Another backup operation is running"


class LeaseLost(BackupsRefusal):
    """This run's lease expired and somebody else may have taken over; nothing more is changed."""

    code = "backup_lease_lost"
    title = "The run lost its lease"


class BackupNotFound(BackupsRefusal):
    """There is no such backup."""

    code = "backup_not_found"
    status = 404
    title = "There is no such backup"


class BackupNotGood(BackupsRefusal):
    """It has not been made yet, has failed or was pruned."""

    code = "backup_not_good"
    title = "The backup is not a good one"


class BackupDamaged(BackupsRefusal):
    """Parts are damaged, missing, swapped or not signed by this site; nothing was touched."""

    code = "backup_damaged"
    status = 422
    title = "The backup is damaged or not genuine"


class FilesDamaged(BackupDamaged):
    """Encrypted files of a backup are damaged or missing on a target; ``blobs`` are their names."""

    def __init__(self, detail: str, blobs: Sequence[str]) -> None:
        """Keep which."""
        super().__init__(detail)
        self.blobs = tuple(blobs)


class FileUnreadable(BackupsRefusal):
    """A file that should be backed up cannot be read; a backup without it would not be whole."""

    code = "backup_file_unreadable"
    status = 503
    title = "A file cannot be read"


class TargetFailed(BackupsRefusal):
    """No target could take the backup."""

    code = "backup_target_failed"
    status = 503
    title = "No target could store the backup"


class ProgramFailed(BackupsRefusal):
    """A program ended with an error, or was killed for taking too long."""

    code = "backup_program_failed"
    status = 503
    title = "A program failed"


OUT_OF_REACH = (IdentityMissing, IdentityWrong, SignerUnknown, TargetFailed)
"""What keeps a verification from deciding, and proves no damage (ETSI EN 319 102-1 §5.1.3)."""


class DatabaseNotEmpty(BackupsRefusal):
    """The target of a restore holds data, and its name was not typed."""

    code = "restore_not_confirmed"
    title = "The database is not empty"


class RestoreMismatch(BackupsRefusal):
    """What was restored is not what the manifest describes; everything was rolled back."""

    code = "restore_mismatch"
    title = "The restored data does not match the manifest"


class RestoreIncomplete(BackupsRefusal):
    """Of several databases some were restored, each whole, before another one failed."""

    code = "restore_incomplete"
    title = "Not every database was restored"
