"""``manage.py reset_rate_limit``: let a person, an account or an address start over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from garrison.client_ip import bucket, parse
from garrison.management.arguments import text
from rate_limiting import services
from rate_limiting.errors import StoreUnavailable
from rate_limiting.subject import Subject, fold

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    """Forget what is counted for somebody in the present windows."""

    help = (
        "Forget the requests counted for a signed-in person (--user), an address (--address), or "
        "an account's sign-ins from an address (--account with --address). Exits with 1 while the "
        "store of the counters does not answer."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the parts of a key."""
        parser.add_argument(
            "--user", metavar="KEY", type=text, help="The primary key of a signed-in person."
        )
        parser.add_argument(
            "--account", metavar="NAME", type=text, help="A login name, in any spelling."
        )
        parser.add_argument("--address", metavar="IP", type=text, help="An IPv4 or IPv6 address.")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Call the service and tell what it did."""
        try:
            forgotten = services.reset(subject=_subject(**options))
        except StoreUnavailable as failure:
            raise CommandError(f"{failure.title}: {failure.detail}") from failure
        if options["json"]:
            self.stdout.write(json.dumps({"counters": forgotten}))
        else:
            self.stdout.write(f"{forgotten} counters forgotten.")


def _subject(*, user: str | None, account: str | None, address: str | None, **_: Any) -> Subject:
    if not (user or address):
        raise CommandError("Give --user or --address; --account needs --address beside it.")
    if user and not _is_known(user):
        raise CommandError(f"There is no user with the key {user!r}.")
    if address and parse(address) is None:
        raise CommandError(f"{address!r} is not an IP address.")
    return Subject(
        address=bucket(address) if address else None,
        user_id=user,
        account=fold(account) if account else None,
    )


def _is_known(key: str) -> bool:
    try:
        return get_user_model()._default_manager.filter(pk=key).exists()
    except (ValidationError, ValueError, OverflowError):  # no key of this model at all
        return False
