"""Sessions for staff: to be looked at, and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import ngettext

from garrison.admin import CappedPaginator, ReadOnlyAdmin
from sessions_tracking import services
from sessions_tracking.models import REUSED, Session, SessionQuerySet
from sessions_tracking.people import user_named

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

REASON = "ended_by_staff"


class StateFilter(admin.SimpleListFilter):
    """Alive, over, or stolen."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """Name the choices."""
        return [("alive", "Alive"), ("over", "Over"), ("stolen", "Stolen")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002
        """Narrow the list."""
        now = timezone.now()
        if self.value() == "alive":
            return queryset.alive(now=now)
        if self.value() == "over":
            return queryset.over(now=now)
        return queryset.filter(end_reason=REUSED) if self.value() == "stolen" else queryset


def badge(text: str, *, weight: str) -> SafeString:
    """Return a word in the colour of a severity."""
    return format_html('<span class="sd-badge sd-is-{}">{}</span>', weight, text)


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    """Read-only but for one action, which needs the permission to end sessions."""

    goes_with_owner = True
    actions = ["end_selected"]  # type: ignore[assignment]  # the base has none
    paginator = CappedPaginator
    ordering = ["-created_at"]
    list_display = ["user", "state", "agent", "ip", "last_seen"]
    sortable_by = []  # by their beginning, newest first: no index answers another order
    list_filter = [StateFilter, "kind"]
    list_select_related = ["user"]
    show_facets = admin.ShowFacets.NEVER  # a facet counts the whole table
    search_help_text = "A login name or a session's id, in full."
    exclude = ["sealed_cookie_key"]

    def get_search_fields(self, request: HttpRequest) -> list[str]:  # noqa: ARG002
        """Let the search box appear; what is found is decided below."""
        return [get_user_model().USERNAME_FIELD]

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: Any,
        search_term: str,
    ) -> tuple[Any, bool]:
        """Find by an exact id or login name, both by an index; parts of a name are not searched."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if key := services.as_uuid(term):
            return queryset.filter(pk=key), False
        owner = user_named(term)
        return (queryset.filter(user_id=owner.pk) if owner else queryset.none()), False

    @admin.display(description="device")
    def agent(self, session: Session) -> SafeString:
        """Name the device in one line; all of it stands in the tooltip."""
        name = session.device or session.user_agent or "unknown"
        return format_html('<span class="sd-line" title="{}">{}</span>', name, name)

    @admin.display(description="state")
    def state(self, session: Session) -> SafeString:
        """Return whether it is alive, or why not."""
        if session.ended_at:
            weight = "critical" if session.end_reason == REUSED else "info"
            return badge(session.end_reason.replace("_", " "), weight=weight)
        is_alive = session.is_alive(now=timezone.now())
        return badge("alive", weight="low") if is_alive else badge("lapsed", weight="info")

    @admin.display(description="last seen")
    def last_seen(self, session: Session) -> str:
        """Return the minute, short, and in an order that sorts."""
        return f"{timezone.localtime(session.last_seen_at):%Y-%m-%d %H:%M}"

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Return whether the viewer may end sessions of others."""
        return request.user.has_perm("sessions_tracking.end_session")

    @admin.action(description="End selected sessions", permissions=["end"])
    def end_selected(self, request: HttpRequest, queryset: SessionQuerySet) -> None:
        """End each; it takes effect on its next request."""
        ended = sum(
            services.end_session(session_id=key, reason=REASON)
            for key in queryset.values_list("pk", flat=True)
        )
        text = ngettext("%(ended)d session was ended.", "%(ended)d sessions were ended.", ended)
        self.message_user(request, text % {"ended": ended}, messages.SUCCESS)
