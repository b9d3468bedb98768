"""What policy still asks of somebody who has proved who they are, step by step.

``ACCOUNTS_SIGN_IN_STEPS`` lists the steps by dotted path, in the order in which they are asked.
Each door runs all of them: the API, the admin's form, ``authenticate()`` and host code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.module_loading import import_string

from accounts.conf import settings
from accounts.errors import AnswerInvalid, EmailUnverified
from garrison.conf import remembered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accounts.sign_in import SignIn


class Step:
    """One demand; a subclass overrides :meth:`require`, and :meth:`verify` where it asks."""

    def inspect(self, sign_in: SignIn, *, password: str) -> None:
        """See the password once, just proved; what is to be known of it later goes to the notes.

        The notes are stored with a sign-in that is halted, and the password never is.
        """

    def require(self, sign_in: SignIn) -> Sequence[str]:  # noqa: ARG002 - for subclasses
        """Return the methods by which the demand may be met now; nothing where it is met.

        Raises a :class:`~garrison.errors.Refusal` where the account may not sign in at all. It runs
        once for each request, inside the answer's time: no network, and what it costs in statements
        every sign-in costs.
        """
        return ()

    def verify(self, sign_in: SignIn, *, method: str, answer: str) -> Sequence[str]:
        """Check the answer, and return what it proves (names of RFC 8176, for ``amr``).

        ``method`` is one of those that :meth:`require` returned. Raises
        :class:`~accounts.errors.AnswerInvalid` where the answer is wrong. Whatever can be used once
        is used up here, by a statement that decides in the row.
        """
        raise NotImplementedError

    @property
    def path(self) -> str:
        """Return the dotted path that names it."""
        return f"{type(self).__module__}.{type(self).__qualname__}"


class VerifiedAddress(Step):
    """Refuse who has not proved their address; a user model that does not ask is let through."""

    def require(self, sign_in: SignIn) -> Sequence[str]:
        """Look at the account."""
        if not getattr(sign_in.account, "is_email_verified", True):
            raise EmailUnverified
        return ()


@remembered("ACCOUNTS_SIGN_IN_STEPS")
def sign_in_steps() -> tuple[Step, ...]:
    """Return the configured steps; imported once for each value the setting takes."""
    return tuple(import_string(path)() for path in settings.sign_in_steps)


def methods_asked(sign_in: SignIn, *, method: str | None = None, answer: str = "") -> Sequence[str]:
    """Run the steps; return the methods of the first one that asks for more, nothing if none does.

    ``method`` and ``answer`` answer the step that asked, once; a method that it did not name is a
    wrong answer. Raises what the steps raise.
    """
    for step in sign_in_steps():
        if step.path in sign_in.passed:
            continue
        methods = step.require(sign_in)
        if not methods:
            continue
        if method is None:
            return methods
        if method not in methods:
            raise AnswerInvalid
        proved = step.verify(sign_in, method=method, answer=answer)
        sign_in.amr += [name for name in proved if name not in sign_in.amr]
        sign_in.passed.append(step.path)
        method = None
    return ()
