"""``manage.py list_sessions``."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from garrison.management.arguments import number, text
from sessions_tracking.models import Session, SessionQuerySet
from sessions_tracking.people import find_user
from sessions_tracking.signing_keys import keyring

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

FIELDS = ("id", "kind", "created_at", "last_seen_at", "ip", "user_agent", "ended_at", "end_reason")


class Command(BaseCommand):
    """Print sessions, newest first."""

    help = (
        "List signed-in sessions, newest first, or with --keys how many still depend on each "
        "signing key; exit code 1 where one depends on a key that is no longer configured."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--user", type=text, help="Only those of this user: login name or key.")
        parser.add_argument("--ended", action="store_true", help="Also those that are over.")
        parser.add_argument(
            "--limit", type=number(1), default=50, help="How many rows (%(default)s)."
        )
        parser.add_argument("--keys", action="store_true", help="Count by signing key instead.")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Ask, and print."""
        sessions = Session.objects.all()
        if options["user"]:
            sessions = sessions.of_user(find_user(options["user"]))
        if options["keys"]:
            self._keys(sessions, as_json=options["json"])
            return
        if not options["ended"]:
            sessions = sessions.alive(now=timezone.now())
        self._rows(sessions, limit=options["limit"], as_json=options["json"])

    def _rows(self, sessions: SessionQuerySet, *, limit: int, as_json: bool) -> None:
        newest = sessions.select_related("user").order_by("-created_at")[:limit]
        rows = [
            {"user": session.user.get_username()}
            | {name: getattr(session, name) for name in FIELDS}
            for session in newest
        ]
        if as_json:
            self.stdout.write(json.dumps(rows, default=str))
            return
        for row in rows:
            over = f"  ended: {row['end_reason']}" if row["ended_at"] else ""
            self.stdout.write(
                f"{row['id']}  {row['kind']:6}  {row['user']}  {row['ip'] or '-'}  "
                f"last seen {row['last_seen_at']:%Y-%m-%d %H:%M} UTC{over}"
            )
        self.stdout.write(f"{len(rows)} shown.")

    def _keys(self, sessions: SessionQuerySet, *, as_json: bool) -> None:
        tokens = sessions.alive(now=timezone.now()).filter(kind=Session.Kind.TOKEN)
        counted = Counter(tokens.values_list("key_id", flat=True).iterator())
        configured = keyring().by_id
        counts = {kid: counted.get(kid, 0) for kid in (*configured, *sorted(counted))}
        lost = sorted(set(counted) - set(configured))
        if as_json:
            self.stdout.write(json.dumps({"sessions": counts, "not_configured": lost}))
        else:
            for kid, number in counts.items():
                note = "  not configured: these cannot refresh" if kid in lost else ""
                self.stdout.write(f"{kid}  {number}{note}")
        if lost:
            raise SystemExit(1)
