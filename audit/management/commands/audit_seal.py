"""Seal what is not sealed yet, once or all the time."""

from __future__ import annotations

import json
import signal
import threading
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.errors import AuditKeysUnusable
from audit.keys import EPOCH
from audit.sealing import loop, sealer

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Bring the chain up to date by hand, or keep it so where there is no beat."""

    help = (
        "Seal every event that has no seal yet, and end; or, with --forever, go on sealing until "
        "stopped. Celery's beat does the latter by itself: run this where there is no beat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--forever", action="store_true", help="Go on until SIGINT or SIGTERM.")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, **options: Any) -> None:
        """Seal, and say how many."""
        try:
            sealed = self._forever() if options["forever"] else _all()
        except AuditKeysUnusable as problem:
            raise CommandError(str(problem)) from problem
        if options["json"]:
            self.stdout.write(json.dumps({"sealed": sealed}))
        else:
            self.stdout.write(f"Sealed {sealed:,} events.")

    def _forever(self) -> int:
        stop, counted = threading.Event(), [0]
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        self.stderr.write("Sealing. Ctrl-C ends it.")
        loop.keep_sealing(stop, told=counted.append)
        return sum(counted)


def _all() -> int:
    """Look at everything there is, not only at what came lately."""
    now = timezone.now()
    return sealer.catch_up(now=now, since=EPOCH)
