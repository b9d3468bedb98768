"""What encryption does about its own events, and after ``migrate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.db.models import F

from encryption.conf import settings
from encryption.errors import KeyringUnusable, SubjectUnknown
from encryption.fields.together import kind_of

if TYPE_CHECKING:
    from garrison.events import SecurityEvent


def count_failure(event: SecurityEvent) -> None:
    """Count a value that could not be read, by hour and place."""
    from encryption.models import DecryptionFailureCount

    known = {name: str(event.data[name])[:60] for name in ("key_id", "reason")}
    hour = event.at.replace(minute=0, second=0, microsecond=0)
    row, _ = DecryptionFailureCount.objects.get_or_create(
        hour=hour, place=event.data["place"][:200], **known, defaults={"last_at": event.at}
    )
    DecryptionFailureCount.objects.filter(pk=row.pk).update(count=F("count") + 1, last_at=event.at)


def adopt_keys(using: str, **_: Any) -> None:
    """Write the keys down after ``migrate``, so that their age is known from the first day."""
    from encryption import key_versions
    from encryption.models import KeyVersion

    connection = connections[using]
    if (
        using != "default"
        or KeyVersion._meta.db_table not in connection.introspection.table_names()
    ):
        return  # another database, or one migrated back to before this app
    try:
        key_versions.adopt()
    except KeyringUnusable:  # reported by encryption.E001, with its sentence; migrating may go on
        return


def erase_deleted(instance: Any, using: str, **_: Any) -> None:
    """Destroy a deleted user's keys, where the site asks for it, once the deletion is committed.

    Keys are not in the database: destroyed before, they would be lost to a user who is still there.
    """
    from encryption.services import erase_subject

    subject = f"{kind_of(type(instance))}:{instance.pk}"

    def erase() -> None:
        try:
            erase_subject(subject=subject)
        except SubjectUnknown:  # nothing was encrypted for them
            return

    if settings.erase_deleted_users:
        transaction.on_commit(erase, using=using, robust=True)
