"""Encrypted values in the admin: masked, changed without being seen, shown by permission."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from encryption import services
from encryption.errors import DecryptionFailed, RevealRefused
from encryption.fields import Encrypted, encrypted_fields
from encryption.models import DecryptionFailureCount, KeyVersion, Rotation, SubjectKey
from garrison.admin import ReadOnlyAdmin

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

MASK = "••••••••"


class MaskedForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A form that takes new values of encrypted fields, and never shows the present ones.

    The fields are the form's own and not the model's, so that opening the page decrypts nothing.
    """

    def clean(self) -> Any:
        """Set what was typed; an empty input keeps what is stored."""
        cleaned = super().clean()
        values = self.cleaned_data if cleaned is None else cleaned
        for field in encrypted_fields(self._meta.model):
            value = values.get(field.name)
            if value in (None, "") or field.name not in self.fields:
                continue
            try:
                setattr(self.instance, field.name, field.clean(value, self.instance))
            except ValidationError as failure:
                self.add_error(field.name, failure)
        return cleaned


def _input_for(field: Encrypted[Any, Any], *, is_stored: bool) -> forms.Field | None:
    made: forms.Field | None = field.formfield()
    if made is None or not is_stored:
        return made
    if isinstance(made, forms.BooleanField):
        made = forms.NullBooleanField(label=made.label, help_text=made.help_text)
    made.required, made.initial = False, None
    made.help_text = format_html(
        "{} {}", made.help_text, _("Stored encrypted. Leave empty to keep it.")
    )
    return made


class MaskedFieldsMixin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Put it first among a ModelAdmin's bases: encrypted fields are masked in lists and forms.

    A viewer with ``encryption.reveal_values`` and sight of the field (the field policy) gets a link
    that shows one value; each look is an event.
    """

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show masks in lists."""
        masks = self._masks
        return [masks.get(str(name), name) for name in super().get_list_display(request)]

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Keep the model form from reading encrypted values."""
        hidden = [field.name for field in encrypted_fields(self.model)]
        return [*(super().get_exclude(request, obj) or ()), *hidden]

    def get_form(
        self,
        request: HttpRequest,
        obj: Any = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **options: Any,
    ) -> Any:
        """Return a form with inputs of its own for encrypted fields."""
        excluded = {*(self.exclude or ()), *super().get_readonly_fields(request, obj)}
        inputs = {
            field.name: made
            for field in encrypted_fields(self.model)
            if field.name not in excluded
            and (made := _input_for(field, is_stored=obj is not None)) is not None
        }
        options["form"] = type("MaskedForm", (MaskedForm, self.form), inputs)
        return super().get_form(request, obj, change=change, **options)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Show masks where a value would be shown, and one above each input."""
        masks = self._linked_masks
        names = super().get_readonly_fields(request, obj)
        shown = [masks.get(str(name), name) for name in names]
        return [*shown, *(mask for mask in masks.values() if mask not in shown)]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Put masks where fieldsets name encrypted fields that this viewer cannot change."""
        masks = self._linked_masks
        fixed = {str(name) for name in super().get_readonly_fields(request, obj)}
        may_change = self.has_change_permission(request, obj)

        def shown(name: Any) -> Any:
            if isinstance(name, list | tuple):
                return tuple(shown(part) for part in name)
            if name not in masks or (obj is None and name not in fixed):
                return name
            if may_change and name not in fixed:
                return (masks[name], name)  # the mask with its link, and an input beside it
            return masks[name]

        return [
            (title, {**parts, "fields": list(dict.fromkeys(map(shown, parts["fields"])))})
            for title, parts in super().get_fieldsets(request, obj)
        ]

    @cached_property
    def _masks(self) -> dict[str, Callable[[Any], Any]]:
        return {f.name: self._mask(f, link=False) for f in encrypted_fields(self.model)}

    @cached_property
    def _linked_masks(self) -> dict[str, Callable[[Any], Any]]:
        return {f.name: self._mask(f, link=True) for f in encrypted_fields(self.model)}

    def _mask(self, field: Encrypted[Any, Any], *, link: bool) -> Callable[[Any], Any]:
        @admin.display(description=str(field.verbose_name), empty_value="-")
        def mask(obj: Model) -> Any:
            if obj.__dict__.get(field.attname) is None:
                return None
            if not link:
                return MASK
            address = reverse(self._reveal_name, args=[obj.pk, field.name])
            return format_html('{} <a href="{}">{}</a>', MASK, address, _("Show"))

        mask.__name__ = f"masked_{field.name}"
        return mask

    # --- showing one value ------------------------------------------------------------------------

    @property
    def _reveal_name(self) -> str:
        options = self.model._meta
        return f"{self.admin_site.name}:{options.app_label}_{options.model_name}_reveal"

    def get_urls(self) -> list[URLPattern]:
        """Add the page that shows one value."""
        view = self.admin_site.admin_view(never_cache(self.reveal_view))
        name = self._reveal_name.partition(":")[2]
        own = path("<path:object_id>/reveal/<slug:field>/", view, name=name)
        return [own, *super().get_urls()]

    def reveal_view(self, request: HttpRequest, object_id: str, field: str) -> HttpResponse:
        """Ask for confirmation (GET), then show the value and emit an event (POST)."""
        instance = self.get_object(request, object_id)
        if instance is None or field not in self._linked_masks:
            raise Http404
        if not self.has_view_permission(request, instance):
            raise PermissionDenied
        shown: dict[str, Any] = {"is_shown": request.method == "POST"}
        try:
            if request.method == "POST":
                shown["value"] = services.reveal(user=request.user, instance=instance, name=field)
        except RevealRefused as refusal:
            raise PermissionDenied(str(refusal)) from None
        except DecryptionFailed as failure:
            shown["failure"] = failure.title
        options = self.model._meta
        context = {
            **self.admin_site.each_context(request),
            **shown,
            "title": _("Encrypted value"),
            "opts": options,
            "original": instance,
            "field": options.get_field(field),
        }
        return TemplateResponse(request, "admin/encryption/reveal.html", context)


@admin.register(KeyVersion)
class KeyVersionAdmin(ReadOnlyAdmin):
    """Which keys there have been, and since when."""

    list_display = ("key_id", "fingerprint", "first_seen_at", "activated_at", "retired_at")


@admin.register(Rotation)
class RotationAdmin(ReadOnlyAdmin):
    """How far rotations have come."""

    list_display = ("label", "key_id", "rotated", "started_at", "updated_at", "finished_at")


@admin.register(DecryptionFailureCount)
class DecryptionFailureCountAdmin(ReadOnlyAdmin):
    """Which values could not be read, by the hour."""

    list_display = ("hour", "place", "key_id", "reason", "count", "last_at")


@admin.register(SubjectKey)
class SubjectKeyAdmin(ReadOnlyAdmin):
    """Whose keys there are, and whose were erased; never a key."""

    list_display = ("subject", "created_at", "erased_at")
    search_fields = ("=subject",)
