"""The administration's page for one's own password, with a form of ours."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib.admin import AdminSite
from django.contrib.auth.views import PasswordChangeView
from django.urls import reverse

from accounts.forms import OwnPasswordForm

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase


def use_own_form(site: AdminSite) -> None:
    """Let the page ask by :class:`~accounts.forms.OwnPasswordForm`, unless the host chose another.

    Django 6.0 has an attribute for the form; before it the page itself has to be replaced.
    """
    if hasattr(site, "password_change_form"):
        if site.password_change_form is None:
            site.password_change_form = OwnPasswordForm
    elif site.__class__.password_change is AdminSite.password_change:
        site.password_change = partial(_page, site)  # type: ignore[method-assign, assignment]


def _page(
    site: AdminSite, request: HttpRequest, extra_context: dict[str, Any] | None = None
) -> HttpResponseBase:
    request.current_app = site.name
    view = PasswordChangeView.as_view(
        form_class=OwnPasswordForm,
        success_url=reverse("admin:password_change_done", current_app=site.name),
        extra_context={**site.each_context(request), **(extra_context or {})},
        template_name=site.password_change_template or PasswordChangeView.template_name,
    )
    return view(request)
