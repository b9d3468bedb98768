"""Errors in the form of RFC 9457."""

from __future__ import annotations

from typing import Any

from django.http import JsonResponse
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_handler

from garrison import context
from garrison.errors import PROBLEM_JSON, Refusal, problem


def exception_handler(exception: Exception, where: dict[str, Any]) -> Any:
    """Answer an exception raised in a DRF view."""
    if isinstance(exception, Refusal):
        body = exception.problem(request_id=context.current().request_id)
        answer = JsonResponse(body, status=exception.status, content_type=PROBLEM_JSON)
        if exception.retry_after_seconds is not None:
            answer["Retry-After"] = str(exception.retry_after_seconds)
        return answer
    response = drf_handler(exception, where)
    if isinstance(response, Response):
        code = getattr(exception, "default_code", "refused")
        body = problem(
            code=code,
            status=response.status_code,
            title=str(getattr(exception, "default_detail", "Refused")),
            detail=str(getattr(exception, "detail", "")),
            request_id=context.current().request_id,
        )
        return JsonResponse(body, status=response.status_code, content_type=PROBLEM_JSON)
    return response
