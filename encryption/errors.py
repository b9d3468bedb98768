"""The refusals of encryption: one for reading, and one for each misuse, each with its sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import BadRequest, FieldError

from garrison.errors import ConfigurationError, Refusal

if TYPE_CHECKING:
    from typing import ClassVar


class DecryptionFailed(Refusal):
    """A stored value cannot be read; the only exception any damage to an envelope leads to.

    ``reason`` is one of ``malformed``, ``key_missing``, ``not_authentic``, ``not_of_type`` and
    ``subject_erased``; ``key_id`` and ``place`` (``app.Model.field``) say where. The sentence is
    for operators; a client learns only that a stored value cannot be read.
    """

    code: ClassVar[str] = "decryption_failed"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "A stored value cannot be read"

    def __init__(self, detail: str, *, reason: str, place: str, key_id: str = "") -> None:
        """Keep what the event reports; none of it is secret."""
        super().__init__(detail)
        self.reason = reason
        self.place = place
        self.key_id = key_id

    def problem(self, *, request_id: str) -> dict[str, Any]:
        """Answer a client without naming keys, models or fields."""
        body = super().problem(request_id=request_id)
        body["detail"] = f"{self.title}."
        return body


class SubjectErased(DecryptionFailed):
    """The value belonged to a person whose key has been erased; nobody can read it any more."""

    code: ClassVar[str] = "subject_erased"
    status: ClassVar[int] = 410
    title: ClassVar[str] = "The value was erased"


class KeyringUnusable(ConfigurationError):  # noqa: N818 - a verdict, like a Refusal
    """The keys are missing, malformed, short, doubled or defaults; the sentence names the entry."""


class KeyInUse(Refusal):
    """A key was to be retired while something still needs it."""

    code: ClassVar[str] = "key_in_use"
    status: ClassVar[int] = 409
    title: ClassVar[str] = "The key is still in use"


class KeyUnknown(Refusal):
    """A key id that is not in the ring."""

    code: ClassVar[str] = "key_unknown"
    status: ClassVar[int] = 404
    title: ClassVar[str] = "There is no such key"


class SubjectUnknown(Refusal):
    """A subject that has no key to erase."""

    code: ClassVar[str] = "subject_unknown"
    status: ClassVar[int] = 404
    title: ClassVar[str] = "There is no key of that subject"


class ImportRefused(Refusal):
    """A column cannot be imported; nothing of it was changed."""

    code: ClassVar[str] = "import_refused"
    status: ClassVar[int] = 409
    title: ClassVar[str] = "The column was not imported"


class RevealRefused(Refusal):
    """A user may not see an encrypted value in clear."""

    code: ClassVar[str] = "reveal_refused"
    status: ClassVar[int] = 403
    title: ClassVar[str] = "The value may not be shown"


class ExpressionRefused(FieldError):  # noqa: N818 - a verdict, like a Refusal
    """An encrypted column was used where only a clear one can work, such as in ``F()``."""


class QueryRefused(ExpressionRefused, BadRequest):
    """An encrypted column was to be looked up, ordered by or combined.

    A client may have asked for it (``?o=`` of the admin, ``?ordering=`` of an API), so a request in
    which nobody catches it is answered with 400.
    """


class UnboundValue(FieldError):  # noqa: N818 - a verdict, like a Refusal
    """A clear value was about to be written without a row to bind it to."""


class ValueRefused(ValueError):  # noqa: N818 - a verdict, like a Refusal
    """A value is not of the field's type; the sentence names the types and never the value."""
