"""``manage.py unlock_account``: end a lock, and forget the failures behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from accounts import services
from accounts.errors import AccountRefusal
from garrison.management.arguments import text

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    """Unlock an account, or an address."""

    help = (
        "End the lock of an account or of an address, and forget the failed sign-ins behind it. "
        "Exits with 1 where there is no such account."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the two, of which one is needed."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "email", nargs="?", type=text, help="The account's address, in any spelling."
        )
        which.add_argument(
            "--address", metavar="IP", type=text, help="An IPv4 or IPv6 address instead."
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Call the service and report what it did."""
        name, ip = options["email"], options["address"]
        try:
            if ip:
                was_counted = services.unlock_address(ip=ip)
            else:
                was_counted = services.unlock_account(login_name=name)
        except AccountRefusal as refusal:
            raise CommandError(f"{refusal.title}: {ip or name}.") from None
        if options["json"]:
            self.stdout.write(json.dumps({"unlocked": ip or name, "had_failures": was_counted}))
        elif was_counted:
            self.stdout.write(self.style.SUCCESS(f"{ip or name} is unlocked."))
        else:
            self.stdout.write(f"{ip or name} was not locked, and had no failed sign-ins.")
