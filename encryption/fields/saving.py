"""From an instance to what is written: sealed for its row, or written back unopened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.db.models import NOT_PROVIDED, Field, JSONField, Model, signals

from encryption import blind_index
from encryption.cipher import MARK_BYTES_ROW, RING_VERSION, split
from encryption.ciphertext import Bare, Bound
from encryption.errors import UnboundValue
from encryption.fields.rows import RowSalt, renew_salt, row_of, settle_salt
from encryption.fields.wrapping import Wrapping

if TYPE_CHECKING:
    from encryption.fields.encrypted import Encrypted

MARK = bytes([MARK_BYTES_ROW])


def watch(sender: type[Model], **_: Any) -> None:
    """Connect, where a class with encrypted fields is made, what its saves need.

    Django sends ``pre_save`` for the class that is saved, so children and proxies are watched too.
    """
    families = [base._meta.local_fields for base in sender.__mro__ if hasattr(base, "_meta")]
    if any(isinstance(field, Wrapping) for fields in families for field in fields):
        signals.pre_save.connect(before_save, sender=sender, dispatch_uid="encryption.before_save")
        signals.post_save.connect(after_save, sender=sender, dispatch_uid="encryption.after_save")


signals.class_prepared.connect(watch, dispatch_uid="encryption.watch")


def encrypted_fields(model: type[Model]) -> list[Encrypted[Any, Any]]:
    """Every encrypted field of a model, inherited ones too."""
    found = [field for field in model._meta.concrete_fields if isinstance(field, Wrapping)]
    return cast("list[Encrypted[Any, Any]]", found)


def sealed_value(field: Encrypted[Any, Any], instance: Model, *, add: bool) -> Bound | None:
    """Return what is to be written for the instance's value."""
    if type(field.base).pre_save is not Field.pre_save:
        field.base.pre_save(instance, add)  # auto_now sets the attribute
    identity = field.identity()
    if add and isinstance(identity, RowSalt):
        renew_salt(instance, identity)
    row = field.row_of(getattr(instance, identity.attname))
    is_json_null = isinstance(field.base, JSONField) and not field.null  # sealed, as it is stored
    if instance.__dict__.get(field.attname, NOT_PROVIDED) is None and not is_json_null:
        subject_of(field, instance)  # refuses a row that is nobody's, with a value or without
        return None
    kept = _kept(field, instance, row)
    if kept is not None:
        return kept
    held = instance.__dict__.get(field.attname)
    if type(held) is Bound:
        return held
    del held  # a clear value stands in no variable while something may be raised
    subject = subject_of(field, instance)
    return field.seal(getattr(instance, field.attname), row=row, subject=subject)


def _kept(field: Encrypted[Any, Any], instance: Model, row: bytes) -> Bound | None:
    """Return the envelope as it was read, where nobody opened it and it still fits.

    One of an older key is opened and sealed again, so that saving never brings an old key back.
    """
    stored = instance.__dict__.get(field.attname)
    if type(stored) is Bare:
        own_row, envelope = row, bytes(stored)
    elif type(stored) is field.closed_type:
        parted, envelope = split(bytes(stored))
        own_row = parted or b""
    else:
        return None
    if own_row != row:
        return None
    is_old = envelope[:1] == RING_VERSION and not envelope.startswith(field.cipher.active_header)
    return None if is_old else Bound(envelope)


def subject_of(field: Encrypted[Any, Any], instance: Model) -> str:
    """Return whose value it is: ``app.model:<pk>`` of the person the subject field points to."""
    if not field.subject:
        return ""
    subject: Any = field.model._meta.get_field(field.subject)
    return subject_name(field, getattr(instance, subject.attname))


def subject_name(field: Encrypted[Any, Any], value: Any) -> str:
    """Name a subject by the value of its field."""
    if value is None:
        raise UnboundValue(
            f"{field.place} is encrypted for the person that {field.subject!r} names, and that is "
            "empty. Set it before saving."
        )
    subject: Any = field.model._meta.get_field(field.subject)
    kind = subject.related_model._meta.label_lower if subject.is_relation else field.subject
    return f"{kind}:{value}"


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
    """Seal what ``loaddata`` writes without asking the fields, and refuse a stale blind index."""
    if raw:
        for field in encrypted_fields(sender):
            if instance.__dict__.get(field.attname) is not None:
                instance.__dict__[field.attname] = sealed_value(field, instance, add=False)
    if update_fields is not None:
        blind_index.refuse_stale(sender, update_fields)


def after_save(sender: type[Model], instance: Model, *, raw: bool = False, **_: Any) -> None:
    """Turn what was sealed for ``loaddata`` into what a read would have returned."""
    settle_salt(instance)
    for field in encrypted_fields(sender) if raw else ():
        value = instance.__dict__.get(field.attname)
        if type(value) is Bound:
            row = row_of(instance, field.identity()) or b""
            instance.__dict__[field.attname] = field.closed_type(MARK + row + value)
