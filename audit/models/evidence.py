"""What every kind of evidence shares: rows are added, and never changed or removed."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from django.db import models

from audit.errors import EvidenceIsAppendOnly

M = TypeVar("M", bound=models.Model)


def refusal(what: str, model: type[models.Model]) -> EvidenceIsAppendOnly:
    """Return the sentence for an attempt to change what is kept."""
    return EvidenceIsAppendOnly(
        f"{what} is refused on {model._meta.verbose_name_plural}: they are added and never changed "
        "or removed. Say what corrects one with a new event."
    )


class EvidenceQuerySet(models.QuerySet[M]):
    """Adds and reads; the database refuses the rest, too (:mod:`audit.append_only`)."""

    def update(self, **_: Any) -> NoReturn:
        """Refuse."""
        raise refusal("update()", self.model)

    def delete(self) -> NoReturn:
        """Refuse."""
        raise refusal("delete()", self.model)

    def bulk_update(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise refusal("bulk_update()", self.model)

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[M]:
        """Add many; an upsert would change what is there, and is refused."""
        if kwargs.get("update_conflicts"):
            raise refusal("bulk_create(update_conflicts=True)", self.model)
        return super().bulk_create(objs, *args, **kwargs)

    def _raw_delete(self, *_: Any, **__: Any) -> NoReturn:
        raise refusal("delete()", self.model)


class Evidence(models.Model):
    """A row that is written once and stays as it is."""

    class Meta:
        """Fields are the heirs' own."""

        abstract = True

    def save(self, **kwargs: Any) -> None:
        """Add the row; refuse to change one that is there."""
        if not self._state.adding:
            raise refusal("save()", type(self))
        super().save(**(kwargs | {"force_insert": True}))

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise refusal("delete()", type(self))
