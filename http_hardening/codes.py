"""Every code that an error answer may carry: those of the refusals, and those of bare statuses."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from garrison.errors import Refusal
from http_hardening.answers import TITLES

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUND = frozenset({"garrison.errors", "http_hardening.errors"})
OF_NO_REFUSAL = (
    ("invalid_body", 400, "The request cannot be read"),
    ("validation_failed", 400, "The request is not valid"),
    ("csrf_failed", 403, "You may not do this"),
)


@dataclass(frozen=True, slots=True, order=True)
class ErrorCode:
    """A code with the status and the title that it comes with, in one app."""

    code: str
    status: int
    title: str


def error_codes() -> list[ErrorCode]:
    """Return what the installed apps refuse with, by code; a host's apps are listed like ours.

    A refusal is found in the module ``errors`` of its app.
    """
    known = {ErrorCode(code, status, title) for code, status, title in OF_NO_REFUSAL}
    known |= {ErrorCode(code, status, title) for status, (code, title) in TITLES.items()}
    modules = GROUND | set(_modules())
    for refusal in _below(Refusal):
        if refusal.__module__ in modules:
            known.add(ErrorCode(refusal.code, refusal.status, refusal.title))
    return sorted(known)


def _modules() -> Iterator[str]:
    for app in apps.get_app_configs():
        if app.module and module_has_submodule(app.module, "errors"):
            yield import_module(f"{app.name}.errors").__name__


def _below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)
