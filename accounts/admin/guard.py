"""Who may change whose account, which group, and what of it: the same for a host's own admins."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpResponseRedirect
from django.urls import reverse

from accounts import services
from accounts.errors import AccountRefusal, LastSuperuser
from accounts.granting import (
    PRIVILEGES,
    groups_beyond,
    is_superuser,
    may_grant,
    may_touch,
    may_touch_group,
    not_held,
)

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = object


class PrivilegesGuard(_Admin):
    """Offer to give what the giver holds, and no more; lists are not forms."""

    guards_privileges = True  # accounts.W007

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        """Offer the permissions that the giver holds, and the groups that hold no other."""
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)
        beyond = {Permission: not_held, Group: groups_beyond}.get(db_field.related_model)
        if field is not None and beyond and not is_superuser(request.user):
            field.queryset = field.queryset.exclude(pk__in=beyond(request.user).values("pk"))
        return field

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001
        """Refuse what no form of ours offers, before it is written."""
        services.require_grantable(by=request.user, holder=form.instance, given=form.cleaned_data)
        super().save_related(request, form, formsets, change)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Edit no list: Django asks for no permission on its rows, and shows read-only fields."""
        changelist = super().get_changelist_instance(request)
        if not is_superuser(request.user):
            changelist.list_editable = ()
        return changelist


class SuperuserLeft:
    """A form of an account that leaves somebody who can change privileges, in its transaction."""

    instance: Any
    cleaned_data: dict[str, Any]
    add_error: Any

    def clean(self) -> Any:
        """Refuse to deactivate or demote the last superuser who can sign in."""
        cleaned = super().clean()  # type: ignore[misc]  # the form's own
        lost = [name for name in ("is_active", "is_superuser") if self._is_taken(name)]
        if lost and is_superuser(self.instance):
            try:
                services.require_superuser_left(accounts=[self.instance])
            except LastSuperuser as refusal:
                self.add_error(lost[0], ValidationError(f"{refusal.title}.", code=refusal.code))
        return cleaned

    def _is_taken(self, name: str) -> bool:
        return bool(getattr(self.instance, name, False)) and not self.cleaned_data.get(name, True)


class AccountGuard(PrivilegesGuard):
    """For the admin of a user model: ``class PersonAdmin(AccountGuard, UserAdmin)``.

    The right to change accounts is not the right to become anybody: nobody changes or deletes an
    account that may do more than they, and privileges are given by superusers, or by whom
    ``ACCOUNTS_PRIVILEGES_PERMISSION`` names, of what these hold themselves. Nobody deletes
    themselves, nor the last superuser, who is not deactivated or demoted either.
    """

    def get_form(self, *args: Any, **kwargs: Any) -> Any:
        """Leave a superuser, whatever the form."""
        form: Any = super().get_form(*args, **kwargs)
        return type(form)(form.__name__, (SuperuserLeft, form), {})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave privileges to those who may grant, and superusers to superusers."""
        fields = super().get_readonly_fields(request, obj)
        if is_superuser(request.user):
            return fields
        return (*fields, *(("is_superuser",) if may_grant(request.user) else PRIVILEGES))

    def may_set_password(self, request: HttpRequest) -> bool:
        """Return whether they may choose somebody's password, past the ordinary code by mail."""
        return request.user.has_perm(f"{self.opts.app_label}.set_password_{self.opts.model_name}")

    def user_change_password(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Leave the form to those who may choose somebody's password."""
        if not self.may_set_password(request):
            raise PermissionDenied
        return super().user_change_password(request, *args, **kwargs)  # type: ignore[misc]  # of Django's UserAdmin

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leave whoever may do more to whoever may do as much."""
        return super().has_change_permission(request, obj) and may_touch(
            actor=request.user, target=obj
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leave whoever may do more to whoever may do as much."""
        return super().has_delete_permission(request, obj) and may_touch(
            actor=request.user, target=obj
        )

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Refuse before anything is asked or deleted, in the transaction that would delete."""
        services.require_deletable(accounts=list(objs), by=request.user)
        return super().get_deleted_objects(objs, request)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Ask, and delete; go back with a sentence where it is refused."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except AccountRefusal as refusal:
            messages.error(request, f"{refusal.title}.")
            name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
            site = self.admin_site.name
            return HttpResponseRedirect(reverse(name, args=[object_id], current_app=site))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Do an action whole or not at all, and report a refusal in a sentence."""
        try:
            with transaction.atomic() if request.method == "POST" else nullcontext():
                return super().changelist_view(request, extra_context)
        except AccountRefusal as refusal:
            messages.error(request, f"{refusal.title}.")
            return HttpResponseRedirect(request.get_full_path())


class GuardedGroupAdmin(PrivilegesGuard, DjangoGroupAdmin):
    """Groups: whoever changes one gives its members everything, so it takes the right to grant."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Leave it to those who may grant."""
        return super().has_add_permission(request) and may_grant(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leave it to those who may grant, and who hold what it and its members hold."""
        return super().has_change_permission(request, obj) and self._may(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leave it to those who may grant, and who hold what it and its members hold."""
        return super().has_delete_permission(request, obj) and self._may(request, obj)

    def _may(self, request: HttpRequest, group: Group | None) -> bool:
        return may_grant(request.user) and may_touch_group(actor=request.user, group=group)


def use_guarded_groups(site: admin.AdminSite) -> None:
    """Guard Django's own admin of groups; one of the host's is left as it is (accounts.W007)."""
    if site.is_registered(Group) and type(site.get_model_admin(Group)) is DjangoGroupAdmin:
        site.unregister(Group)
        site.register(Group, GuardedGroupAdmin)
