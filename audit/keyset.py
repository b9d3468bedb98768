"""A list of the admin that pages by key: no COUNT, no OFFSET, every page costs what the first does.

``?before=KEY`` shows what is older than a row, ``?after=KEY`` what is newer; there are no page
numbers, because nobody knows how many pages there are without reading them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

BEFORE = "before"
AFTER = "after"


class KeysetChangeList(ChangeList):
    """Show one page, and know whether there is more on either side."""

    older_url: str | None = None
    newer_url: str | None = None

    def get_filters_params(self, params: Any = None) -> Any:
        """Leave the place in the list out of what is filtered by."""
        found = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in {BEFORE, AFTER}}

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:  # noqa: ARG002
        """Order by key, newest first, whatever a link asks for."""
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:  # noqa: ARG002
        """Read one row more than a page holds, to know whether there is another."""
        before, after = self._place(BEFORE), self._place(AFTER)
        if after is not None and before is None:
            rows, is_more = self._read(self.queryset.filter(pk__gt=after).order_by("pk"))
            rows.reverse()
            has_newer, has_older = is_more, True
        else:
            asked = self.queryset if before is None else self.queryset.filter(pk__lt=before)
            rows, has_older = self._read(asked)
            has_newer = before is not None
        self._show(rows)
        if rows:
            self.older_url = self._url(BEFORE, rows[-1]) if has_older else None
            self.newer_url = self._url(AFTER, rows[0]) if has_newer else None
        elif before or after:
            self.newer_url = self.get_query_string(remove=[BEFORE, AFTER])

    def _place(self, name: str) -> Any:
        text = self.params.get(name)
        if not text:
            return None
        try:
            return self.model._meta.pk.to_python(text)
        except Exception as failure:  # the field's own ValidationError, or a driver's complaint
            raise IncorrectLookupParameters(name) from failure

    def _read(self, asked: QuerySet[Any]) -> tuple[list[Any], bool]:
        rows = list(asked[: self.list_per_page + 1])
        return rows[: self.list_per_page], len(rows) > self.list_per_page

    def _show(self, rows: list[Any]) -> None:
        self.result_list = rows
        # Equal numbers, so that the search form mentions neither.
        self.result_count = self.full_result_count = len(rows)
        self.show_full_result_count = True
        self.show_admin_actions = self.can_show_all = self.multi_page = False

    def _url(self, name: str, row: Any) -> str:
        return self.get_query_string({name: str(row.pk)}, remove=[BEFORE, AFTER])
