"""Typed settings: each with a name, a default and one sentence, read on access.

An app declares its settings once::

    class AuditSettings(AppSettings, prefix="AUDIT"):
        on_failure = Setting("refuse", "What happens when …", choices=("refuse", "report"))


    settings = AuditSettings()

``settings.on_failure`` then reads Django's ``AUDIT_ON_FAILURE`` or the default. Nothing is written
back into Django's settings, so ``override_settings`` works and a host sees only what it wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from garrison.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from functools import _lru_cache_wrapper

T = TypeVar("T")

MOST_REMEMBERED = 256  # results of one function


def remembered(
    *prefixes: str,
) -> Callable[[Callable[..., T]], _lru_cache_wrapper[T]]:
    """Remember what a function made of the settings until one of them changes; a decorator.

    ``prefixes`` are what the names of those settings begin with; without any, each change forgets.
    Reading a setting that a host has not written costs Django some microseconds, and a request asks
    for several. ``cache_clear()`` of the result forgets by hand.
    """

    def wrap(function: Callable[..., T]) -> _lru_cache_wrapper[T]:
        cached = lru_cache(maxsize=MOST_REMEMBERED)(function)

        def forget(*, setting: str, **_: object) -> None:
            if setting.startswith(prefixes or ""):
                cached.cache_clear()

        name = f"{function.__module__}.{function.__qualname__}"
        setting_changed.connect(forget, weak=False, dispatch_uid=f"garrison.conf.{name}")
        return cached

    return wrap


class Setting(Generic[T]):
    """One setting, as a descriptor on an :class:`AppSettings` class.

    ``default`` also fixes the accepted type, unless ``kind`` names it (needed for ``None``).
    ``dotted_path=True`` marks a callable named by import path; a check resolves it at start.
    ``fresh`` makes a new value for a key, which ``manage.py generate_keys`` prints.
    ``minimum`` is the least a number may be; ``validate`` returns a sentence saying what is wrong,
    or ``None``.
    """

    def __init__(  # noqa: PLR0913 - a declaration reads by keyword
        self,
        default: T,
        help: str,  # noqa: A002 - the word Django's own fields use
        *,
        name: str | None = None,
        kind: type | tuple[type, ...] | None = None,
        choices: tuple[T, ...] = (),
        dotted_path: bool = False,
        secret: bool = False,
        fresh: Callable[[], T] | None = None,
        minimum: float | None = None,
        validate: Callable[[T], str | None] | None = None,
    ) -> None:
        """Declare the setting; ``name`` overrides the one made of prefix and attribute."""
        self.default = default
        self.help = help
        self.name = name or ""
        self.kind = kind or (type(default) if default is not None else object)
        self.choices = choices
        self.dotted_path = dotted_path
        self.secret = secret
        self.fresh = fresh
        self.minimum = minimum
        self.validate = validate

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, instance: AppSettings, owner: type) -> T: ...
    def __get__(self, instance: AppSettings | None, owner: type) -> Setting[T] | T:
        """Read Django's setting now, or the default."""
        if instance is None:
            return self
        return getattr(django_settings, self.name, self.default)

    def problem(self) -> str | None:
        """Report what is wrong with the present value, or ``None``; a secret is never shown."""
        value: Any = getattr(django_settings, self.name, self.default)
        shown = "the value" if self.secret else repr(value)
        if self._has_wrong_type(value):
            return f"{shown} is {type(value).__name__}; {self._kind_names()} is needed."
        if self.choices and value not in self.choices:
            return f"{shown} is not one of {', '.join(map(repr, self.choices))}."
        if self.minimum is not None and value is not None and value < self.minimum:
            return f"{shown} is too small; at least {self.minimum} is needed."
        return self.validate(value) if self.validate else None

    def _has_wrong_type(self, value: object) -> bool:
        kinds = self.kind if isinstance(self.kind, tuple) else (self.kind,)
        # bool is an int in Python; a limit of True is a slip of the pen, not a number.
        if isinstance(value, bool) and bool not in kinds and object not in kinds:
            return True
        accepted = {list: (list, tuple), tuple: (list, tuple), float: (int, float)}
        return not any(isinstance(value, accepted.get(kind, kind)) for kind in kinds)

    def _kind_names(self) -> str:
        kinds = self.kind if isinstance(self.kind, tuple) else (self.kind,)
        return " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)


@dataclass(frozen=True)
class Declared:
    """One setting as the docs and the checks list it."""

    attribute: str
    setting: Setting[Any]


class AppSettings:
    """Base of an app's settings; the class statement names the prefix."""

    prefix: ClassVar[str]

    def __init_subclass__(cls, *, prefix: str) -> None:
        """Name the settings, and make the prefix known so that unknown names can be found."""
        cls.prefix = prefix
        for declared in cls.declared():
            setting = declared.setting
            setting.name = setting.name or f"{prefix}_{declared.attribute.upper()}"
        SETTINGS.add(prefix, cls)

    @classmethod
    def declared(cls) -> Iterator[Declared]:
        """Return each declared setting, in the order written."""
        for attribute, value in vars(cls).items():
            if isinstance(value, Setting):
                yield Declared(attribute, value)


def fresh_keys() -> dict[str, str]:
    """Return a new value for every key that an app declares, as the environment holds it."""
    made = {
        item.setting.name: item.setting.fresh()
        for cls in SETTINGS
        for item in cls.declared()
        if item.setting.fresh
    }
    return {name: key if isinstance(key, str) else ",".join(key) for name, key in made.items()}


SETTINGS: Registry[type[AppSettings]] = Registry("settings prefix")
"""Every settings class by prefix, as far as its app's ``conf`` has been imported."""


def unknown_names() -> Iterator[tuple[str, list[str]]]:
    """Names in Django's settings under a known prefix that no app declares, with near matches."""
    import difflib

    known = {item.setting.name for cls in SETTINGS for item in cls.declared()}
    prefixes = tuple(f"{prefix}_" for prefix, _ in SETTINGS.items())
    for name in dir(django_settings):
        if name.isupper() and name.startswith(prefixes) and name not in known:
            yield name, difflib.get_close_matches(name, known, n=1)


class GarrisonSettings(AppSettings, prefix="GARRISON"):
    """Settings of the ground floor."""

    trusted_proxies = Setting[list[str]](
        [],
        "CIDRs of the proxies whose X-Forwarded-For, -Proto and X-Request-ID are believed.",
    )
    field_policy = Setting(
        "garrison.field_policy.DjangoPermissions",
        "Dotted path of the class that answers which fields of a model a user may see or write.",
        dotted_path=True,
    )


settings = GarrisonSettings()
