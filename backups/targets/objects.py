"""S3 by django-storages, which would hold much of a large object in memory, or all of it.

Its files are read whole when they are opened, and ten parts of eight megabytes wait to be sent.
Here an object is read range by range, and two parts wait; any other storage is left as it is.
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.core.files.storage import Storage

RANGE = 8 * 1024 * 1024  # bytes asked for at once
PARTS_IN_MEMORY = 2
# What must be sent again with each request; the other parameters are for writing.
SENT_AGAIN = ("SSECustomerAlgorithm", "SSECustomerKey", "RequestPayer", "ExpectedBucketOwner")


class _Ranges(io.RawIOBase):
    """An object of a bucket, read range by range; an idle time between two does no harm."""

    def __init__(self, described: Any, parameters: dict[str, Any]) -> None:
        self._object = described
        self._parameters = parameters
        self._size: int = described.content_length
        self._position = 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Request as much as is wanted, and nothing behind the end."""
        end = min(self._position + len(buffer), self._size)
        if end == self._position:
            return 0
        wanted = f"bytes={self._position}-{end - 1}"
        data = self._object.get(Range=wanted, **self._parameters)["Body"].read()
        if not data or len(data) > len(buffer):
            raise OSError("the bucket gave another range than it was asked for")
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def opened(storage: Storage, name: str) -> IO[bytes]:
    """Open a file of any storage for reading, an object of S3 without holding it whole."""
    file = storage.open(name, "rb")
    described = getattr(file, "obj", None)
    if not hasattr(described, "content_length") or not hasattr(described, "get"):
        return file
    asked: dict[str, Any] = storage.get_object_parameters(name)  # type: ignore[attr-defined]  # S3's
    parameters = {key: asked[key] for key in SENT_AGAIN if key in asked}
    return io.BufferedReader(_Ranges(described, parameters), RANGE)


def hold_few_parts(storage: Storage) -> None:
    """Let an upload keep two parts in memory instead of ten."""
    config = getattr(storage, "transfer_config", None)
    if getattr(config, "max_in_memory_upload_chunks", 0) > PARTS_IN_MEMORY:
        config.max_in_memory_upload_chunks = PARTS_IN_MEMORY  # type: ignore[union-attr]  # it has it
