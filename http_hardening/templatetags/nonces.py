"""Nonces for templates that were written without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

if TYPE_CHECKING:
    from django.template import Context

register = template.Library()

BARE_STYLE = "<style>"


@register.simple_tag(takes_context=True)
def nonced(context: Context, markup: SafeString) -> SafeString:
    """Give each bare ``<style>`` of a template's own markup the nonce of the page, if it has one.

    A host without the policy's middleware, or without its context processor, has none.
    """
    nonce = context.get("csp_nonce") if BARE_STYLE in markup else None
    if nonce is None:
        return markup
    opening = format_html('<style nonce="{}">', nonce)
    return mark_safe(markup.replace(BARE_STYLE, opening))  # noqa: S308 - safe before, safe after
