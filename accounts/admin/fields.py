"""An admin that shows and takes only the fields that the field policy allows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db.models import F
from django.db.models.expressions import BaseExpression
from django.utils import translation
from django.utils.text import capfirst

from accounts.field_permissions import may_see
from garrison.field_policy import policy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib import admin
    from django.http import HttpRequest

    _Admin = admin.ModelAdmin[Any]
    _Options = admin.options.BaseModelAdmin[Any]
else:
    _Admin = _Options = object


class _GuardsFields(_Options):
    """What the admin of a model and one inside another's page have in common."""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out what may not be seen, and a heading with nothing below it."""
        kept = []
        for title, options in super().get_fieldsets(request, obj):
            fields = self._seen_rows(request, options["fields"])
            if fields:
                kept.append((title, {**options, "fields": fields}))
        return kept

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show, and do not take, what may be seen and not written."""
        writable = self._writable(request)
        own = self._seen(request, super().get_readonly_fields(request, obj))
        if not writable:  # then Django shows the whole page without a form
            return own
        only_seen = policy().visible_fields(request.user, self.opts.model) - writable
        return [*own, *sorted(only_seen - set(own))]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Fill in what may be seen, from what may be seen."""
        return {
            name: sources
            for name, sources in super().get_prepopulated_fields(request, obj).items()
            if self._may_see(request, name) and all(self._may_see(request, s) for s in sources)
        }

    def _seen_rows(self, request: HttpRequest, rows: Iterable[Any]) -> list[Any]:
        """Keep lines of a form; several fields may stand on one."""
        lines = [self._seen(request, [row] if isinstance(row, str) else row) for row in rows]
        return [tuple(line) if len(line) > 1 else line[0] for line in lines if line]

    def _seen(self, request: HttpRequest, entries: Iterable[Any]) -> list[Any]:
        return [e for e in entries if all(self._may_see(request, p) for p in self._paths_of(e))]

    def _paths_of(self, entry: Any) -> list[str]:
        """Return which fields an entry tells about: a column, a filter, an order, an expression.

        A method tells about the field that its column is ordered by, a filter of the host's own
        about that of its parameter's name.
        """
        if isinstance(entry, (tuple, list)):
            return self._paths_of(entry[0])
        if isinstance(entry, F):
            return [entry.name]  # type: ignore[attr-defined]  # the stubs lack it
        if isinstance(entry, BaseExpression):
            leaves: Iterable[Any] = entry.flatten()
            return [leaf.name for leaf in leaves if isinstance(leaf, F)]  # type: ignore[attr-defined]
        is_name = isinstance(entry, str)
        if is_name:
            entry, name = getattr(self, entry, getattr(self.opts.model, entry, None)), entry
        ordered_by = getattr(getattr(entry, "fget", entry), "admin_order_field", None)
        told = [name] if is_name else [getattr(entry, "parameter_name", None) or ""]
        return [*told, *(self._paths_of(ordered_by) if ordered_by else ())]

    def _may_see(self, request: HttpRequest, path: str) -> bool:
        return may_see(user=request.user, model=self.opts.model, path=path)

    def _writable(self, request: HttpRequest) -> frozenset[str]:
        return policy().writable_fields(request.user, self.opts.model)

    def _drop(self, request: HttpRequest, form: Any) -> None:
        """Take out what may not be written, also what a form class declares by itself."""
        options, writable = self.opts, self._writable(request)
        columns = {field.name for field in (*options.concrete_fields, *options.many_to_many)}
        for name in (columns - writable) & set(form.base_fields):
            del form.base_fields[name]


class FieldsGuardedInline(_GuardsFields):
    """For rows inside another's page: ``class Notes(FieldsGuardedInline, admin.TabularInline)``."""

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Take only what may be written."""
        formset: Any = super().get_formset(request, obj, **kwargs)  # type: ignore[misc]
        self._drop(request, formset.form)
        return formset


class FieldsGuarded(_GuardsFields, _Admin):
    """For any model's admin: ``class PatientAdmin(FieldsGuarded, admin.ModelAdmin)``.

    A field that may not be seen is in no form, detail, column, filter, search, order or history,
    and no address of the list can be made to tell about it. A row's own name, its ``__str__``,
    is shown everywhere: let it show no field that is declared.
    """

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Take only what may be written."""
        form: Any = super().get_form(request, obj, **kwargs)
        self._drop(request, form)
        return form

    def get_list_display(self, request: HttpRequest) -> Any:
        """Show the columns that may be seen; the key where there is none."""
        return self._seen(request, super().get_list_display(request)) or ["pk"]

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        """Link what is shown."""
        links = super().get_list_display_links(request, list_display)
        return links and ([name for name in links if name in list_display] or list_display[:1])

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Offer the filters by what may be seen."""
        return self._seen(request, super().get_list_filter(request))

    def get_search_fields(self, request: HttpRequest) -> Any:
        """Search in what may be seen."""
        return self._seen(request, super().get_search_fields(request))

    def get_ordering(self, request: HttpRequest) -> Any:
        """Order by what may be seen: the order of rows tells what is in them."""
        ordering: Any = super().get_ordering(request) or self.opts.ordering or ()
        return self._seen(request, ordering) or ["-pk"]

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        """Refuse an address that asks for rows by what may not be seen, letter by letter."""
        return self._may_see(request, lookup) and super().lookup_allowed(lookup, value, request)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Neither edit in the list nor walk by date along what may not be seen or written."""
        changelist = super().get_changelist_instance(request)
        writable = self._writable(request)
        changelist.list_editable = [n for n in changelist.list_editable if n in writable]
        if changelist.date_hierarchy and not self._may_see(request, changelist.date_hierarchy):
            changelist.date_hierarchy = None
        return changelist

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Take only what may be written."""
        formset: Any = super().get_changelist_formset(request, **kwargs)
        self._drop(request, formset.form)
        return formset

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Leave out which hidden fields were changed."""
        page: Any = super().history_view(request, object_id, extra_context)
        for entry in (getattr(page, "context_data", None) or {}).get("action_list", ()):
            entry.change_message = self._seen_changes(request, entry.change_message)
        return page

    def _seen_changes(self, request: HttpRequest, message: str) -> str:
        """Leave hidden fields out of a message of :func:`construct_change_message`."""
        try:
            changes = json.loads(message) if message.startswith("[") else None
        except ValueError:
            changes = None
        if changes is None:  # a sentence that code of the host's wrote
            return message
        fields: Iterable[Any] = self.opts.get_fields()
        with translation.override(None):  # as the labels were stored
            hidden = {
                label
                for field in fields
                if not field.auto_created and not self._may_see(request, field.name)
                for label in (field.name, str(field.verbose_name), capfirst(field.verbose_name))
            }
        for change in changes:
            named = change.get("changed", {})
            named["fields"] = [label for label in named.get("fields", ()) if label not in hidden]
        return json.dumps([c for c in changes if c.get("changed", {"fields": True})["fields"]])
