"""One page for every list: ``{results, next}``, by key, so the last page costs what the first does.

A cursor is the place of the last row that was shown, signed for the list it was made for; a client
hands it back as it is.
Nothing is counted, rows that come in between shift nothing, and a cursor that was made up, cut, or
taken from another list is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.core import signing
from django.db.models import Model, Q

from garrison.errors import FieldError
from http_hardening.errors import InvalidQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

Row = TypeVar("Row", bound=Model)

VERSION = "1"
"""Part of what is signed: raise it where cursors of before must not be read any more."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows; ``next`` is the cursor of the page after them, or ``None`` after the last."""

    results: list[Row]
    next: str | None


def page_of(
    rows: QuerySet[Row],
    *,
    of: str,
    cursor: str,
    limit: int,
    newest_by: Sequence[str] = ("pk",),
) -> Page[Row]:
    """Read one page, newest first, by one query of ``limit + 1`` rows.

    ``of`` names the list, so that no cursor of another is taken. ``newest_by`` names the fields
    that order the rows, each from high to low; together they must be unique, and an index should
    answer them. Raises ``InvalidQuery`` for a cursor that is not one of this list's; the empty
    cursor is the first page.
    """
    if cursor:
        rows = rows.filter(_after(_opened(cursor, of), newest_by))
    found = list(rows.order_by(*(f"-{name}" for name in newest_by))[: limit + 1])
    is_more = len(found) > limit
    last = found[limit - 1] if is_more else None
    return Page(found[:limit], None if last is None else _cursor(last, newest_by, of))


def _after(place: Sequence[str], names: Sequence[str]) -> Q:
    """Select what comes later in the list: ``a < x OR (a = x AND b < y)``, and so on."""
    first = Q(**{f"{names[0]}__lt": place[0]})
    if len(names) == 1:
        return first
    return first | Q(_after(place[1:], names[1:]), **{names[0]: place[0]})


def _signer(of: str) -> signing.Signer:
    return signing.Signer(salt=f"http_hardening.cursor:{VERSION}:{of}")


def _cursor(row: Model, names: Sequence[str], of: str) -> str:
    known: dict[str, Any] = {"pk": row._meta.pk, **{f.name: f for f in row._meta.concrete_fields}}
    place = [known[name].value_to_string(row) for name in names]
    return _signer(of).sign_object(place)


def _opened(cursor: str, of: str) -> list[str]:
    try:
        place: list[str] = _signer(of).unsign_object(cursor)
    except signing.BadSignature:
        wrong = FieldError("invalid", "This is no cursor of this list.", "cursor")
        raise InvalidQuery(errors=[wrong]) from None
    return place
