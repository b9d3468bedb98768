"""What security_monitoring refuses."""

from __future__ import annotations

from garrison.errors import Refusal


class QuestionInvalid(Refusal):
    """A question about events or figures that cannot be understood."""

    code = "invalid_query"
    status = 400
    title = "The query parameters are not valid"
