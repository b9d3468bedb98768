"""People, for the staff who look after them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import lockout, services
from accounts.admin.changes import emit_changes
from accounts.admin.fields import FieldsGuarded
from accounts.admin.glance import glance_at
from accounts.admin.guard import AccountGuard
from accounts.forms import InvitationForm, PasswordByStaffForm, UserChangeForm, UserCreationForm
from accounts.granting import PRIVILEGES, may_touch
from accounts.login_name import acceptable, fold
from accounts.models import User
from garrison.admin import CappedPaginator

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.http import HttpRequest


class UserAdmin(FieldsGuarded, AccountGuard, DjangoUserAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """Accounts: found by address, created, deactivated, unlocked; each change is an event.

    Who may change whom is decided by :class:`~accounts.admin.guard.AccountGuard`. Unlocking takes
    the right to change accounts and no more.
    """

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = PasswordByStaffForm
    change_form_template = "accounts/admin/user.html"
    list_display = (
        "email",
        "name",
        "is_active",
        "verified",
        "locked",
        "sessions",
        "seen",
        "access",
    )
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email__icontains", "name__icontains")
    search_help_text = _("Any part of an address or a name")
    ordering = ("email",)
    list_per_page = 50
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    filter_horizontal = ("groups", "user_permissions")
    readonly_fields = ("email_verified_at", "last_login", "joined_at", "lockout")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (
            "State",
            {"fields": ("is_active", "email_verified_at", "lockout", "last_login", "joined_at")},
        ),
        ("Privileges", {"fields": PRIVILEGES}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "name", "usable_password", "password1", "password2"),
            },
        ),
    )
    actions = ("unlock", "send_reset", "end_sessions", "deactivate", "activate", "mark_verified")
    buttons = ("unlock", "send_reset", "end_sessions")  # on a person's own page, too

    @admin.display(description="verified", boolean=True, ordering="email_verified_at")
    def verified(self, user: User) -> bool:
        """Return whether the address was proved."""
        return user.is_email_verified

    @admin.display(description="sign-in")
    def lockout(self, user: User) -> str:
        """Report whether the account is locked."""
        locked = lockout.account_buckets(user.email).locked(now=timezone.now())
        return "locked after failed sign-ins" if locked.exists() else "not locked"

    @admin.display(description=_("locked until"))
    def locked(self, user: User) -> str:
        """Return until when sign-ins are refused, short, and in an order that sorts."""
        until = getattr(user, "locked_until", None)
        return f"{timezone.localtime(until):%Y-%m-%d %H:%M}" if until else ""

    @admin.display(description=_("last sign-in"), ordering="last_login")
    def seen(self, user: User) -> str:
        """Return the minute, short, and in an order that sorts."""
        return f"{timezone.localtime(user.last_login):%Y-%m-%d %H:%M}" if user.last_login else ""

    @admin.display(description=_("access"))
    def access(self, user: User) -> Any:
        """Name the doors that stand open to them."""
        return _("superuser") if user.is_superuser else _("staff") if user.is_staff else ""

    @admin.display(description=_("sessions"))
    def sessions(self, user: User) -> int:
        """Return how many devices are signed in."""
        return int(getattr(user, "alive_sessions", 0))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Look up locks and sessions of the people on the page, all at once."""
        changelist = super().get_changelist_instance(request)
        glance_at(list(changelist.result_list), now=timezone.now())
        return changelist

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        """Find addresses in any spelling; a term with NUL in it finds nobody."""
        term = acceptable(search_term) if search_term else ""
        if term is None:
            return queryset.none(), False
        return super().get_search_results(request, queryset, term)

    # --- Forms and changes -------------------------------------------------------------------

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Create accounts without a password, unless they may choose somebody's."""
        if obj is None and not self.may_set_password(request):
            kwargs["form"] = InvitationForm
        return super().get_form(request, obj, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show of passwords only what leads to a form that they may use."""
        fieldsets = super().get_fieldsets(request, obj)
        if self.may_set_password(request):
            return fieldsets
        names = {"password", "usable_password", "password1", "password2"}
        return [
            (title, {**options, "fields": [f for f in options["fields"] if f not in names]})
            for title, options in fieldsets
        ]

    def render_change_form(self, request: HttpRequest, context: Any, **more: Any) -> Any:  # type: ignore[override]
        """Offer the buttons that are theirs; each is the list's action on one row."""
        offered = dict(self.get_action_choices(request))
        context["buttons"] = [(n, offered[n]) for n in self.buttons if n in offered]
        return super().render_change_form(request, context, **more)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # noqa: FBT001
        """Remember the address; one that is new has to be proved again."""
        before = User.objects.values_list("email", flat=True).filter(pk=obj.pk).first()
        form.email_before = before
        if before is not None and before != fold(obj.email):
            obj.email_verified_at = None
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001
        """Emit what changed, in the same transaction."""
        super().save_related(request, form, formsets, change)
        emit_changes(user=form.instance, email_before=form.email_before, by=request.user)
        if isinstance(form, InvitationForm):
            services.send_reset(user=form.instance, by=request.user)

    # --- Actions -----------------------------------------------------------------------------

    @admin.action(description="Unlock, and forget failed sign-ins", permissions=["change"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """End their locks."""
        done = [services.unlock_account(login_name=u.email, by=request.user) for u in queryset]
        self._report(request, sum(done), len(done), "unlocked")

    def has_send_reset_permission(self, request: HttpRequest) -> bool:
        """Return whether they may end a password and have a code mailed."""
        return request.user.has_perm("accounts.send_reset_user")

    def has_end_sessions_permission(self, request: HttpRequest) -> bool:
        """Return whether they may end sessions of others."""
        return request.user.has_perm("sessions_tracking.end_session")

    @admin.action(
        description=_("Send a code for a new password, and end the old one"),
        permissions=["send_reset"],
    )
    def send_reset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Have people choose a new password; one's own is changed on its own page."""
        others = queryset.exclude(pk=request.user.pk)  # type: ignore[misc]  # staff have a key
        self._for_each(request, others, services.send_reset, _("mailed a code"))

    @admin.action(description=_("End their sessions"), permissions=["end_sessions"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Sign them out everywhere."""
        self._for_each(request, queryset, services.end_sessions_of, _("signed out"))

    @admin.action(description="Deactivate, and end their sessions", permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Deactivate; nobody deactivates themselves."""
        others = queryset.exclude(pk=request.user.pk)  # type: ignore[misc]  # staff have a key
        self._for_each(
            request, others, partial(services.set_active, is_active=False), "deactivated"
        )

    @admin.action(description="Activate", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Activate again."""
        self._for_each(request, queryset, partial(services.set_active, is_active=True), "activated")

    @admin.action(description="Take their address as verified", permissions=["change"])
    def mark_verified(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Verify by staff's word."""
        self._for_each(request, queryset, services.mark_email_verified, "verified")

    def _for_each(
        self, request: HttpRequest, queryset: QuerySet[User], act: Callable[..., bool], what: Any
    ) -> None:
        users = [user for user in queryset if may_touch(actor=request.user, target=user)]
        done = [act(user=user, by=request.user) for user in users]
        self._report(request, sum(done), len(done), what)

    def _report(self, request: HttpRequest, done: int, asked: int, what: Any) -> None:
        level = messages.SUCCESS if done else messages.WARNING
        self.message_user(request, f"{done} of {asked} accounts {what}.", level)
