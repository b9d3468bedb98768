"""Security events in the admin: to look at, quickly, whatever their number."""

from __future__ import annotations

import ipaddress
import json
import uuid
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.utils import timezone
from django.utils.html import format_html

from audit.keyset import KeysetChangeList
from audit.models import SecurityEvent
from garrison import events, panels
from garrison.admin import ReadOnlyAdmin
from garrison.events import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    from audit.models import EventSeal

LONGEST_SEARCH = 254
KEY_SHOWN = 12  # characters of a key that is not cut
DEFAULT_SPAN = "7d"
ALL = "all"
DASH = "–"  # noqa: RUF001 - the dash of tables
FILTERED_BY = frozenset({"time", "severity__exact", "outcome__exact"})


class TimeRangeFilter(admin.SimpleListFilter):
    """How far back; a week, unless another span is chosen."""

    title = "time"
    parameter_name = "time"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """Offer the spans of the dashboard, and everything."""
        spans = [(slug, label.capitalize()) for slug, (label, *_) in panels.SPANS.items()]
        return [*spans, (ALL, "Any time")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Show no "All" beside "Any time", and mark the default where none is chosen."""
        chosen = self.value() or DEFAULT_SPAN
        for slug, label in self.lookup_choices:
            yield {
                "selected": slug == chosen,
                "query_string": changelist.get_query_string(
                    {self.parameter_name: slug}, remove=["before", "after"]
                ),
                "display": label,
            }

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[SecurityEvent]:  # noqa: ARG002
        """Narrow by the key, which holds the time."""
        chosen = self.value() or DEFAULT_SPAN
        if chosen == ALL:
            return queryset  # type: ignore[no-any-return]
        _, length, _ = panels.SPANS.get(chosen, panels.SPANS[DEFAULT_SPAN])
        return queryset.since(timezone.now() - length)  # type: ignore[no-any-return]


def to_the_second(at: datetime) -> str:
    """Write an instant in the site's own zone."""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}"


def _of_seal(
    description: str, shown: Callable[[EventSeal], str], *, unsealed: str = DASH
) -> Callable[[Any, SecurityEvent], str]:
    """Make a column that shows something of an event's seal, where it has one."""

    @admin.display(description=description)
    def column(self: Any, event: SecurityEvent) -> str:  # noqa: ARG001
        seal = getattr(event, "seal", None)  # Django raises an AttributeError where there is none
        return shown(seal) if seal else unsealed

    return column


@admin.register(SecurityEvent)
class SecurityEventAdmin(ReadOnlyAdmin):
    """Evidence; see :mod:`audit.keyset` for how it is paged."""

    list_display = ("when", "badge", "kind", "whom", "ip", "sealed")
    list_select_related = ("seal",)  # one join for the page, and no query for each row
    list_display_links = ("when",)
    list_filter = (TimeRangeFilter, "severity", "outcome")
    sortable_by = ()
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("kind",)  # shows the field; what it does is in get_search_results
    search_help_text = (
        "A kind or its beginning, an address, an e-mail address, a target such as user:…, or the "
        "id of an event, a request, a session or an actor."
    )
    fieldsets = (
        (None, {"fields": ("when", "badge", "kind", "meaning", "outcome", "target", "shown_data")}),
        ("Who and from where", {"fields": ("who", "actor_id", "ip", "location", "user_agent")}),
        ("In which request", {"fields": ("session_id", "request_id", "id", "stream")}),
        ("Seal", {"fields": ("seal_number", "seal_made", "seal_key", "seal_mac")}),
    )
    readonly_fields = (
        "when", "badge", "meaning", "who", "shown_data", "id",
        "seal_number", "seal_made", "seal_key", "seal_mac",
    )  # fmt: skip

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[KeysetChangeList]:  # noqa: ARG002
        """Page by key."""
        return KeysetChangeList

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:  # noqa: ARG002
        """Refuse what an address could ask beyond the filters: no index would answer it."""
        return lookup in FILTERED_BY

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        """Search what has an index, exactly; a kind also by its beginning."""
        term = search_term.strip().replace("\x00", "")[:LONGEST_SEARCH]
        return (queryset.filter(matching(term)) if term else queryset), False

    @admin.display(description="severity")
    def badge(self, event: SecurityEvent) -> SafeString:
        """Return the severity as a badge."""
        name = Severity(event.severity).name
        return format_html(
            '<span class="sd-badge sd-is-{}">{}</span>', name.lower(), name.capitalize()
        )

    @admin.display(description="at")
    def when(self, event: SecurityEvent) -> str:
        """Return the time to the second, in the site's own zone."""
        return to_the_second(event.at)

    @admin.display(description="who or what")
    def whom(self, event: SecurityEvent) -> str:
        """Name the actor, or else what it happened to, with its key cut short."""
        kind, _, key = event.target.partition(":")
        short = f"{kind}:{key[:8]}…" if len(key) > KEY_SHOWN else event.target
        return event.actor_label or short or event.actor_id or DASH

    @admin.display(description="who")
    def who(self, event: SecurityEvent) -> str:
        """Name the actor as they were called then."""
        return event.actor_label or event.actor_id or DASH

    @admin.display(description="meaning")
    def meaning(self, event: SecurityEvent) -> str:
        """Report what this kind of event means."""
        kind = events.kinds().get(event.kind)
        return kind.description if kind else "No installed app declares this kind."

    @admin.display(description="seal")
    def sealed(self, event: SecurityEvent) -> SafeString:
        """Return the number in the chain of the event's stream; narrow lists go without it."""
        return format_html('<span class="sd-wide-only">{}</span>', self.seal_number(event))

    seal_number = _of_seal("number", lambda seal: f"{seal.seq:,}", unsealed="not yet")
    seal_made = _of_seal("sealed at", lambda seal: to_the_second(seal.sealed_at))
    seal_key = _of_seal("sealed with key", lambda seal: seal.key_id)
    seal_mac = _of_seal("MAC", lambda seal: bytes(seal.mac).hex())

    @admin.display(description="data")
    def shown_data(self, event: SecurityEvent) -> SafeString | str:
        """Return the data as indented JSON."""
        if not event.data:
            return DASH
        shown = json.dumps(event.data, indent=2, sort_keys=True, ensure_ascii=False)
        return format_html('<pre class="sd-data">{}</pre>', shown)


def matching(term: str) -> Q:
    """Return the condition for a search term; each alternative is answered by an index."""
    if address := _address(term):
        return Q(ip=address)
    if key := _key(term):
        text = str(key)
        condition = Q(pk=key) | Q(session_id=text) | Q(actor_id=text)
        # An id of 32 digits is a request's, unless it is some other thing's key.
        return condition | Q(request_id=key.hex) | Q(target__in=(f"user:{text}", f"session:{text}"))
    if "@" in term:
        return _person(term)
    kinds = [name for name in events.kinds() if name.startswith(term.lower())]
    exact = Q(target=term) | Q(actor_id=term) | Q(request_id=term) | Q(kind=term.lower())
    return Q(kind__in=kinds) if kinds else exact


def _address(term: str) -> str | None:
    try:
        return str(ipaddress.ip_address(term))
    except ValueError:  # no address, so not searched as one
        return None


def _key(term: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(term)
    except ValueError:  # no key, so not searched as one
        return None


def _person(term: str) -> Q:
    """Find a person's events by their present address, as an actor and as a target."""
    users = get_user_model()._default_manager
    try:
        key = str(users.get_by_natural_key(term).pk)
    except (get_user_model().DoesNotExist, ValueError):
        return Q(pk__in=())
    return Q(actor_id=key) | Q(target=f"user:{key}")
