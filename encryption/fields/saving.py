"""From an instance to what is written: sealed for its row, or written back unopened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.db.models import NOT_PROVIDED, JSONField, Model, signals

from encryption.blind_index import BlindIndex
from encryption.cipher import (
    MARK_BYTES_ROW,
    RING_VERSION,
    SUBJECT_HEADER_BYTES,
    SUBJECT_VERSION,
    split,
)
from encryption.ciphertext import Bare, Bound
from encryption.errors import UnboundValue
from encryption.fields import together
from encryption.fields.rows import RowSalt, renew_salt, row_of, settle_salt
from encryption.fields.wrapping import Wrapping

if TYPE_CHECKING:
    from encryption.fields.encrypted import Encrypted

MARK = bytes([MARK_BYTES_ROW])


def watch(sender: type[Model], **_: Any) -> None:
    """Connect, where a class with encrypted fields is made, what its saves need.

    Django sends ``pre_save`` for the class that is saved, so children and proxies are watched too.
    """
    together.watch(sender)
    families = [base._meta.local_fields for base in sender.__mro__ if hasattr(base, "_meta")]
    if any(isinstance(field, Wrapping) for fields in families for field in fields):
        signals.pre_save.connect(before_save, sender=sender, dispatch_uid="encryption.before_save")
        signals.post_save.connect(after_save, sender=sender, dispatch_uid="encryption.after_save")


signals.class_prepared.connect(watch, dispatch_uid="encryption.watch")


def encrypted_fields(model: type[Model]) -> list[Encrypted[Any, Any]]:
    """Every encrypted field of a model, inherited ones too."""
    found = [field for field in model._meta.concrete_fields if isinstance(field, Wrapping)]
    return cast("list[Encrypted[Any, Any]]", found)


def sealed_value(field: Wrapping[Any, Any], instance: Model, *, add: bool) -> Bound | None:
    """Return what is to be written for the instance's value."""
    identity = field.identity()
    if add and isinstance(identity, RowSalt):
        renew_salt(instance, identity)
    row = field.row_of(getattr(instance, identity.attname))
    is_json_null = isinstance(field.base, JSONField) and not field.null  # sealed, as it is stored
    if instance.__dict__.get(field.attname, NOT_PROVIDED) is None and not is_json_null:
        subject_of(field, instance)  # refuses a row that is nobody's, with a value or without
        return None
    subject = subject_of(field, instance)
    bound = _kept(field, instance, row, subject)
    if bound is None:
        field.refuse_too_long(instance)
        bound = field.seal(getattr(instance, field.attname), row=row, subject=subject)
    if bound.row is None:
        bound.row = row
    if field.subject:
        bound.subject = _subject_value(field, instance)
    return bound


def _kept(field: Wrapping[Any, Any], instance: Model, row: bytes, subject: str) -> Bound | None:
    """Return the envelope as it was read, where nobody opened it and it still fits.

    One of an older key, or of another person's, is opened and sealed again, so that saving never
    brings an old key back, and follows a row that was given to somebody else.
    """
    stored = instance.__dict__.get(field.attname)
    if type(stored) is Bound:
        return stored
    if type(stored) is Bare:
        own_row, envelope = row, bytes(stored)
    elif type(stored) is field.closed_type:
        parted, envelope = split(bytes(stored))
        own_row = parted or b""
    else:
        return None
    if own_row != row:
        return None
    if subject:
        return Bound(envelope) if _is_under_key_of(field, envelope, subject) else None
    is_old = envelope[:1] == RING_VERSION and not envelope.startswith(field.cipher.active_header)
    return None if is_old else Bound(envelope)


def _is_under_key_of(field: Wrapping[Any, Any], envelope: bytes, subject: str) -> bool:
    """Return whether only that person's key opens it, or nobody can: erased values stay erased."""
    if envelope[:1] != SUBJECT_VERSION:
        return False  # from before the field had a subject
    found = field.cipher.ring.subject_key(envelope[1:SUBJECT_HEADER_BYTES])
    return found.is_erased or (found.key is not None and found.is_of(subject))


def subject_of(field: Wrapping[Any, Any], instance: Model) -> str:
    """Return whose value it is: ``app.model:<pk>`` of the person the subject field points to."""
    if not field.subject:
        return ""
    value = _subject_value(field, instance)
    if value is None:
        raise UnboundValue(
            f"{field.place} is encrypted for the person that {field.subject!r} names, and that is "
            "empty. Set it before saving."
        )
    return together.name_of(field.model._meta.get_field(field.subject), value)


def _subject_value(field: Wrapping[Any, Any], instance: Model) -> Any:
    """Return the value of the subject field, in one form however it was written."""
    subject: Any = field.model._meta.get_field(field.subject)
    return subject.to_python(getattr(instance, subject.attname))


def selected_value(field: Encrypted[Any, Any], instance: Model) -> bytes:
    """Return mark, row and envelope of an instance's value, for a dump."""
    stored = instance.__dict__.get(field.attname)
    if type(stored) is field.closed_type:
        own_row, envelope = split(bytes(stored))
        if own_row is not None:
            return MARK + own_row + envelope
    row = row_of(instance, field.identity())
    bound = sealed_value(field, instance, add=False)
    return MARK + (row or b"") + (bound or b"")


def before_save(
    sender: type[Model], instance: Model, *, raw: bool = False, update_fields: Any = None, **_: Any
) -> None:
    """Seal what ``loaddata`` writes without asking the fields, and make its digests.

    A save of half of what belongs together is refused here already, before a transaction is broken.
    """
    fields = sender._meta.concrete_fields
    if update_fields is not None:
        named = {field for field in fields if {field.name, field.attname} & set(update_fields)}
        missing = instance.get_deferred_fields()
        for field in named:
            bound = [one for one in together.bound_to(field) if one.attname not in missing]
            together.refuse_parted(field, named, among=[*bound, *together.companions(field)])
    if raw:
        for index in fields:
            if isinstance(index, BlindIndex):
                index.pre_save(instance, False)
        for encrypted in encrypted_fields(sender):
            if instance.__dict__.get(encrypted.attname) is not None:
                value = sealed_value(encrypted, instance, add=False)
                instance.__dict__[encrypted.attname] = value


def after_save(sender: type[Model], instance: Model, *, raw: bool = False, **_: Any) -> None:
    """Turn what was sealed for ``loaddata`` into what a read would have returned."""
    settle_salt(instance)
    for field in encrypted_fields(sender) if raw else ():
        value = instance.__dict__.get(field.attname)
        if type(value) is Bound:
            row = row_of(instance, field.identity()) or b""
            instance.__dict__[field.attname] = field.closed_type(MARK + row + value)
