"""Admin bases: evidence that cannot be touched, and lists that never count a big table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.utils.functional import cached_property

if TYPE_CHECKING:
    from django.http import HttpRequest

MOST_COUNTED = 10_000  # rows; beyond it the exact number tells nobody anything


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """Evidence: it can be looked at, and neither added, changed nor deleted."""

    goes_with_owner = False  # deleted with what it belongs to, as a session with its user
    actions = None
    empty_value_display = "–"  # noqa: RUF001 - as the columns of ours write it
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse; but what goes with its owner keeps nobody from deleting that on its own page.

        The admin asks each model's admin before it deletes, also of what is deleted along.
        """
        match = getattr(request, "resolver_match", None)
        if match is None or obj is None:
            return False
        own = f"{self.opts.app_label}_{self.opts.model_name}_"
        return self.goes_with_owner and not str(match.url_name).startswith(own)


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # generic only in the stubs
    """Counts at most 10,000 rows, so a list's cost does not grow with its table.

    A table that is longer shows its first 10,000 rows by page; filters narrow it down. Audit
    evidence pages by key instead, without an end (``audit.admin``).
    """

    @cached_property
    def count(self) -> int:
        """Count up to the cap: one index scan of at most 10,000 entries."""
        return int(self.object_list.order_by()[:MOST_COUNTED].count())  # type: ignore[attr-defined]  # a QuerySet
