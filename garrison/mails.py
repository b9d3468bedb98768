"""Mails in text and HTML, made of one text, in which no stranger has a word."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string, select_template
from django.views.decorators.debug import sensitive_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_SUBJECT = 150  # characters
UNKNOWN_DEVICE = "an unknown device"
# The first that is found counts: Edge and Opera call themselves Chrome too, and Chrome Safari.
_PROGRAMS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
    "curl/": "curl",
    "python-": "a Python program",
    "okhttp/": "an app",
    "CFNetwork/": "an app",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


def device_name(user_agent: str) -> str:
    """Return what a user agent claims to be, in words of ours: a stranger can write it freely.

    >>> device_name("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
    'Firefox on Linux'
    >>> device_name("Your account is locked: go to http://evil.example")
    'an unknown device'
    """
    program, system = (
        next((name for mark, name in names.items() if mark in user_agent), "")
        for names in (_PROGRAMS, _SYSTEMS)
    )
    if not program:
        return f"a device with {system}" if system else UNKNOWN_DEVICE
    return f"{program} on {system}" if system else program


@sensitive_variables("values", "body", "message")
def compose(template: str, *, address: str, values: Mapping[str, Any]) -> EmailMultiAlternatives:
    """Make a mail of ``<template>_subject.txt`` and ``<template>.txt``.

    Its HTML part is ``<template>.html``, or else ``base.html`` beside it, which is given the
    ``paragraphs`` of the text.
    """
    subject = render_to_string(f"{template}_subject.txt", dict(values))
    body = render_to_string(f"{template}.txt", dict(values))
    folder = template.rpartition("/")[0]
    page = select_template([f"{template}.html", f"{folder}/base.html"])
    message = EmailMultiAlternatives(subject=_one_line(subject), body=body, to=[address])
    html = page.render({**values, "subject": message.subject, "paragraphs": _paragraphs(body)})
    message.attach_alternative(html, "text/html")
    return message


def _one_line(text: str) -> str:
    """Leave out what could end a header or turn its direction."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:LONGEST_SUBJECT]


def _paragraphs(text: str) -> list[dict[str, Any]]:
    """Take a text apart at its empty lines; what is indented keeps its lines."""
    found = []
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        is_indented = part.startswith("  ")
        lines = [" ".join(line.split()) for line in part.splitlines()]
        joined = "\n".join(lines) if is_indented else " ".join(lines)
        if joined.strip():
            found.append({"text": joined, "is_indented": is_indented})
    return found
