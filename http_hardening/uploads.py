"""Files on their way from a body to Django's upload handlers, in the order those expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.files.uploadhandler import SkipFile, StopFutureHandlers, StopUpload

from http_hardening.errors import InvalidMultipart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from django.core.files.uploadedfile import UploadedFile
    from django.core.files.uploadhandler import FileUploadHandler

    from http_hardening.multipart import Part


class UploadReceiver:
    """Drives the handlers of one request, as Django's documentation of them says."""

    def __init__(self, handlers: Sequence[FileUploadHandler]) -> None:
        """Take the handlers; the first that keeps a file ends the row for it."""
        self._handlers = handlers

    def begin(self, stream: Any, meta: Mapping[str, Any], length: int, boundary: bytes) -> None:
        """Let each handler know how long the body says it is; none may read it by itself."""
        for handler in self._handlers:
            handler.handle_raw_input(stream, dict(meta), length, boundary.decode())

    def receive(self, part: Part, content: Iterator[bytes]) -> UploadedFile[Any] | None:
        """Hand one file on, and return what was made of it; ``None`` where a handler skips it."""
        try:
            self._announce(part)
            sizes = self._feed(content)
        except SkipFile:
            for _ in content:  # the rest of it
                pass
            return None
        except StopUpload:
            raise InvalidMultipart("The upload was stopped.") from None
        made = (h.file_complete(size) for h, size in zip(self._handlers, sizes, strict=True))
        return next((file for file in made if file), None)

    def complete(self) -> None:
        """Let each handler finish."""
        for handler in self._handlers:
            handler.upload_complete()

    def interrupt(self, files: Mapping[str, UploadedFile[Any]]) -> None:
        """Throw away what was received: the finished files, and the one in the middle."""
        for handler in self._handlers:
            handler.upload_interrupted()
        for file in files.values():
            file.close()

    def _announce(self, part: Part) -> None:
        for handler in self._handlers:
            try:
                handler.new_file(part.name, str(part.file_name), part.content_type, None, None, {})
            except StopFutureHandlers:
                return

    def _feed(self, content: Iterator[bytes]) -> list[int]:
        sizes = [0] * len(self._handlers)
        for received in content:
            chunk: bytes | None = received
            for index, handler in enumerate(self._handlers):
                if chunk is None:
                    break
                size = len(chunk)
                chunk = handler.receive_data_chunk(chunk, sizes[index])
                sizes[index] += size
        return sizes
