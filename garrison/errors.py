"""The one shape of a refusal, so that every door answers it alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

PROBLEM_JSON = "application/problem+json"  # RFC 9457
RETRY_AFTER_SECONDS = 5  # of a 503 that knows nothing better


@dataclass(frozen=True, slots=True)
class FieldError:
    """One reason out of several: a stable code, a sentence, and the field it concerns."""

    code: str
    message: str
    field: str | None = None


class Refusal(Exception):  # noqa: N818 - a verdict, not a malfunction; the name is used everywhere
    """A request understood and refused.

    Subclasses set the class attributes; ``code`` is part of the public contract (lower_snake,
    stable), ``status`` the HTTP status an API answers with, ``title`` one short phrase.
    ``detail`` says what was found and what to do, and never holds a secret. A 503 always says when
    to come back.
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request was refused"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        """Keep what the answer needs; ``retry_after_seconds`` becomes ``Retry-After``."""
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)
        if retry_after_seconds is None and self.status == 503:
            retry_after_seconds = RETRY_AFTER_SECONDS
        self.retry_after_seconds = retry_after_seconds

    def problem(self, *, request_id: str) -> dict[str, Any]:
        """Return the body of the answer in the form of RFC 9457."""
        return problem(
            code=self.code,
            status=self.status,
            title=self.title,
            detail=self.detail,
            request_id=request_id,
            errors=self.errors,
        )


def problem(  # noqa: PLR0913 - the members of RFC 9457, by keyword
    *,
    code: str,
    status: int,
    title: str,
    detail: str,
    request_id: str,
    errors: Sequence[FieldError] = (),
) -> dict[str, Any]:
    """Lay out a problem: ``{type, title, status, detail, code, request_id, errors?}``."""
    body: dict[str, Any] = {
        "type": f"urn:garrison:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    if errors:
        body["errors"] = [
            {name: value for name, value in asdict(error).items() if value is not None}
            for error in errors
        ]
    return body


class ConfigurationError(ImproperlyConfigured):
    """The project is set up in a way that cannot be secure; the sentence says what to change."""


class EventNotRecorded(Refusal):
    """A change was refused because its security event could not be stored."""

    code = "audit_unavailable"
    status = 503
    title = "The change could not be recorded, so it was not made"
