"""A detector of ten lines, run as a process of its own: it notes what it sees in a file."""

import sys
import time
from pathlib import Path

import django

django.setup()
from audit.tail import follow  # noqa: E402 - after the set-up


def note(event):
    """Look at one event."""
    with Path(sys.argv[1]).open("a") as noted:
        noted.write(f"{event.seal.seq} {event.kind} {event.pk}\n")


with Path(sys.argv[1]).open("a") as seen:
    seen.write("start\n")
while True:
    follow(reader="detector", handle=note, kinds=["tests.door.opened"])
    time.sleep(0.02)
