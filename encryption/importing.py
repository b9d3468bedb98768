"""Taking over columns that django-cryptography wrote, in place and while the site runs.

Its values are Fernet-like (AES-CBC and HMAC) around a pickle. They are verified before they are
unpickled, and the unpickler builds plain values only: no pickle may call anything.
"""

from __future__ import annotations

import datetime as dt
import decimal
import io
import pickle
import uuid
from typing import TYPE_CHECKING, Any

from django.core.signing import BadSignature
from django.utils.functional import cached_property

from encryption.cipher import RING_VERSION, SUBJECT_VERSION
from encryption.errors import DecryptionFailed, ImportRefused

if TYPE_CHECKING:
    from django.db import models

    from encryption.fields import Encrypted

FOREIGN_VERSION = 0x80  # Fernet's version byte, which django-cryptography kept

# What a pickled field value may be made of, besides numbers, text, lists and dicts.
PLAIN_TYPES: dict[tuple[str, str], Any] = {
    ("datetime", "date"): dt.date,
    ("datetime", "datetime"): dt.datetime,
    ("datetime", "time"): dt.time,
    ("datetime", "timedelta"): dt.timedelta,
    ("datetime", "timezone"): dt.timezone,
    ("decimal", "Decimal"): decimal.Decimal,
    ("uuid", "UUID"): uuid.UUID,
    ("uuid", "SafeUUID"): uuid.SafeUUID,
}


UNREADABLE = object()  # in the place of a value, so that no frame with a value raises


class _PlainUnpickler(pickle.Unpickler):
    """Builds the values a field may hold, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        """Return one of a closed list."""
        try:
            return PLAIN_TYPES[module, name]
        except KeyError:
            raise pickle.UnpicklingError("not a plain value") from None


class FromDjangoCryptography:
    """The task of an import: every value that is not an envelope yet becomes one."""

    def __init__(self, *, key: bytes | str | None = None) -> None:
        """Take the key that the old field was given, if it was given one of its own."""
        self._key = key

    @cached_property
    def _cipher(self) -> Any:
        try:
            from django_cryptography.utils.crypto import FernetBytes
        except ImportError:
            raise ImportRefused(
                "django-cryptography is not installed. Install django-garrison[import]; it is "
                "needed only while you import."
            ) from None
        return FernetBytes(self._key)

    def due(self, field: Encrypted[Any, Any], rows: models.QuerySet[Any]) -> models.QuerySet[Any]:  # noqa: ARG002
        """Every value that does not begin as ours do."""
        return rows.exclude(envelope_version__in=[RING_VERSION, SUBJECT_VERSION])

    def reseal(self, field: Encrypted[Any, Any], stored: bytes, row: bytes) -> bytes:
        """Verify, decrypt, unpickle, convert by the field, and seal."""
        opened = self._open(stored)
        if opened is UNREADABLE:
            raise DecryptionFailed(
                f"A value of {field.place} is not one that django-cryptography wrote with the "
                "present SECRET_KEY and CRYPTOGRAPHY_KEY. Set them as they were and run the "
                "import again.",
                reason="malformed",
                place=field.place,
            )
        return field.seal(field.base.to_python(opened), row=row)

    def _open(self, stored: bytes) -> Any:
        cipher = self._cipher
        try:
            pickled = cipher.decrypt(stored)
            return _PlainUnpickler(io.BytesIO(pickled)).load()
        except (BadSignature, ValueError, TypeError, KeyError, EOFError, pickle.UnpicklingError):
            return UNREADABLE
        except Exception as failure:
            # Its own InvalidToken, imported nowhere else so that the package stays optional.
            if type(failure).__module__.startswith("django_cryptography"):
                return UNREADABLE
            raise
