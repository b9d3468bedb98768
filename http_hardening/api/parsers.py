"""The parsers that DRF reads bodies with: JSON, and forms with files."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser, DataAndFiles

from http_hardening import strict_json
from http_hardening.conf import settings
from http_hardening.errors import (
    BodyTooLarge,
    DuplicatePart,
    FileTooLarge,
    InvalidEncoding,
    TooManyParts,
)
from http_hardening.multipart import MultipartReader, boundary_of, receive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.core.files.uploadhandler import FileUploadHandler


class StrictJSONParser(BaseParser):
    """Read a JSON object of at most ``HTTP_HARDENING_LONGEST_BODY_BYTES``, strictly.

    Whatever is wrong is a :class:`~http_hardening.errors.BadRequest` with a code of its own; a
    character set other than UTF-8 is a 415.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002 - DRF's signature
    ) -> dict[str, Any]:
        """Read the body once; never more of it than is allowed."""
        _require_utf8(media_type or "")
        longest = settings.longest_body_bytes
        body = stream.read(longest + 1)  # one more tells a body of the full length from a longer
        if len(body) > longest:
            raise BodyTooLarge(f"The body is longer than {longest} bytes.")
        return strict_json.read_object(body, deepest_nesting=settings.deepest_nesting)


class StrictMultiPartParser(BaseParser):
    """Read a form of at most ``HTTP_HARDENING_LONGEST_UPLOAD_BYTES``, strictly.

    Files go to Django's upload handlers chunk by chunk, so what is long is never in memory. Each
    name is there once; a subclass may take more files. Whatever is wrong is refused with a code of
    its own, and what was received until then is thrown away.
    """

    media_type = "multipart/form-data"
    most_parts = 20
    most_files = 1
    longest_field_bytes = 64 * 1024

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> DataAndFiles[Any, Any]:
        """Read the body once; never more of it than is allowed."""
        request = (parser_context or {})["request"]
        handlers: list[FileUploadHandler] = request.upload_handlers
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        longest = settings.longest_upload_bytes
        if length > longest:
            raise FileTooLarge(f"The upload is longer than {longest} bytes.")
        boundary = boundary_of(media_type or "")
        reader = MultipartReader(stream, boundary=boundary, longest_bytes=longest)
        form: DataAndFiles[Any, Any] = DataAndFiles(QueryDict(mutable=True), MultiValueDict())
        for handler in handlers:
            handler.handle_raw_input(stream, request.META, length, boundary.decode())
        try:
            self._read(reader, handlers, form)
        except BaseException:
            for handler in handlers:
                handler.upload_interrupted()
            for file in form.files.values():
                file.close()
            raise
        for handler in handlers:
            handler.upload_complete()
        return form

    def _read(
        self,
        reader: MultipartReader,
        handlers: list[FileUploadHandler],
        form: DataAndFiles[Any, Any],
    ) -> None:
        names: set[str] = set()
        for part in reader.parts():
            if part.name in names:
                raise DuplicatePart(f"The form names {part.name!r} twice.")
            names.add(part.name)
            is_file = part.file_name is not None
            if len(names) > self.most_parts or (is_file and len(form.files) >= self.most_files):
                most = f"{self.most_parts} parts, {self.most_files} of them files"
                raise TooManyParts(f"The form has more than {most}.")
            if not is_file:
                form.data[part.name] = self._text(part.name, reader.content())
            elif file := receive(handlers, part, reader.content()):
                form.files[part.name] = file

    def _text(self, name: str, content: Iterator[bytes]) -> str:
        value = b""
        for chunk in content:
            value += chunk
            if len(value) > self.longest_field_bytes:
                raise BodyTooLarge(f"The field {name!r} is over {self.longest_field_bytes} bytes.")
        if b"\x00" in value:
            raise InvalidEncoding(f"The field {name!r} holds a NUL character.")
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise InvalidEncoding(f"The field {name!r} is not UTF-8.") from None


def _require_utf8(media_type: str) -> None:
    for parameter in media_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip(' "').lower() not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType(media_type)
