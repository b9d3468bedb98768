"""Seal what is not sealed yet, once or all the time."""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.checkpoints import writing
from audit.errors import AuditKeysUnusable
from audit.keys import EPOCH
from audit.sealing import loop, sealer
from audit.sealing.keyring import keyring

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
            keyring()
        except AuditKeysUnusable as problem:
            raise CommandError(str(problem), returncode=2) from problem
        sealed = self._forever() if options["forever"] else _once()
        is_busy = sealer.is_at_work()
        if options["json"]:
            self.stdout.write(json.dumps({"sealed": sealed, "another_at_work": is_busy}))
        else:
            sentence = " Another sealer is at work, and takes the rest." if is_busy else ""
            self.stdout.write(f"Sealed {sealed:,} events.{sentence}")

    def _forever(self) -> int:
        stop, counted = threading.Event(), Counter[str]()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        self.stderr.write("Sealing. Ctrl-C ends it.")
        loop.keep_sealing(stop, report=lambda sealed: counted.update(sealed=sealed))
        return counted["sealed"]


def _once() -> int:
    """Seal everything there is, not only what came lately, and sign what never was."""
    sealed = sealer.catch_up(now=timezone.now(), since=EPOCH)
    writing.write_first()
    return sealed
