"""``manage.py end_sessions``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from garrison.management.arguments import identifier, text
from sessions_tracking import services
from sessions_tracking.models import LONGEST_REASON, Session, SessionQuerySet
from sessions_tracking.people import find_user

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    """End sessions of one user, of everybody, or one by its id."""

    help = (
        "End sessions: every one of a user, every one of everybody, or a single one. It takes "
        "effect on their next request. Exit code 1 where a single session was not alive."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--user", type=text, help="Login name or key.")
        which.add_argument("--all", action="store_true", help="Everybody, staff included.")
        which.add_argument("--session", type=identifier, help="The id of one session.")
        parser.add_argument(
            "--reason",
            type=text,
            default="ended_by_operator",
            help="Noted in the row and in the event.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only count.")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Count or end, and print."""
        reason = options["reason"]
        if not reason or len(reason) > LONGEST_REASON or not reason.isprintable():
            raise CommandError(f"--reason needs 1 to {LONGEST_REASON} printable characters.")
        ended = self._count(options) if options["dry_run"] else self._end(options, reason)
        report = {"ended": ended, "dry_run": options["dry_run"]}
        would = "would be ended" if options["dry_run"] else "ended"
        text = f"{ended} session{'' if ended == 1 else 's'} {would}."
        self.stdout.write(json.dumps(report) if options["json"] else text)
        if options["session"] and not ended:
            raise CommandError(f"Session {options['session']} is not alive.")

    def _count(self, options: dict[str, Any]) -> int:
        alive: SessionQuerySet = Session.objects.alive(now=timezone.now())
        if options["user"]:
            alive = alive.of_user(find_user(options["user"]))
        elif options["session"]:
            alive = alive.filter(pk=options["session"])
        return alive.count()

    def _end(self, options: dict[str, Any], reason: str) -> int:
        if options["user"]:
            return services.end_sessions(user=find_user(options["user"]), reason=reason)
        if options["session"]:
            return int(services.end_session(session_id=options["session"], reason=reason))
        if not options["all"]:
            raise CommandError("Give --user, --session or --all.")
        return services.end_all_sessions(reason=reason)
