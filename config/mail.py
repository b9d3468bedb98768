"""Where mail goes, as both Django lines read it: ``EMAIL_…`` until 6.0, ``MAILERS`` from 6.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILES = "django.core.mail.backends.filebased.EmailBackend"
SMTP = "django.core.mail.backends.smtp.EmailBackend"
TIMEOUT_SECONDS = 10  # a mail server that hangs must not hold a request for ever
OPTIONS = {
    "EMAIL_HOST": "host",
    "EMAIL_PORT": "port",
    "EMAIL_HOST_USER": "username",
    "EMAIL_HOST_PASSWORD": "password",
    "EMAIL_USE_TLS": "use_tls",
    "EMAIL_USE_SSL": "use_ssl",
    "EMAIL_TIMEOUT": "timeout",
}


def to_files(folder: Path) -> dict[str, Any]:
    """Write every mail into a folder, one file each."""
    if django.VERSION < (6, 1):
        return {"EMAIL_BACKEND": FILES, "EMAIL_FILE_PATH": folder}
    return {"MAILERS": {"default": {"BACKEND": FILES, "OPTIONS": {"file_path": folder}}}}


def to_server(parsed: Mapping[str, Any]) -> dict[str, Any]:
    """Send by what ``EMAIL_URL`` names, as ``dj_email_url`` has taken it apart."""
    said = {"EMAIL_TIMEOUT": TIMEOUT_SECONDS} | {
        name: value for name, value in parsed.items() if value not in {None, ""}
    }
    backend = str(said.pop("EMAIL_BACKEND", SMTP))
    said = {name: value for name, value in said.items() if name in OPTIONS}
    if django.VERSION < (6, 1):
        return {"EMAIL_BACKEND": backend, **said}
    options = {OPTIONS[name]: value for name, value in said.items()} if backend == SMTP else {}
    return {"MAILERS": {"default": {"BACKEND": backend, "OPTIONS": options}}}
