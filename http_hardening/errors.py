"""Why a request is refused before any view looks at it."""

from __future__ import annotations

from garrison.errors import Refusal


class BadRequest(Refusal):
    """The request is not one that this site reads."""

    code = "bad_request"
    title = "The request cannot be read"


class InvalidJSON(BadRequest):
    """The body is no JSON text."""

    code = "invalid_json"
    title = "The body is not valid JSON"


class InvalidEncoding(InvalidJSON):
    """The body is not UTF-8, or holds characters that no text has."""

    code = "invalid_encoding"
    title = "The body is not valid UTF-8 text"


class DuplicateKey(InvalidJSON):
    """An object names a key twice: two readers would see two different requests."""

    code = "duplicate_key"
    title = "An object names a key twice"


class NestingTooDeep(InvalidJSON):
    """The body nests deeper than any request of ours does."""

    code = "nesting_too_deep"
    title = "The body is nested too deeply"


class NumberOutOfRange(InvalidJSON):
    """A number is not finite, or does not fit 64 bits."""

    code = "number_out_of_range"
    title = "A number is out of range"


class NotAnObject(InvalidJSON):
    """The body is JSON, and not an object."""

    code = "not_an_object"
    title = "The body must be a JSON object"


class BodyTooLarge(BadRequest):
    """The body is longer than the site reads."""

    code = "body_too_large"
    status = 413
    title = "The body is too large"


class InvalidMultipart(BadRequest):
    """The body is no multipart form that two readers would read alike."""

    code = "invalid_multipart"
    title = "The body is not a valid multipart form"


class DuplicatePart(InvalidMultipart):
    """Two parts have one name."""

    code = "duplicate_part"
    title = "A form names a part twice"


class TooManyParts(InvalidMultipart):
    """A form has more parts, or more files, than any form of ours."""

    code = "too_many_parts"
    title = "The form has too many parts"


class FileTooLarge(BadRequest):
    """The upload is longer than the site reads."""

    code = "file_too_large"
    status = 413
    title = "The upload is too large"


class BodyUnreadable(BadRequest):
    """The connection broke while the body was read."""

    code = "body_unreadable"
    title = "The body could not be read"


class LengthRequired(BadRequest):
    """The body is sent in chunks without a length; WSGI would read it as empty."""

    code = "length_required"
    status = 411
    title = "The body's length must be told"


class InvalidQuery(BadRequest):
    """The query parameters are not those of this address."""

    code = "invalid_query"
    title = "The query parameters are not valid"


class NulCharacter(BadRequest):
    """The address holds a NUL character, which no database column takes."""

    code = "nul_character"
    title = "The address holds a NUL character"
