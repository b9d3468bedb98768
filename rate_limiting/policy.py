"""Scopes and their rates: what is counted, for whom, and how many are let through.

Rates are written as :mod:`rate_limiting.rates` reads them. An app brings scopes of its own, and
views that are counted, with its ``AppConfig``::

    rate_limits = {"reports": ["60/h address"]}
    rate_limited_views = {"csp-report": "reports"}

A host's ``RATE_LIMITS`` and ``RATE_LIMITING_VIEWS`` go before them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.apps import apps

from garrison.conf import remembered
from garrison.errors import ConfigurationError
from garrison.registry import Registry
from rate_limiting.conf import settings
from rate_limiting.rates import DEFAULT_KEY, Rate, parse_rate

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SCOPE = "api"  # of an API view that names none
DEFAULT_KEYS = {"auth": "account+address+endpoint"}


@dataclass(frozen=True, slots=True)
class Policy:
    """A scope, its rates, and whether its requests go on when they cannot be counted."""

    scope: str
    rates: tuple[Rate, ...]
    goes_on_uncounted: bool
    longest_wait_seconds: int
    needs_account: bool
    """Whether the request's body must be read to find the key of one of the rates."""


@remembered()
def declared() -> tuple[Registry[list[str]], Registry[str]]:
    """Return the scopes, and the scopes of views by name, that the installed apps bring.

    Raises :class:`~garrison.errors.ConfigurationError` where two apps mean different things by one.
    """
    limits = Registry[list[str]]("rate limit scope")
    views = Registry[str]("rate limit of the view")
    for config in apps.get_app_configs():
        for scope, rates in getattr(config, "rate_limits", {}).items():
            limits.add(scope, list(rates), source=type(config))
        for view, scope in getattr(config, "rate_limited_views", {}).items():
            views.add(view, scope, source=type(config))
    return limits, views


@remembered()
def counted_views() -> Mapping[str, str | None]:
    """Return the scope of each view that the middleware counts, by name; ``None`` is uncounted."""
    return {**dict(declared()[1].items()), **settings.views}


@remembered()
def limits() -> Mapping[str, list[str]]:
    """Return the rates of each scope, as they are written."""
    return {**dict(declared()[0].items()), **settings.limits}


@remembered()
def policy_for(scope: str) -> Policy:
    """Return the scope's policy as the settings have it now.

    Raises :class:`~garrison.errors.ConfigurationError` for a scope that has no rates anywhere.
    """
    if scope not in limits():
        raise ConfigurationError(
            f"There is no rate limit scope {scope!r}. Add it to RATE_LIMITS, or use one of "
            f"{', '.join(scopes())}."
        )
    default_key = DEFAULT_KEYS.get(scope, DEFAULT_KEY)
    parsed = [parse_rate(rate, default_key=default_key) for rate in limits()[scope]]
    return Policy(
        scope=scope,
        rates=tuple(Rate(r.limit * settings.factor, r.period_seconds, r.key) for r in parsed),
        goes_on_uncounted=settings.on_store_failure.get(scope) == "allow",
        longest_wait_seconds=settings.longest_retry_after_seconds,
        needs_account=any("account" in rate.key for rate in parsed),
    )


def scopes() -> list[str]:
    """Name every scope there is."""
    return sorted(map(str, limits()))
