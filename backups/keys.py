"""age recipients and identities.

A recipient (``age1…``) is public and stands wherever backups are made. The identity
(``AGE-SECRET-KEY-1…``) opens them and stands only where restores run.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pyrage import IdentityError, RecipientError, x25519

from backups.conf import settings
from backups.errors import IdentityMissing, RecipientInvalid, RecipientMissing

SECRET_MARK = "AGE-SECRET-KEY-"  # noqa: S105 - what every identity begins with, not one


@dataclass(frozen=True, slots=True)
class Recipients:
    """To whom something is encrypted; empty means plain text, by explicit setting."""

    texts: tuple[str, ...]

    @property
    def keys(self) -> list[x25519.Recipient]:
        """Return them as the library wants them."""
        return [x25519.Recipient.from_str(text) for text in self.texts]

    @property
    def fingerprint(self) -> str:
        """Return a name for exactly this set: 64 hexadecimal digits."""
        return hashlib.sha256("\n".join(sorted(self.texts)).encode()).hexdigest()

    @property
    def suffix(self) -> str:
        """Return the ending of file names: what has to be undone to read them."""
        return ".age" if self.texts else ""

    def __bool__(self) -> bool:
        """Return whether there is anybody."""
        return bool(self.texts)


def recipients() -> Recipients:
    """Read the configured recipients.

    Refuses malformed ones, a secret key in their place, and an empty list, unless
    ``BACKUPS_ALLOW_UNENCRYPTED`` says that plain text is wanted.
    """
    texts = tuple(text.strip() for text in settings.recipients if text.strip())
    for place, text in enumerate(texts, 1):
        _require_recipient(text, place)
    if not texts and not settings.allow_unencrypted:
        raise RecipientMissing(
            "BACKUPS_RECIPIENTS (environment: BACKUP_ENCRYPTION_KEY) is empty, so there is nobody "
            "to encrypt backups to. Run `manage.py backup_keygen` on the machine where restores "
            "run, and set its public key here."
        )
    return Recipients(tuple(dict.fromkeys(texts)))


def _require_recipient(text: str, place: int) -> None:
    if text.upper().startswith(SECRET_MARK):
        raise RecipientInvalid(
            f"Entry {place} of BACKUPS_RECIPIENTS is a secret key. It opens every backup and must "
            "not be here: replace it by its public key (age1…), and make a new key if this "
            "machine is not where restores run."
        )
    try:
        x25519.Recipient.from_str(text)
    except RecipientError:
        raise RecipientInvalid(
            f"Entry {place} of BACKUPS_RECIPIENTS is not an age recipient: {text[:12]!r}… should "
            "be age1 and 58 more characters. Copy it again from `manage.py backup_keygen`."
        ) from None


def identities(path: str | None = None) -> list[x25519.Identity]:
    """Read the identity file: ``path``, else ``BACKUPS_IDENTITY_FILE``.

    Refuses a missing, unreadable or empty file and malformed lines; no key is ever shown.
    """
    where = path or settings.identity_file
    if not where:
        raise IdentityMissing(
            "No identity is configured here, so nothing can be opened. Set "
            "BACKUP_IDENTITY_FILE, or give --identity, on the machine where restores run."
        )
    try:
        lines = Path(where).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as failure:
        raise IdentityMissing(
            f"The identity file {where} cannot be read ({type(failure).__name__})."
        ) from None
    found = [
        _identity(line.strip(), n, where) for n, line in enumerate(lines, 1) if _holds_key(line)
    ]
    if not found:
        raise IdentityMissing(f"The identity file {where} holds no {SECRET_MARK}1… line.")
    return found


def _holds_key(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _identity(line: str, number: int, where: str) -> x25519.Identity:
    try:
        return x25519.Identity.from_str(line)
    except IdentityError:
        raise IdentityMissing(f"Line {number} of {where} is not an age identity.") from None


def generate() -> tuple[str, str]:
    """Make a key pair: the identity as the text of an age identity file, and the recipient."""
    identity = x25519.Identity.generate()
    recipient = str(identity.to_public())
    return f"# public key: {recipient}\n{identity}\n", recipient
