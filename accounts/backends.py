"""The door for Django's own ``authenticate()``: the admin's login form, and every host's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import devices
from accounts.errors import InvalidCredentials
from accounts.services.signing_in import begin
from garrison.errors import Refusal

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

    from accounts.sign_in import SignIn

OWN_BACKEND = "accounts.backends.AccountsBackend"
REFUSAL_ATTRIBUTE = "accounts_refusal"
ENDS_AT_LOGIN = "accounts_sign_in_ends_at_login"  # on a request: see complete_at_login
SIGN_IN_ATTRIBUTE = "accounts_sign_in"  # on a user whose sign-in waits for login()


# The stubs narrow the user to this project's model; a host's may be another.
class AccountsBackend(ModelBackend):
    """Let in whom :func:`~accounts.services.signing_in.begin` lets in.

    ``authenticate()`` can return no more than ``None``, so the refusal itself is left on the
    request, where :func:`refusal_of` finds it: a form can then say how long to wait, or ask for
    what a step demands.
    """

    @sensitive_variables("password")
    def authenticate(  # type: ignore[override]
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> AbstractBaseUser | None:
        """Return the user; ``None`` for wrong credentials; stop other backends where refused."""
        name = kwargs.get(get_user_model().USERNAME_FIELD) if username is None else username
        if name is None or password is None:
            return None
        try:
            token = devices.presented(request)
            sign_in = begin(login_name=str(name), password=password, device_token=token)
        except InvalidCredentials as refusal:
            _leave(request, refusal)
            return None
        except Refusal as refusal:
            _leave(request, refusal)
            raise PermissionDenied(refusal.detail) from None
        if not getattr(request, ENDS_AT_LOGIN, False):
            sign_in.clear(now=timezone.now())
            return sign_in.account
        return hand_over(request, sign_in)

    @sensitive_variables("password")
    async def aauthenticate(  # type: ignore[override]
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> AbstractBaseUser | None:
        """Do the same off the event loop; Django's own would go around the lockout."""
        check = sync_to_async(self.authenticate)
        return await check(request, username=username, password=password, **kwargs)


def complete_at_login(request: HttpRequest) -> None:
    """Let a sign-in in this request be complete at ``login()``, and not at ``authenticate()``.

    For a door with a demand of its own, as the admin's for staff: until the session starts, what
    was reserved stays taken. Whoever calls this and never ``login()`` counts a failure.
    """
    setattr(request, ENDS_AT_LOGIN, True)


def hand_over(request: HttpRequest | None, sign_in: SignIn) -> AbstractBaseUser:
    """Return the user for ``login()``, which starts the session with what was really proved."""
    if request is not None:
        request.authentication_methods = sign_in.amr  # type: ignore[attr-defined]
    sign_in.account.backend = OWN_BACKEND
    setattr(sign_in.account, SIGN_IN_ATTRIBUTE, sign_in)
    return sign_in.account


def _leave(request: HttpRequest | None, refusal: Refusal) -> None:
    if request is not None:
        setattr(request, REFUSAL_ATTRIBUTE, refusal)


def refusal_of(request: HttpRequest | None) -> Refusal | None:
    """Return why :class:`AccountsBackend` refused in this request, or ``None`` where it did not."""
    return getattr(request, REFUSAL_ATTRIBUTE, None)
