"""The base of every API view: it follows settings of ours, and not the host's REST framework's.

A project that has never heard of ``REST_FRAMEWORK`` gets the answers that are documented: who is
asked for a token, what a body may be, how an error looks. Each policy is one setting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.utils.module_loading import import_string
from rest_framework.metadata import SimpleMetadata
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from garrison.conf import remembered
from garrison.errors import PROBLEM_JSON, ConfigurationError
from http_hardening.conf import HttpHardeningSettings, settings
from http_hardening.headers import CLEAR_SITE_DATA

if TYPE_CHECKING:
    from collections.abc import Callable

    from rest_framework.request import Request
    from rest_framework.response import Response

JSON = "application/json"
INSTALLED_OR_NOT = ("rest_framework.", "http_hardening.")  # they work without being an app


@remembered("HTTP_HARDENING_API")
def policy(name: str) -> Any:
    """Import what a setting names: a class or function, or a tuple of them.

    Raises ``ConfigurationError``, naming the line to write, where a default belongs to an app that
    is not installed.
    """
    setting = next(d.setting for d in HttpHardeningSettings.declared() if d.setting.name == name)
    value = setting.__get__(settings, HttpHardeningSettings)
    if isinstance(value, str):
        return import_string(value)
    for path in set(value).intersection(setting.default):
        if not (path.startswith(INSTALLED_OR_NOT) or apps.get_containing_app_config(path)):
            app = path.partition(".")[0]
            raise ConfigurationError(
                f"An API is mounted that uses {path}, and {app!r} is not installed. Add {app!r} "
                f"to INSTALLED_APPS, or name classes of your own in {name}."
            )
    return tuple(import_string(path) for path in value)


class FromSettings:
    """A class attribute of a view that a setting fills, and a subclass may fill itself."""

    def __init__(self, name: str) -> None:
        """Name the setting, as a host writes it."""
        self.name = name

    def __get__(self, view: APIView | None, owner: type[APIView]) -> Any:
        """Return what the setting names now."""
        return policy(self.name)


class SchemaFromSettings(FromSettings):
    """The same for the inspector that describes the view."""

    def __get__(self, view: APIView | None, owner: type[APIView]) -> Any:
        """Return an inspector that knows its view."""
        inspector = policy(self.name)()
        return inspector if view is None else inspector.__get__(view, owner)


class ProblemNegotiation(DefaultContentNegotiation):
    """A client that reads problem+json reads JSON; one that accepts nothing accepts all."""

    def get_accept_list(self, request: Request) -> list[str]:
        """Return the media types that the client accepts."""
        accepted = request.META.get("HTTP_ACCEPT") or "*/*"
        return [kind.strip() for kind in accepted.replace(PROBLEM_JSON, JSON).split(",")]


class StrictAPIView(APIView):
    """A view whose methods are an :func:`~http_hardening.api.operations.operation` each.

    Nobody may keep its answers, unless a method says so in ``Cache-Control``. What is refused
    before the view is reached (a bad token, a missing permission) is counted too, by address, so
    that guessing is not free; a good request costs the store no more than before.
    """

    authentication_classes = FromSettings("HTTP_HARDENING_API_AUTHENTICATION")
    permission_classes = FromSettings("HTTP_HARDENING_API_PERMISSIONS")
    parser_classes = FromSettings("HTTP_HARDENING_API_PARSERS")
    renderer_classes = FromSettings("HTTP_HARDENING_API_RENDERERS")
    throttle_classes = FromSettings("HTTP_HARDENING_API_THROTTLES")
    schema = SchemaFromSettings("HTTP_HARDENING_API_SCHEMA_CLASS")
    content_negotiation_class = ProblemNegotiation
    metadata_class = SimpleMetadata
    versioning_class = None

    is_refused = False
    """Whether the request was refused before it was counted; a throttle then counts the address."""
    _is_counted = False
    signs_out = False
    """Whether a good answer lets a browser clear what it has kept of the caller."""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Find out while the URLs are read whether the policies can be followed."""
        for name in ("authentication", "permission", "parser", "renderer", "throttle"):
            getattr(cls, f"{name}_classes")
        return super().as_view(**initkwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Admit the request, or count it against its address and refuse it."""
        try:
            super().initial(request, *args, **kwargs)
        except Exception:
            if not self._is_counted:
                self.is_refused = True
                self.check_throttles(request)
            raise

    def perform_authentication(self, request: Request) -> None:
        """Authenticate once; after a failure nobody is signed in, and nobody is asked again."""
        try:
            super().perform_authentication(request)
        except Exception:
            request.user = AnonymousUser()
            raise

    def check_throttles(self, request: Request) -> None:
        """Count the request, once."""
        self._is_counted = True
        super().check_throttles(request)

    def get_exception_handler(self) -> Callable[..., Any]:
        """Return the function that answers what is raised."""
        return cast("Callable[..., Any]", policy("HTTP_HARDENING_API_EXCEPTION_HANDLER"))

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Keep the answer out of every cache, where its view has said nothing else.

        Where the view has signed its caller out, nothing stays in the browser either.
        """
        final = super().finalize_response(request, response, *args, **kwargs)
        final.headers.setdefault("Cache-Control", "no-store")
        if self.signs_out and final.status_code < 400:
            final.headers["Clear-Site-Data"] = CLEAR_SITE_DATA
        return final


class PublicAPIView(StrictAPIView):
    """A door that is open to strangers; a token that is sent along is not even looked at."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
