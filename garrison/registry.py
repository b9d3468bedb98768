"""The one registry: named entries that apps bring, each with the module it came from."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from garrison.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

T = TypeVar("T")


class Registry(Generic[T]):
    """Entries by name. ``what`` is how sentences call one, such as ``health check``.

    Two entries of one name are refused, with the modules of both: which of them wins would depend
    on the order in which apps are loaded.
    """

    def __init__(self, what: str) -> None:
        """Begin empty."""
        self.what = what
        self._entries: dict[str, T] = {}
        self._origins: dict[str, str] = {}

    def add(self, name: str, entry: T, *, source: object = None) -> T:
        """Add an entry and return it; adding an equal one again, as a reload does, is no error.

        ``source`` is the class or function by which the entry was declared, where that is not the
        entry itself, or the name of a module; :meth:`origin` returns the module. Raises
        :class:`~garrison.errors.ConfigurationError` for a name that another entry has.
        """
        declared_by = entry if source is None else source
        origin = source if isinstance(source, str) else getattr(declared_by, "__module__", "")
        if name in self._entries and self._entries[name] != entry:
            raise ConfigurationError(
                f"The {self.what} {name!r} is declared twice: in {self._origins[name]} and in "
                f"{origin}. Rename one of them."
            )
        self._origins[name] = origin
        self._entries[name] = entry
        return entry

    def origin(self, name: str) -> str:
        """Return the module in which the entry was declared, such as ``audit.health``."""
        return self._origins[name]

    def items(self) -> list[tuple[str, T]]:
        """Return names and entries, sorted by name."""
        return sorted(self._entries.items(), key=lambda item: item[0])

    def __getitem__(self, name: str) -> T:
        """Return one entry; raises ``KeyError``."""
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        """Return whether there is an entry of that name."""
        return name in self._entries

    def __iter__(self) -> Iterator[T]:
        """Return the entries, sorted by name."""
        return iter([entry for _, entry in self.items()])

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self._entries)

    @contextmanager
    def temporarily(self, entries: Mapping[str, T] | None = None) -> Iterator[None]:
        """Hold only these entries inside the block, and whatever is added there; for tests."""
        kept = self._entries, self._origins
        self._entries = dict(entries or {})
        self._origins = {
            name: kept[1].get(name) or str(getattr(entry, "__module__", ""))
            for name, entry in self._entries.items()
        }
        try:
            yield
        finally:
            self._entries, self._origins = kept
