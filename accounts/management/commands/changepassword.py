"""``manage.py changepassword``: Django's, with what follows from a new password."""

from __future__ import annotations

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.core.management.base import CommandError
from django.utils import timezone

from accounts import services
from accounts.password import history
from accounts.user_model import find_account


class Command(changepassword.Command):
    """Set an account's password; its sessions end, as an event, and its owner is mailed."""

    help = "Set an account's password; its sessions end, and its owner is mailed."

    def handle(self, *args: Any, **options: Any) -> str:
        """Ask as Django does, for a name in any spelling; then conclude.

        Not in one transaction: nobody should type while a transaction is open.
        """
        name = options["username"] or getpass.getuser()
        account = find_account(name)
        if account is None:
            raise CommandError(f"There is no account {name!r}.")
        history.keep_present(account=account, now=timezone.now())
        done = super().handle(*args, **options | {"username": account.get_username()})
        services.conclude_password_set(user=account)
        return str(done)
