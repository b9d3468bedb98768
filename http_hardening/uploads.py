"""A file on its way from a body to Django's upload handlers, in the order those expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.files.uploadhandler import SkipFile, StopFutureHandlers, StopUpload

from http_hardening.errors import InvalidMultipart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.core.files.uploadedfile import UploadedFile
    from django.core.files.uploadhandler import FileUploadHandler

    from http_hardening.multipart import Part


def receive(
    handlers: Sequence[FileUploadHandler], part: Part, content: Iterator[bytes]
) -> UploadedFile[Any] | None:
    """Hand one file on, and return what was made of it; ``None`` where a handler skips it."""
    try:
        _announce(handlers, part)
        sizes = _feed(handlers, content)
    except SkipFile:
        for _ in content:  # the rest of it
            pass
        return None
    except StopUpload:
        raise InvalidMultipart("The upload was stopped.") from None
    made = (h.file_complete(size) for h, size in zip(handlers, sizes, strict=True))
    return next((file for file in made if file), None)


def _announce(handlers: Sequence[FileUploadHandler], part: Part) -> None:
    for handler in handlers:
        try:
            handler.new_file(part.name, str(part.file_name), part.content_type, None, None, {})
        except StopFutureHandlers:
            return


def _feed(handlers: Sequence[FileUploadHandler], content: Iterator[bytes]) -> list[int]:
    sizes = [0] * len(handlers)
    for received in content:
        chunk: bytes | None = received
        for index, handler in enumerate(handlers):
            if chunk is None:
                break
            size = len(chunk)
            chunk = handler.receive_data_chunk(chunk, sizes[index])
            sizes[index] += size
    return sizes
