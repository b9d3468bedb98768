"""Endpoints: read the input, call a service, write the output."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import background, services
from accounts.api import serializers
from accounts.errors import StepRequired
from accounts.password.advice import advise
from accounts.user_model import missing_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from rest_framework.request import Request
    from rest_framework.serializers import Serializer

    from accounts.services import SignedIn

ALWAYS_ALIKE = OpenApiResponse(description="The same for every address.")


def _input(serializer: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    given = serializer(data=data)
    given.is_valid(raise_exception=True)
    return given.validated_data  # type: ignore[no-any-return]  # a dict for a serializer of fields


# A place in a bucket and a try of a code are spent whatever becomes of the request, so no
# transaction around the view may undo them.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
@method_decorator(never_cache, name="dispatch")
class PublicView(APIView):
    """Base of the doors that are open to strangers; counted under the scope ``auth``."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_scope = "auth"


class RegisterView(PublicView):
    """Register."""

    @extend_schema(request=serializers.RegisterInput, responses={202: ALWAYS_ALIKE}, auth=[])
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        """Create an account and mail a code, or tell the owner of the one there is by mail."""
        services.register(**_input(serializers.RegisterInput, request.data))
        return Response(status=status.HTTP_202_ACCEPTED)


class VerifyEmailView(PublicView):
    """Prove an address."""

    @extend_schema(request=serializers.VerifyEmailInput, responses={204: None}, auth=[])
    def post(self, request: Request) -> Response:
        """Use the mailed code up."""
        services.verify_email(**_input(serializers.VerifyEmailInput, request.data))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ResendView(PublicView):
    """Ask for another code."""

    @extend_schema(request=serializers.ResendInput, responses={202: ALWAYS_ALIKE}, auth=[])
    def post(self, request: Request) -> Response:
        """Mail a fresh code where one is waited for; answered before it is looked up."""
        given = _input(serializers.ResendInput, request.data)
        background.run(partial(services.resend_code, **given))
        return Response(status=status.HTTP_202_ACCEPTED)


class SignInView(PublicView):
    """Base of the doors that start a session; one that is complete is not counted as a try."""

    throttle_refunds_success = True

    def answer(self, sign_in: Callable[[], SignedIn]) -> Response:
        """Return the tokens, or what a step asks for; the latter is no success yet."""
        try:
            return Response(serializers.LoginOutput(sign_in()).data)
        except StepRequired as required:
            response = Response(serializers.StepOutput(required).data)
            response.is_refundable = False  # type: ignore[attr-defined]  # read by rate_limiting
            return response


class LoginView(SignInView):
    """Sign in; a complete sign-in gives its place under the rate limit back."""

    @extend_schema(request=serializers.LoginInput, responses=serializers.SIGN_IN_OUTPUT, auth=[])
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        """Check the name and the password; start a session, or say what is still asked for."""
        given = _input(serializers.LoginInput, request.data)
        name, password = given["email"], given["password"]
        return self.answer(partial(services.sign_in, login_name=name, password=password))


class LoginStepView(SignInView):
    """Go on with a sign-in that a step has halted."""

    @extend_schema(request=serializers.StepInput, responses=serializers.SIGN_IN_OUTPUT, auth=[])
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        """Answer the step; start the session where it was the last one."""
        given = _input(serializers.StepInput, request.data)
        token, method, code = given["mfa_token"], given["method"], given["code"]
        return self.answer(
            partial(services.continue_sign_in, token=token, method=method, answer=code)
        )


class ResetView(PublicView):
    """Say that a password is forgotten."""

    @extend_schema(request=serializers.ResetInput, responses={202: ALWAYS_ALIKE}, auth=[])
    def post(self, request: Request) -> Response:
        """Mail a code to the owner of an account; answered before it is looked up."""
        given = _input(serializers.ResetInput, request.data)
        background.run(partial(services.request_reset, **given))
        return Response(status=status.HTTP_202_ACCEPTED)


class ResetConfirmView(PublicView):
    """Choose a new password."""

    @extend_schema(request=serializers.ResetConfirmInput, responses={204: None}, auth=[])
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        """Use the mailed code up, set the password, and end every session."""
        services.reset_password(**_input(serializers.ResetConfirmInput, request.data))
        return Response(status=status.HTTP_204_NO_CONTENT)


@method_decorator(transaction.non_atomic_requests, name="dispatch")
@method_decorator(never_cache, name="dispatch")
class ChangeView(APIView):
    """Change one's own password; a success gives its place under the rate limit back."""

    throttle_scope = "auth"
    throttle_refunds_success = True

    @extend_schema(request=serializers.ChangeInput, responses={204: None})
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        """Check the present password, set the new one, and end every other session."""
        given = _input(serializers.ChangeInput, request.data)
        services.change_password(user=request.user, **given)  # type: ignore[arg-type]
        return Response(status=status.HTTP_204_NO_CONTENT)


class PasswordStrengthView(PublicView):
    """Judge a password before it is chosen."""

    @extend_schema(
        request=serializers.PasswordStrengthInput,
        responses={200: serializers.StrengthOutput},
        auth=[],
    )
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        """Report how long it would stand, and what speaks against it; nothing is stored."""
        given = _input(serializers.PasswordStrengthInput, request.data)
        return Response(serializers.StrengthOutput(advise(**given)).data)


@method_decorator(never_cache, name="dispatch")
class MeView(APIView):
    """The caller's own account."""

    @extend_schema(responses={200: serializers.ProfileOutput})
    def get(self, request: Request) -> Response:
        """Show it."""
        return Response(serializers.ProfileOutput(request.user).data)

    @extend_schema(request=serializers.ProfileInput, responses={200: serializers.ProfileOutput})
    def patch(self, request: Request) -> Response:
        """Change the name; nothing else is the person's own to change here."""
        if missing_fields():
            raise MethodNotAllowed("PATCH")
        given = _input(serializers.ProfileInput, request.data)
        if "name" in given:
            services.rename(user=request.user, name=given["name"])  # type: ignore[arg-type]
        return Response(serializers.ProfileOutput(request.user).data)


@method_decorator(never_cache, name="dispatch")
class LoginHistoryView(APIView):
    """The caller's own sign-ins."""

    @extend_schema(
        parameters=[serializers.HistoryInput], responses={200: serializers.HistoryOutput}
    )
    def get(self, request: Request) -> Response:
        """List a page of them, newest first, failures too."""
        given = _input(serializers.HistoryInput, request.query_params.dict())
        page = services.sign_ins_of(user=request.user, **given)  # type: ignore[arg-type]
        return Response(serializers.HistoryOutput(page).data)
