"""The door for Django's own ``authenticate()``: the admin's login form, and every host's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.views.decorators.debug import sensitive_variables

from accounts.errors import AccountRefusal, InvalidCredentials
from accounts.services.credentials import check_credentials

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

REFUSAL_ATTRIBUTE = "accounts_refusal"


# The stubs narrow the user to this project's model; a host's may be another.
class AccountsBackend(ModelBackend):
    """Let in whom :func:`~accounts.services.credentials.check_credentials` lets in.

    ``authenticate()`` can say no more than ``None``, so the refusal itself is left on the request,
    where :func:`refusal_of` finds it: a form can then say how long to wait.
    """

    @sensitive_variables("password")
    def authenticate(  # type: ignore[override]
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> AbstractBaseUser | None:
        """Return the user; ``None`` for wrong credentials; stop other backends where locked out."""
        name = kwargs.get(get_user_model().USERNAME_FIELD) if username is None else username
        if name is None or password is None:
            return None
        try:
            return check_credentials(login_name=str(name), password=password)
        except InvalidCredentials as refusal:
            _leave(request, refusal)
            return None
        except AccountRefusal as refusal:
            _leave(request, refusal)
            raise PermissionDenied(refusal.detail) from None

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


def _leave(request: HttpRequest | None, refusal: AccountRefusal) -> None:
    if request is not None:
        setattr(request, REFUSAL_ATTRIBUTE, refusal)


def refusal_of(request: HttpRequest | None) -> AccountRefusal | None:
    """Return why :class:`AccountsBackend` refused in this request, or ``None`` where it did not."""
    return getattr(request, REFUSAL_ATTRIBUTE, None)
