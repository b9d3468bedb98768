"""What staff changed of an account, besides what is noticed wherever it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accounts import codes, events, mails
from accounts.attempt import target_of
from garrison.events import emit

if TYPE_CHECKING:
    from accounts.models import User


def emit_changes(*, user: User, email_before: str | None, by: Any) -> None:
    """Emit that the account is new, where it had no address before, or that its address is."""
    target = target_of(user)
    if email_before is None:
        emit(events.USER_CREATED, actor=by, target=target, data={"account": user.email})
    elif user.email != email_before:
        codes.void(user_id=user.pk)  # they were mailed to the address before
        data = {"before": email_before, "after": user.email}
        emit(events.EMAIL_CHANGED, actor=by, target=target, data=data)
        mails.queue("email_notice", address=email_before, user_id=user.pk, after=user.email)
        mails.queue("email_notice", address=user.email, user_id=user.pk)  # maybe a stranger's
