"""Endpoints: each an operation on one service."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone
from django.utils.decorators import method_decorator
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.response import Response

from accounts import devices, services
from accounts.api import serializers
from accounts.api.trusted_devices import TrustedDeviceOutput
from accounts.errors import (
    AnswerInvalid,
    CodeExpired,
    CodeInvalid,
    CurrentPasswordWrong,
    DeviceNotFound,
    EmailUnverified,
    InvalidCredentials,
    LockedOut,
    PasswordRejected,
    SignInExpired,
    StepRequired,
)
from accounts.models import TrustedDevice
from accounts.password.generator import generate
from accounts.password.policy import advise
from accounts.user_model import missing_fields
from http_hardening.api.operations import operation
from http_hardening.api.paging import Page, page_of
from http_hardening.api.strict_view import PublicAPIView, StrictAPIView

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from accounts.services.signing_in import SignedIn


DEVICE_TOKEN_HEADER = "Device-Token"  # noqa: S105 - the name of a header


# A place in a bucket and a try of a code are spent whatever becomes of the request, so no
# transaction around the view may undo them.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class PublicView(PublicAPIView):
    """Base of the doors that are open to strangers; counted under the scope ``auth``."""

    throttle_scope = "auth"


class RegisterView(PublicView):
    """Register."""

    @operation(body=serializers.RegisterInput, status=202, refuses=(PasswordRejected,))
    def post(self, **given: Any) -> None:
        """Create an account and mail a code, or write to its owner; the answer is always alike."""
        services.register(**given)


class VerifyEmailView(PublicView):
    """Prove an address."""

    @operation(body=serializers.VerifyEmailInput, refuses=(CodeInvalid, CodeExpired))
    def post(self, **given: Any) -> None:
        """Use the mailed code up."""
        services.verify_email(**given)


class ResendView(PublicView):
    """Request another code."""

    @operation(body=serializers.ResendInput, status=202)
    def post(self, **given: Any) -> None:
        """Mail a fresh code where one is waited for; answered, always alike, before that."""
        services.resend_code(**given)


def trusting(request: Any, device_token: str) -> Response:
    """Answer 204; the device's new token is in its cookie, and in a header for other clients."""
    devices.hand_out(request, device_token)
    return Response(status=204, headers={DEVICE_TOKEN_HEADER: device_token})


class SignInView(PublicView):
    """Base of the doors that start a session; one that is complete is not counted as a try."""

    throttle_refunds_success = True

    def answer(self, sign_in: Callable[[], SignedIn]) -> Response:
        """Return the tokens, or what a step asks for; the latter is no success yet."""
        try:
            signed_in = sign_in()
            devices.hand_out(self.request, signed_in.device_token)
            return Response(serializers.LoginOutput(signed_in).data)
        except StepRequired as required:
            response = Response(serializers.StepOutput(required).data)
            response.is_refundable = False  # type: ignore[attr-defined]  # read by rate_limiting
            return response


class LoginView(SignInView):
    """Sign in; a complete sign-in gives its place under the rate limit back."""

    @operation(
        body=serializers.LoginInput,
        returns=serializers.SIGN_IN_OUTPUT,
        refuses=(InvalidCredentials, EmailUnverified, LockedOut),
    )
    def post(self, *, email: str, password: str, device_token: str) -> Response:
        """Check the name and the password; start a session, or return what is still required."""
        token = device_token or devices.presented(self.request)
        return self.answer(
            partial(services.sign_in, login_name=email, password=password, device_token=token)
        )


class LoginStepView(SignInView):
    """Go on with a sign-in that a step has halted."""

    @operation(
        body=serializers.StepInput,
        returns=serializers.SIGN_IN_OUTPUT,
        refuses=(SignInExpired, AnswerInvalid, EmailUnverified, LockedOut),
    )
    def post(self, *, mfa_token: str, method: str, code: str) -> Response:
        """Answer the step; start the session where it was the last one."""
        return self.answer(
            partial(services.continue_sign_in, token=mfa_token, method=method, answer=code)
        )


class ResetView(PublicView):
    """Request a code for a forgotten password."""

    @operation(body=serializers.ResetInput, status=202)
    def post(self, *, email: str, device_token: str) -> None:
        """Mail a code to the owner of an account; answered, always alike, before that."""
        token = device_token or devices.presented(self.request)
        services.request_reset(email=email, device_token=token)


class ResetConfirmView(PublicView):
    """Choose a new password."""

    @operation(
        body=serializers.ResetConfirmInput,
        refuses=(CodeInvalid, CodeExpired, PasswordRejected, LockedOut),
    )
    def post(self, *, device_token: str, **given: Any) -> Response:
        """Use the mailed code up, set the password, end every session; trust this device."""
        token = device_token or devices.presented(self.request)
        return trusting(self.request, services.reset_password(device_token=token, **given))


class UnlockView(PublicView):
    """Get in although strangers have locked the account."""

    @operation(body=serializers.UnlockInput, refuses=(CodeInvalid, CodeExpired, LockedOut))
    def post(self, **given: Any) -> Response:
        """Use the mailed code up, end the lock, and trust this device from now on."""
        return trusting(self.request, services.unlock(**given))


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class ChangeView(StrictAPIView):
    """Change one's own password; a success gives its place under the rate limit back."""

    throttle_scope = "auth"
    throttle_refunds_success = True

    @operation(
        body=serializers.ChangeInput, refuses=(CurrentPasswordWrong, PasswordRejected, LockedOut)
    )
    def post(self, **given: Any) -> None:
        """Check the present password, set the new one, and end every other session."""
        services.change_password(user=self.request.user, **given)  # type: ignore[arg-type]


class PasswordStrengthView(PublicView):
    """Judge a password before it is chosen."""

    @operation(body=serializers.PasswordStrengthInput, returns=serializers.StrengthOutput)
    def post(self, **given: Any) -> Any:
        """Report how long it would stand, and what speaks against it; nothing is stored."""
        return advise(**given)


class PasswordGenerateView(PublicAPIView):
    """Draw a password."""

    throttle_scope = "api"

    @operation(query=serializers.GenerateQuery, returns=serializers.GeneratedOutput)
    def get(self, *, kind: str, length: int) -> dict[str, str]:
        """Return one drawn by chance, which the policy accepts; nothing is stored."""
        return {"password": generate(kind=kind, length=length)}


class MeView(StrictAPIView):
    """The caller's own account."""

    @operation(returns=serializers.ProfileOutput)
    def get(self) -> Any:
        """Show the account that asks."""
        return self.request.user

    @operation(body=serializers.ProfileInput, returns=serializers.ProfileOutput)
    def patch(self, **given: str) -> Any:
        """Change the name; nothing else is the person's own to change here."""
        if missing_fields():
            raise MethodNotAllowed("PATCH")
        if "name" in given:
            services.rename(user=self.request.user, name=given["name"])  # type: ignore[arg-type]
        return self.request.user


class TrustedDevicesView(StrictAPIView):
    """The caller's trusted devices."""

    @operation(returns=TrustedDeviceOutput, many=True)
    def get(self) -> Any:
        """List them, last used first; never more than ``ACCOUNTS_MOST_TRUSTED_DEVICES``."""
        mine = TrustedDevice.objects.of_user(self.request.user)
        return mine.alive(now=timezone.now()).order_by("-last_used_at")


class TrustedDeviceView(StrictAPIView):
    """One of the caller's trusted devices."""

    @operation(refuses=(DeviceNotFound,))
    def delete(self, device_id: uuid.UUID) -> None:
        """Trust it no longer; somebody else's is as unknown as one that never was."""
        with transaction.atomic():
            devices.revoke(user=self.request.user, device_id=device_id)


class LoginHistoryView(StrictAPIView):
    """The caller's own sign-ins."""

    @operation(query=serializers.HistoryQuery, returns=serializers.HistoryOutput)
    def get(self, *, cursor: str, limit: int) -> Page[Any]:
        """List a page of one's own sign-ins, newest first, failures too."""
        sign_ins = services.sign_ins_of(user=self.request.user)  # type: ignore[arg-type]
        return page_of(sign_ins, of="login-history", cursor=cursor, limit=limit)
