"""Checks of the ground floor: every app's settings are known, typed, and resolve."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.urls import NoReverseMatch, get_resolver, reverse
from django.utils.module_loading import import_string

from garrison import conf, databases, events, panels

if TYPE_CHECKING:
    from collections.abc import Iterator

W001 = "garrison.W001"  # unknown setting under a known prefix
E002 = "garrison.E002"  # a setting of the wrong type or value
E003 = "garrison.E003"  # a dotted path that does not resolve
W004 = "garrison.W004"  # the context middleware is missing or not first
E005 = "garrison.E005"  # a trusted proxy that is not a CIDR
E006 = "garrison.E006"  # a kind of event that is referred to by name and not declared
W007 = "garrison.W007"  # a figure of the dashboard that links to a page that is not there
W008 = "garrison.W008"  # Django is to believe a proxy, and none is trusted
E009 = "garrison.E009"  # a database that the statements are not written for
E010 = "garrison.E010"  # tables that belong together are routed apart
E011 = "garrison.E011"  # what decides is read from a replica
W012 = "garrison.W012"  # PostgreSQL's log gets the values of statements that fail

NEED_A_PROXY = ("SECURE_PROXY_SSL_HEADER", "USE_X_FORWARDED_HOST", "USE_X_FORWARDED_PORT")
CONTEXT_MIDDLEWARE = "garrison.middleware.RequestContextMiddleware"


def check_settings(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Find unknown names, wrong types and values out of range."""
    return [*_unknown(), *_wrong(), *_bad_proxies()]


def _unknown() -> Iterator[CheckMessage]:
    for name, near in conf.unknown_names():
        hint = f"Did you mean {near[0]}?" if near else "Remove it, or look at docs/settings.md."
        yield Warning(f"The setting {name} is not known.", hint=hint, id=W001)


def _declared() -> list[conf.Setting[Any]]:
    return [item.setting for cls in conf.SETTINGS for item in cls.declared()]


def _wrong() -> Iterator[CheckMessage]:
    for setting in _declared():
        if problem := setting.problem():
            yield Error(f"{setting.name}: {problem}", hint=setting.help, id=E002)


def _bad_proxies() -> Iterator[CheckMessage]:
    for cidr in conf.settings.trusted_proxies:
        try:
            ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            yield Error(
                f"GARRISON_TRUSTED_PROXIES holds {cidr!r}, which is not an address range.",
                hint="Write each proxy as a CIDR, such as 10.0.0.0/8 or 192.0.2.7/32.",
                id=E005,
            )


def check_proxies(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn when a setting of Django's waits for a proxy's word that nobody is trusted to give."""
    named = [name for name in NEED_A_PROXY if getattr(django_settings, name)]
    if not named or conf.settings.trusted_proxies:
        return []
    return [
        Warning(
            f"Without a trusted proxy, {', '.join(named)} has no effect.",
            hint="Name the proxy's address in GARRISON_TRUSTED_PROXIES, or remove the setting.",
            id=W008,
        )
    ]


def check_dotted_paths(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Import every callable that a setting names."""
    return [message for setting in _declared() if (message := _unresolved(setting))]


def _unresolved(setting: conf.Setting[Any]) -> CheckMessage | None:
    path = getattr(django_settings, setting.name, setting.default)
    if not setting.dotted_path or not path:
        return None
    try:
        import_string(path)
    except ImportError as failure:
        hint = "Write the full path: package.module.name."
        return Error(f"{setting.name} = {path!r} does not resolve: {failure}", hint=hint, id=E003)
    return None


def check_middleware(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn when events would miss their request, because the context is bound late or never."""
    if list(django_settings.MIDDLEWARE)[:1] == [CONTEXT_MIDDLEWARE]:
        return []
    return [
        Warning(
            "The request context is not bound before everything else.",
            hint=f"Put {CONTEXT_MIDDLEWARE!r} first in MIDDLEWARE.",
            id=W004,
        )
    ]


def check_kind_names(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Find names of kinds that no installed app declares; an app that is not here is fine."""
    used_by = events.referred()
    return [
        Error(
            f"{', '.join(sorted(used_by[name]))} names the event kind {name!r}, which its app does "
            "not declare.",
            hint=f"Did you mean {' or '.join(near)}?" if near else "docs/events.md lists them.",
            id=E006,
        )
        for name, near in events.undeclared(used_by).items()
    ]


def check_links(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Find figures that link to a page that a mounted admin (or other namespace) does not have."""
    if not getattr(django_settings, "ROOT_URLCONF", None):
        return []
    return [
        Warning(
            f"The figure {figure.name!r} links to {figure.link!r}, which does not resolve.",
            hint="Register the model in the admin, or correct the name.",
            id=W007,
        )
        for figure in panels.figures()
        if figure.link.partition(":")[0] in get_resolver().namespace_dict
        and not _resolves(figure.link)
    ]


def _resolves(name: str) -> bool:
    try:
        return bool(reverse(name))
    except NoReverseMatch:  # what is asked here
        return False


def check_engine(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Refuse a database that would do half of it: no conditional upsert, no evidence that stays."""
    vendor = connections[DEFAULT_DB_ALIAS].vendor
    if not databases.own_models() or vendor in databases.VENDORS:
        return []
    engine = connections[DEFAULT_DB_ALIAS].settings_dict["ENGINE"]
    return [
        Error(
            f"DATABASES['default'] is {engine} ({vendor}); lockout, sessions and evidence are "
            "written for PostgreSQL and SQLite, and would fail there or not hold.",
            hint="Use django.db.backends.postgresql, or sqlite3 for a small site.",
            id=E009,
        )
    ]


def check_routers(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Refuse routers that part what must commit together, or read what decides from a replica."""
    parted = (
        (
            filter(_is_apart, databases.own_models()),
            (
                "Not routed to 'default': {}. The tables of these apps and of the users live "
                "there together: an event commits with what it reports, and a session is read "
                "with its user."
            ),
            "Change DATABASE_ROUTERS; tables of your own may live anywhere.",
            E010,
        ),
        (
            filter(_is_behind, databases.deciding_models()),
            (
                "Read elsewhere than they are written: {}; a replica that lags lets in who was "
                "shut out."
            ),
            "Put 'garrison.databases.PrimaryRouter' first in DATABASE_ROUTERS.",
            E011,
        ),
    )
    return [
        Error(sentence.format(labels), hint=hint, id=code)
        for models, sentence, hint, code in parted
        if (labels := ", ".join(sorted({model._meta.label for model in models})))
    ]


def _is_behind(model: Any) -> bool:
    return router.db_for_read(model) != router.db_for_write(model)


def _is_apart(model: Any) -> bool:
    is_here = router.allow_migrate_model(DEFAULT_DB_ALIAS, model)
    return router.db_for_write(model) != DEFAULT_DB_ALIAS or not is_here


def check_database_log(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn, for a deployment, where a statement that fails is logged with a password hash in it."""
    default = connections[DEFAULT_DB_ALIAS]
    is_bound = default.settings_dict["OPTIONS"].get("server_side_binding", False)
    if default.vendor != "postgresql" or is_bound or not databases.own_models():
        return []
    return [
        Warning(
            "PostgreSQL logs a statement that fails with its values, hashes of passwords and keys "
            "of sessions among them.",
            hint="Set DATABASES['default']['OPTIONS']['server_side_binding'] = True.",
            id=W012,
        )
    ]
