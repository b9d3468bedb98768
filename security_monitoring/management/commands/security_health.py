"""The health report on a terminal."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from garrison import health

if TYPE_CHECKING:
    from argparse import ArgumentParser

MARKS = {
    health.Status.HEALTHY: "ok",
    health.Status.DEGRADED: "degraded",
    health.Status.UNHEALTHY: "UNHEALTHY",
}


class Command(BaseCommand):
    """Run every registered health check."""

    help = (
        "Run every health check and print what each found. Exit code 0: healthy; "
        "1: something is degraded or unhealthy."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="Print the report as JSON.")

    def handle(self, **options: Any) -> None:
        """Run the checks, print the report, and fail where something is not healthy."""
        results = health.run()
        worst = health.worst(results)
        if options["json"]:
            report = {"status": worst, "checks": [asdict(result) for result in results]}
            self.stdout.write(json.dumps(report, default=datetime.isoformat))
        else:
            for result in results:
                self.stdout.write(
                    f"{MARKS[result.status]:<10} {result.name:<20} {result.detail}".rstrip()
                )
            self.stdout.write(f"Overall: {worst}.")
        if worst is not health.Status.HEALTHY:
            sys.exit(1)
