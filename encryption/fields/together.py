"""Columns written together: a value, its row's identity, whose key it is under, blind indexes.

One of them without the others would leave a value under the key of a person whose it is no longer,
where that person's erasure misses it, or a digest of another value, or a value that nobody can read
because its row has become another. Whoever asks for an UPDATE
(``save()``, ``update()``, related managers, ``bulk_create()`` with conflicts, the deletion of a
person), Django compiles it field by field, and asks each of these fields for its placeholder.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from django.db.models import BinaryField, Field
from django.db.models.constants import OnConflict
from django.db.models.sql import UpdateQuery

from encryption.blind_index import BlindIndex, indexes_of
from encryption.ciphertext import Bound
from encryption.errors import ExpressionRefused
from encryption.fields.rows import RowSalt, SavedSalt, as_row, identity_field, is_copy
from encryption.fields.wrapping import Wrapping

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from django.db.models import Model

AnyField: TypeAlias = "Field[Any, Any]"
MISSING = object()  # not among what is written


def subject_field(field: Wrapping[Any, Any]) -> AnyField | None:
    """Return the column that names whose value it is; only one of the same row can be trusted."""
    own = {other.name: other for other in field.model._meta.local_concrete_fields}
    found: Any = own.get(field.subject)
    return None if isinstance(found, Wrapping | BinaryField) else found


def kind_of(model: type[Model]) -> str:
    """Name a model as people's keys do: by the topmost table in which a row has the same key.

    A proxy, and a child by multi-table inheritance, is the same person under another class.
    """
    topmost: Any = model._meta.concrete_model
    while getattr(topmost._meta.pk.remote_field, "parent_link", False):
        topmost = topmost._meta.pk.remote_field.model._meta.concrete_model
    return str(topmost._meta.label_lower)


def name_of(subject: Any, value: Any) -> str:
    """Name a person as their key does, by what a column that names them holds."""
    kind = kind_of(subject.related_model) if subject.is_relation else subject.name
    return f"{kind}:{value}"


def under_key_of(subject: AnyField) -> list[Any]:
    """Return every field whose values are under the key of the person that a column names."""
    own: Iterable[Any] = subject.model._meta.local_concrete_fields
    return [f for f in own if isinstance(f, Wrapping) and f.subject == subject.name]


def companions(field: Any) -> list[Any]:
    """Return the columns that a new value of this one changes too."""
    if isinstance(field, BlindIndex):
        return [field.source_field]
    return indexes_of(field) if isinstance(field, Wrapping) else under_key_of(field)


def bound_to(identity: AnyField) -> list[Any]:
    """Return every encrypted field whose values only this column of their row opens."""
    own = [f for f in identity.model._meta.local_concrete_fields if isinstance(f, Wrapping)]
    return own if own and identity_field(identity.model) is identity else []


def kin(field: AnyField) -> list[Any]:
    """Return the person of an encrypted field, or the encrypted fields of a person."""
    if not isinstance(field, Wrapping):
        return under_key_of(field)
    subject = subject_field(field)
    return [] if subject is None else [subject]


def refuse_parted(
    field: AnyField, written: Container[AnyField], *, among: Iterable[AnyField]
) -> None:
    """Refuse to write a column and leave behind what belongs to it."""
    for other in among:
        if other not in written:
            raise ExpressionRefused(parted(field, other))


def parted(field: AnyField, other: AnyField) -> str:
    """Report which of two columns is missing."""
    return (
        f"{field.model._meta.label}: {field.name!r} was to be written without {other.name!r}. A "
        "value, the identity of its row, the person whose key it is under and its blind indexes "
        "are written together: name them all in save(update_fields=[…]) and bulk_update(), load "
        "those that were deferred, or use update() of an EncryptedManager (Meta.base_manager_name, "
        "for related managers)."
    )


def no_expression(field: AnyField) -> str:
    """Report why an expression cannot be stored."""
    if isinstance(field, Wrapping):
        return field.no_expression()
    return (
        f"{field.model._meta.label}.{field.name} names the people whose keys values are under, so "
        "it cannot be set from an expression such as F(). Set it person by person."
    )


def check_written(field: AnyField, compiler: Any) -> None:
    """Refuse a statement that changes rows in part; an INSERT alone makes whole ones."""
    query: Any = compiler.query
    is_update = isinstance(query, UpdateQuery)
    if is_update:
        _check_update(field, query, {one: value for one, _, value in query.values})
    elif getattr(query, "on_conflict", None) is OnConflict.UPDATE and field in query.update_fields:
        both = [*companions(field), *kin(field), *bound_to(field)]
        refuse_parted(field, query.update_fields, among=both)
        if isinstance(field, Wrapping):
            _check_upsert(field, query)


def _check_update(field: AnyField, query: Any, written: Mapping[AnyField, Any]) -> None:
    value = written.get(field)
    _check_identity(field, query, written)
    if isinstance(field, BlindIndex):
        field.refuse_set(value)
    elif value is None and not isinstance(field, Wrapping):
        return  # nobody's: the values stay under the key of whose they were, whose erasure counts
    refuse_parted(field, written, among=companions(field))
    subject = subject_field(field) if isinstance(field, Wrapping) else None
    if subject is None or subject in written or value is None:
        return
    if not isinstance(value, Bound) or value.subject is None:
        raise ExpressionRefused(parted(field, subject))
    # The row may be somebody else's by now: then nothing is written, and save() raises.
    query.add_filter(subject.attname, value.subject)


def _check_identity(field: AnyField, query: Any, written: Mapping[AnyField, Any]) -> None:
    """Refuse to make a row another one, which its encrypted values would not open in.

    ``save()`` writes the salt back. With every value sealed for that salt it may be a new one; with
    some only, the row must still have it: otherwise nothing is written, and ``save()`` raises.
    """
    value, bound = written.get(field), bound_to(field) if field in written else []
    if isinstance(field, Wrapping):
        salt, row = field.identity(), getattr(value, "row", None)
        if isinstance(salt, RowSalt) and salt not in written and row is not None:
            query.add_filter(salt.attname, UUID(bytes=row))
    elif bound and not _is_sealed_for(value, [written.get(one, MISSING) for one in bound]):
        if not isinstance(value, SavedSalt) or all(one in written for one in bound):
            raise ExpressionRefused(
                f"{field.model._meta.label}: {field.name!r} is what the encrypted values of a row "
                "are bound to, so they could not be read once it is another. Save whole "
                "instances, or insert new rows and delete the old ones."
            )
        query.add_filter(field.attname, value)


def _is_sealed_for(identity: Any, values: Iterable[Any]) -> bool:
    row = as_row(identity) if isinstance(identity, UUID | str) else None
    return all(v is None or (type(v) is Bound and row is not None and v.row == row) for v in values)


def _check_upsert(field: Wrapping[Any, Any], query: Any) -> None:
    """Refuse an ``ON CONFLICT DO UPDATE`` that would write a value into a row of another identity.

    The row that stays keeps its own key or salt, while the new value is bound to the new one; only
    where the conflict is on that key itself, or the salt and every encrypted column are replaced
    together, can the value be read afterwards.
    """
    identity = field.identity()
    conflict = {getattr(f, "name", f) for f in query.unique_fields or ()}
    if conflict & {identity.name, identity.column, identity.attname}:
        if any(map(is_copy, query.objs)):
            raise ExpressionRefused(
                f"bulk_create(update_conflicts=True) of {field.model._meta.label} would insert "
                "what is to be updated: objects with a database are copies to a plain manager, and "
                "get salts of their own. Give the model `objects = EncryptedManager()`, or set "
                "keys (`owner_id=`) and no related objects."
            )
        return
    if isinstance(identity, RowSalt):
        encrypted = {f for f in field.model._meta.local_fields if isinstance(f, Wrapping)}
        if {identity, *encrypted} <= set(query.update_fields):
            return
    raise ExpressionRefused(
        f"bulk_create(update_conflicts=True) would write {field.place} into a row that it is not "
        f"bound to. Name {identity.name!r} in unique_fields, or update the rows one by one."
    )


def watch(model: type[Model]) -> None:
    """Have blind indexes, and columns that name people or rows, ask before they are written."""
    for field in model._meta.local_concrete_fields:
        watched: list[Any] = [field] if isinstance(field, BlindIndex) else []
        if isinstance(field, Wrapping):
            watched = [subject_field(field), _possible_identity(model)]
        for one in filter(None, watched):
            one.get_placeholder = partial(_placeholder, one)
            one.get_placeholder_sql = partial(_placeholder_sql, one)


def _possible_identity(model: type[Model]) -> AnyField | None:
    """Return the row's salt, or its key; which kind that is may not be known before all models."""
    salts = (f for f in model._meta.local_concrete_fields if isinstance(f, RowSalt))
    return next(salts, model._meta.pk)


def _placeholder(field: AnyField, value: Any, compiler: Any, connection: Any) -> str:  # noqa: ARG001
    check_written(field, compiler)
    return "%s"


def _placeholder_sql(
    field: AnyField, value: Any, compiler: Any, connection: Any
) -> tuple[str, tuple[Any, ...]]:
    placeholder = _placeholder(field, value, compiler, connection)
    if hasattr(value, "as_sql"):
        compiled: tuple[str, tuple[Any, ...]] = compiler.compile(value)
        return compiled
    return placeholder, (value,)
