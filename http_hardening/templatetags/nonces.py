"""Nonces for templates that were written without them."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

BARE_STYLE = "<style>"


@register.filter
def nonced(markup: SafeString, nonce: object) -> SafeString:
    """Return each bare ``<style>`` of a template's own markup the nonce of the page."""
    if BARE_STYLE not in markup:
        return markup
    opening = format_html('<style nonce="{}">', nonce)
    return mark_safe(markup.replace(BARE_STYLE, opening))  # noqa: S308 - safe before, safe after
