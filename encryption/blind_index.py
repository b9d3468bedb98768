"""Equality and uniqueness over an encrypted column: a keyed digest beside it.

``email_index = BlindIndex("email")`` stores HMAC-SHA256 of the normalised value under a key of its
own. Whoever sees the column learns which rows hold *equal* values, and nothing else without the
key; for a column of few possible values (a sex, a yes) that already tells much, so do not index
those. ``docs/encryption.md`` says how to change its key by a second column.
"""

from __future__ import annotations

import base64
import unicodedata
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connections, models, router
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from encryption.batches import ROWS_PER_BATCH, locked, windows, write_cells, writing
from encryption.cipher import derived
from encryption.ciphertext import Bare, Bound
from encryption.errors import ExpressionRefused, QueryRefused
from encryption.keyring import keyring
from garrison.keys import Mac

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from encryption.fields.encrypted import Encrypted
    from encryption.fields.wrapping import Wrapping


class Digest(bytes):
    """A value that is a digest already, told apart from a clear value that is bytes."""

    __slots__ = ()


# --- normalisers: what counts as equal ------------------------------------------------------------


def exactly(value: str) -> str:
    """Keep every difference; only the Unicode form is made one (NFC)."""
    return unicodedata.normalize("NFC", value)


def caseless(value: str) -> str:
    """Equal but for case, width and surrounding space: e-mail addresses, names, codes."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold()).strip()


def digits(value: str) -> str:
    """Only the digits count: telephone, card and identity numbers."""
    return "".join(str(unicodedata.digit(c)) for c in value if c.isdecimal())


class BlindIndex(models.Field):  # type: ignore[type-arg]  # generic only in the stubs
    """A column of digests of an encrypted field, for ``filter(email_index="a@example.org")``.

    ``source`` names the encrypted field of the same model. ``normalise`` is a dotted path of a
    function of text to text, :func:`caseless` by default. ``key`` pins the id of the key its own
    is derived from; by default that is ``ENCRYPTION_INDEX_KEY``. The column fills itself whenever
    the instance is saved.
    """

    description = _("Blind index")
    empty_strings_allowed = False

    def __init__(
        self,
        source: str,
        *,
        normalise: str = "encryption.blind_index.caseless",
        key: str = "",
        unique: bool = False,
        **options: Any,
    ) -> None:
        """Take the source; the column is nullable, because the source may be."""
        self.source = source
        self.normalise = normalise
        self.key = key
        options |= {"editable": False, "null": True, "unique": unique, "db_index": not unique}
        options.setdefault("blank", True)
        super().__init__(**options)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Serialise for migrations."""
        name, _path, _args, options = super().deconstruct()
        for fixed in ("editable", "null", "db_index", "blank"):
            options.pop(fixed, None)
        if self.key:
            options["key"] = self.key
        if self.normalise != "encryption.blind_index.caseless":
            options["normalise"] = self.normalise
        return name, "encryption.blind_index.BlindIndex", [self.source], options

    def get_internal_type(self) -> str:
        """Be stored as bytes."""
        return "BinaryField"

    @property
    def source_field(self) -> Encrypted[Any, Any]:
        """The encrypted field."""
        field: Encrypted[Any, Any] = self.model._meta.get_field(self.source)  # type: ignore[assignment]
        return field

    # --- digests ----------------------------------------------------------------------------------

    def digest(self, value: Any) -> Digest:
        """Return the digest of a clear value."""
        mac = index_mac(self.source_field.label, self.key)
        return Digest(mac.digest(self._text(value).encode()))

    def digest_or_none(self, value: Any) -> Digest | None:
        """Return the digest, or NULL for NULL."""
        return None if value is None else self.digest(value)

    def _text(self, value: Any) -> str:
        if not isinstance(value, str):
            field = self.source_field
            value = field.codec.encode(field.base, field.base.to_python(value)).decode()
        normalised: str = import_string(self.normalise)(value)
        return normalised

    def key_id(self) -> str:
        """Name the key that this column's own is derived from."""
        return self.key or keyring().index_key().id

    # --- the column -------------------------------------------------------------------------------

    def pre_save(self, model_instance: models.Model, add: bool) -> Digest | None:  # noqa: FBT001
        """Follow the source; one that nobody opened keeps its digest."""
        source = self.source_field
        held = model_instance.__dict__.get(source.attname)
        kept = model_instance.__dict__.get(self.attname)
        is_unopened = type(held) in (source.closed_type, Bare, Bound)
        if is_unopened and kept is not None and not add:
            return Digest(kept)
        if type(held) is Bound:
            held = None  # loaddata carries the digest itself
        value = self.digest_or_none(getattr(model_instance, source.attname))
        setattr(model_instance, self.attname, value)
        return value

    def get_prep_value(self, value: Any) -> Digest | None:
        """Make a digest of what is looked up."""
        if value is None or isinstance(value, Digest):
            return value
        return self.digest(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Return bytes as the driver takes them."""
        digest = value if prepared else self.get_prep_value(value)
        if digest is None or hasattr(digest, "as_sql"):
            return digest
        return connection.Database.Binary(bytes(digest))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Digest | None:  # noqa: ARG002
        """Mark what was read as a digest."""
        return None if value is None else Digest(value)

    def refuse_set(self, value: Any) -> None:
        """Refuse a value of the caller's; the column follows its source."""
        if value is not None and not isinstance(value, Digest):
            raise ExpressionRefused(
                f"{self.model._meta.label}.{self.name} is made from {self.source!r}; write that."
            )

    def get_lookup(self, lookup_name: str) -> Any:
        """Answer ``exact``, ``in`` and ``isnull``; a digest has no order and no parts."""
        if lookup_name not in {"exact", "in", "isnull"}:
            raise QueryRefused(
                f"{self.model._meta.label}.{self.name} is a blind index; it answers 'exact', 'in' "
                f"and 'isnull', not {lookup_name!r}."
            )
        return super().get_lookup(lookup_name)

    def to_python(self, value: Any) -> Any:
        """Read a digest from a fixture."""
        if isinstance(value, str):
            try:
                return Digest(base64.b64decode(value, validate=True))
            except ValueError:
                raise ValidationError(_("The blind index is damaged."), code="invalid") from None
        return value

    def value_to_string(self, obj: models.Model) -> str:
        """Write the digest; ``loaddata`` reads it back."""
        return base64.b64encode(self.value_from_object(obj) or b"").decode()

    def formfield(self, **options: Any) -> None:  # noqa: ARG002
        """Have no form field."""
        return


def index_mac(label: str, key_id: str) -> Mac:
    """Return the HMAC of a blind index; its key is derived for it alone, under encryption's."""
    ring = keyring()
    known = ring.index_macs.get((label, key_id))
    if known is None:
        key = ring.key(key_id) if key_id else ring.index_key()
        known = Mac(derived(key.value, f"blind-index/{label}"))
        ring.index_macs[label, key_id] = known
    return known


def indexes_of(field: Wrapping[Any, Any]) -> list[BlindIndex]:
    """Every blind index over an encrypted field."""
    return [
        other
        for other in field.model._meta.concrete_fields
        if isinstance(other, BlindIndex) and other.source == field.name
    ]


def all_indexes() -> Iterator[BlindIndex]:
    """Return every blind index of every installed model."""
    for model in apps.get_models():
        if not model._meta.proxy:
            yield from (f for f in model._meta.local_concrete_fields if isinstance(f, BlindIndex))


def fill(index: BlindIndex, *, rows_per_batch: int = ROWS_PER_BATCH) -> int:
    """Fill a blind index that was added beside filled rows; return how many rows were filled.

    Online and resumable: only rows without a digest are read, some at a time, under lock. It is
    how an index changes its key: add a second one under the new key, fill it, look that one up,
    drop the first. ``manage.py encryption_rotate`` fills every index that has gaps.
    """
    model, source = index.model, index.source_field
    using = router.db_for_write(model)
    connection, column = connections[using], str(index.column)
    gaps = model._base_manager.using(using).filter(
        **{f"{index.name}__isnull": True, f"{source.name}__isnull": False}
    )
    filled = 0
    for after, last in windows(model, using=using, size=rows_per_batch) if gaps.exists() else ():
        with writing(model, using=using):
            rows = locked(gaps, after=after, last=last).values_list("pk", source.name)
            cells = [
                (pk, [index.get_db_prep_value(index.digest(value), connection)])
                for pk, value in rows
            ]
            filled += write_cells(model, [column], cells, using=using)
    return filled


def refuse_double(field: Encrypted[Any, Any], value: Any, instance: models.Model | None) -> None:
    """Refuse a value that a unique blind index holds for another row than the instance's."""
    for index in indexes_of(field) if value is not None else ():
        if not index.unique:
            continue
        others = index.model._default_manager.filter(**{index.name: value})
        if instance is not None and not instance._state.adding:
            others = others.exclude(pk=instance.pk)
        if others.exists():
            raise ValidationError(
                field.error_messages["unique"],
                code="unique",
                params={
                    "model_name": field.model._meta.verbose_name,
                    "field_label": field.verbose_name,
                },
            )


class UniqueInSerializer:
    """Refuse doubles where Django REST framework validates; forms and ``full_clean`` do it alone.

    A serializer takes the validators of the model's field, and never calls its ``clean()``.
    """

    requires_context = True  # be called with the serializer's field

    def __init__(self, field: Encrypted[Any, Any]) -> None:
        """Take the encrypted field."""
        self.field = field

    def __call__(self, value: Any, serializer_field: Any = None) -> None:
        """Look the value up, besides the instance that is changed."""
        serializer = getattr(serializer_field, "parent", None)
        if serializer is not None:
            refuse_double(self.field, value, getattr(serializer, "instance", None))
