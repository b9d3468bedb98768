"""Backups for staff: a list of evidence, and buttons that request work."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.urls import path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.timesince import timesince
from django.views.decorators.http import require_POST

from backups import requests
from backups.models import Backup, Copy, Drill, State
from backups.times import duration
from garrison.admin import ReadOnlyAdmin
from garrison.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

SHOWN = 5  # drills; their own list has them all
LIST = "admin:backups_backup_changelist"


class CopyInline(admin.TabularInline):  # type: ignore[type-arg]  # generic only in the stubs
    """Where a backup is, and in which state there."""

    model = Copy
    can_delete = False
    extra = max_num = 0
    fields = readonly_fields = ("target", "state", "size_bytes", "verified_at", "failure")


@admin.register(Backup)
class BackupAdmin(ReadOnlyAdmin):
    """The list of backups, with what proves them."""

    change_list_template = "backups/admin/change_list.html"
    list_display = (
        "name", "condition", "age", "kind", "content", "size", "duration", "verified", "drilled",
        "places",
    )  # fmt: skip
    list_filter = ("state", "kind", "content")
    ordering = ("-queued_at",)
    inlines = (CopyInline,)
    actions = ("verify_selected", "drill_selected")  # type: ignore[assignment]  # none above

    def get_queryset(self, request: HttpRequest) -> QuerySet[Backup]:
        """Fetch the copies of a page at once."""
        return super().get_queryset(request).prefetch_related("copies")

    # -- columns -----------------------------------------------------------------------------------
    @admin.display(description="backup", ordering="queued_at")
    def name(self, backup: Backup) -> str:
        """Its folder, or when it was requested."""
        return backup.folder or f"{timezone.localtime(backup.queued_at):%Y-%m-%d %H:%M}"

    @admin.display(description="state", ordering="state")
    def condition(self, backup: Backup) -> str:
        """Its state, and damage where there is any, or why verification could not decide."""
        if backup.damage:
            return f"DAMAGED: {backup.damage[:80]}"
        if backup.indeterminate:
            return f"INDETERMINATE: {backup.indeterminate[:80]}"
        return backup.get_state_display()

    @admin.display(description="age", ordering="snapshot_at")
    def age(self, backup: Backup) -> str:
        """How old its data is."""
        return timesince(backup.snapshot_at, depth=1) if backup.snapshot_at else "–"  # noqa: RUF001

    @admin.display(description="size", ordering="raw_bytes")
    def size(self, backup: Backup) -> str:
        """Report what it holds, and what was sent for it."""
        return f"{filesizeformat(backup.raw_bytes)}, {filesizeformat(backup.size_bytes)} sent"

    @admin.display(description="took")
    def duration(self, backup: Backup) -> str:
        """How long it took."""
        return duration(backup.seconds)

    @admin.display(boolean=True, ordering="verified_at")
    def verified(self, backup: Backup) -> bool | None:
        """Whether it was read in full and found whole; nothing where it is indeterminate."""
        if backup.damage:
            return False
        return True if backup.verified_at and not backup.indeterminate else None

    @admin.display(boolean=True, ordering="drilled_at")
    def drilled(self, backup: Backup) -> bool | None:
        """Whether a drill has restored it."""
        return True if backup.drilled_at else None

    @admin.display(description="copies")
    def places(self, backup: Backup) -> str:
        """Each target with the copy's state."""
        return ", ".join(str(copy) for copy in backup.copies.all())

    # -- who may -----------------------------------------------------------------------------------
    def has_verify_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may verify."""
        return bool(request.user.has_perm("backups.verify_backup"))

    def has_drill_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may drill."""
        return bool(request.user.has_perm("backups.drill_backup"))

    # -- actions -----------------------------------------------------------------------------------
    @admin.action(description="Verify the selected backups", permissions=["verify"])
    def verify_selected(self, request: HttpRequest, chosen: QuerySet[Backup]) -> None:
        """Have a worker read every byte of them."""
        for backup in chosen.filter(state=State.GOOD):
            self._request(
                request, partial(requests.request_verification, backup_id=backup.pk), "Verifying"
            )

    @admin.action(description="Drill the selected backups", permissions=["drill"])
    def drill_selected(self, request: HttpRequest, chosen: QuerySet[Backup]) -> None:
        """Have a worker restore them into scratch databases, one after the other."""
        for backup in chosen.filter(state=State.GOOD):
            self._request(request, partial(self._drill, request, backup.pk), "Drilling")

    def _drill(self, request: HttpRequest, pk: Any) -> Drill:
        return requests.request_drill(user=request.user, backup_id=pk, now=timezone.now())

    def _request(self, request: HttpRequest, work: Callable[[], object], verb: str) -> None:
        """Request work, in a fresh session; a refusal is shown as what it is."""
        try:
            requests.require_fresh(request)
            queued = work()
        except Refusal as refusal:
            self.message_user(request, refusal.detail, messages.ERROR)
        else:
            self.message_user(request, f"{verb} was asked for: {queued}.", messages.SUCCESS)

    # -- buttons -----------------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the buttons."""
        view = self.admin_site.admin_view
        return [
            path("now/", view(self.back_up_now), name="backups_backup_now"),
            path("drill/", view(self.drill_newest), name="backups_backup_drill"),
            *super().get_urls(),
        ]

    @method_decorator(require_POST)
    @method_decorator(permission_required("backups.add_backup", raise_exception=True))
    def back_up_now(self, request: HttpRequest) -> HttpResponse:
        """Queue a backup."""
        user = request.user
        work = partial(requests.request_backup, user=user, now=timezone.now())
        return self._press(request, work, "A backup")

    @method_decorator(require_POST)
    @method_decorator(permission_required("backups.drill_backup", raise_exception=True))
    def drill_newest(self, request: HttpRequest) -> HttpResponse:
        """Queue a drill of the newest good backup."""
        return self._press(request, partial(self._drill, request, None), "A drill")

    def _press(self, request: HttpRequest, work: Callable[[], object], verb: str) -> HttpResponse:
        self._request(request, work, verb)
        return HttpResponseRedirect(reverse(LIST, current_app=self.admin_site.name))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the newest drills, what runs, and the buttons the user may press."""
        done = Drill.objects.exclude(rto_seconds=None).order_by("-queued_at")[:SHOWN]
        return super().changelist_view(
            request,
            {
                **(extra_context or {}),
                "drills": [
                    (each, duration(each.rto_seconds), duration(each.rpo_seconds)) for each in done
                ],
                "running": Backup.objects.live().first(),
            },
        )


@admin.register(Drill)
class DrillAdmin(ReadOnlyAdmin):
    """Drills, and what each of them found."""

    list_display = ("__str__", "state", "backup", "target", "rto", "rpo", "failure")
    list_filter = ("state",)
    list_select_related = ("backup",)
    ordering = ("-queued_at",)

    @admin.display(description="RTO", ordering="rto_seconds")
    def rto(self, drill: Drill) -> str:
        """How long a checked restore took."""
        return duration(drill.rto_seconds)

    @admin.display(description="RPO", ordering="rpo_seconds")
    def rpo(self, drill: Drill) -> str:
        """How old the restored data was."""
        return duration(drill.rpo_seconds)
