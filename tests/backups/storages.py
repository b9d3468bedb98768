"""Storages as the world has them: without paths, failing, slow."""

from __future__ import annotations

import io
import threading
from typing import Any, ClassVar

from django.core.files.base import File
from django.core.files.storage import Storage


class Objects(Storage):
    """An object store in memory: no paths, no rename, whole objects or none."""

    stores: ClassVar[dict[str, dict[str, bytes]]] = {}

    def __init__(self, bucket: str) -> None:
        self.objects = self.stores.setdefault(bucket, {})

    def _open(self, name: str, mode: str = "rb") -> File:  # type: ignore[type-arg]
        if name not in self.objects:
            raise FileNotFoundError(name)
        return File(io.BytesIO(self.objects[name]), name=name)

    def _save(self, name: str, content: Any) -> str:
        content.seek(0)  # as django-storages does before it begins
        whole = b"".join(content.chunks())
        self.objects[name] = whole
        return name

    def exists(self, name: str) -> bool:
        return name in self.objects

    def delete(self, name: str) -> None:
        self.objects.pop(name, None)

    def size(self, name: str) -> int:
        return len(self.objects[name])

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        base = f"{path.rstrip('/')}/" if path.strip("/") else ""
        inside = [name.removeprefix(base) for name in self.objects if name.startswith(base)]
        folders = {name.partition("/")[0] for name in inside if "/" in name}
        return sorted(folders), sorted(name for name in inside if "/" not in name)


class Failing(Objects):
    """Fails at every N-th write, and may leave half of the object behind."""

    every: ClassVar[int] = 0
    writes: ClassVar[int] = 0
    leaves_half: ClassVar[bool] = False
    lock: ClassVar[threading.Lock] = threading.Lock()

    def _save(self, name: str, content: Any) -> str:
        whole = bytearray()
        for chunk in content.chunks():
            with self.lock:
                Failing.writes += 1
                fails = self.every and self.writes % self.every == 0
            if fails:
                if self.leaves_half:
                    self.objects[name] = bytes(whole)
                raise ConnectionResetError("the store went away")
            whole += chunk
        self.objects[name] = bytes(whole)
        return name


class Renaming(Objects):
    """Takes another name than it was given, as Django's storages do where one exists."""

    def _save(self, name: str, content: Any) -> str:
        return super()._save(f"{name}_x7f3", content)


class Locked(Objects):
    """Refuses deletion, as a bucket under Object Lock does."""

    def delete(self, name: str) -> None:
        raise PermissionError("the object is locked")
